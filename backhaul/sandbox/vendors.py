"""The vendors that there are in a sandbox. A new one is a folder beside this file and a line here."""

from __future__ import annotations

from backhaul.sandbox.airhouse.vendor import VENDOR as AIRHOUSE
from backhaul.sandbox.core.app import Vendor
from backhaul.sandbox.loop.vendor import VENDOR as LOOP
from backhaul.sandbox.masonhub.vendor import VENDOR as MASONHUB
from backhaul.sandbox.shipbob.vendor import VENDOR as SHIPBOB

VENDORS: dict[str, Vendor] = {vendor.name: vendor for vendor in (LOOP, MASONHUB, AIRHOUSE, SHIPBOB)}
