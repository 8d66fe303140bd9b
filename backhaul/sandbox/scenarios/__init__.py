"""Seeded, believable accounts: returns with all that makes them awkward, and parcels that arrive in every condition."""

from backhaul.sandbox.scenarios.arriving import MIX, receive_some
from backhaul.sandbox.scenarios.shopping import REASONS, Populated, bulk, populate, shop

__all__ = ["MIX", "REASONS", "Populated", "bulk", "populate", "receive_some", "shop"]
