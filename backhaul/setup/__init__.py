"""Setting up: the first config, connecting a merchant to its vendors, and saying what is wrong."""
