"""Backhaul keeps a returns platform (Loop) and its warehouses telling the same story."""

import os

__version__ = "0.1.0"

# Nothing we start reports anything to anybody unless it is told to. Prefect and Great Expectations read these when they are imported, and
# so does the server that Prefect starts by itself to load a block; it heeds its own setting alone, not DO_NOT_TRACK.
for _name, _value in (("DO_NOT_TRACK", "1"), ("PREFECT_SERVER_ANALYTICS_ENABLED", "false"), ("GX_ANALYTICS_ENABLED", "false")):
    os.environ.setdefault(_name, _value)
os.environ.setdefault(
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120"
)  # that server needs 10 seconds, and 40 where others work too
