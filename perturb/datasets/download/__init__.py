"""Public datasets: their register, download, verification and unpacking."""
