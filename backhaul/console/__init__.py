"""The desk in a browser: where every return stands, and why. Rendered on the server; it reads the store and calls no vendor."""
