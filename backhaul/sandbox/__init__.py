"""Simulated vendors on loopback, true to what is known of them (docs/vendors) and their quirks, for demo, tests, benchmarks and training.

The sandbox reads those facts by itself: it shares no code with the connectors.
"""

from backhaul.sandbox.core.faults import Fault
from backhaul.sandbox.core.ground import Keys
from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.serving import serve
from backhaul.sandbox.settings import config_env, config_toml
from backhaul.sandbox.world import World

__all__ = ["Fault", "Keys", "Sandbox", "World", "config_env", "config_toml", "serve"]
