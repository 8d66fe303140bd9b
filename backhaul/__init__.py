"""Backhaul keeps a returns platform (Loop) and its warehouses telling the same story."""

__version__ = "0.1.0"
