"""Published weights and photographs, out of packages: `make test-real` and nothing else runs this."""
