"""A simulated ShipBob: returns, products, channels and webhooks, with the quirks of its API on request."""
