"""A simulated Airhouse, as its API is assumed to be: none is public."""
