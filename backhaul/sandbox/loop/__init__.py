"""A simulated Loop: returns, actions, notes and webhooks, with the quirks of its API."""
