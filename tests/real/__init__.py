"""Published weights and photographs, out of packages; `make test-real` alone runs this."""
