"""Models of random weights, and what is measured with them."""
