"""Public datasets: where they come from, how they are fetched, verified and unpacked."""
