"""A simulated MasonHub: RMAs in batches, receiving and callbacks, with the quirks of its API."""
