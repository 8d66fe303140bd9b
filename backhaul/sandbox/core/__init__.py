"""What every simulated vendor stands on. Nothing in here knows a vendor."""
