"""The table of vendors. A new warehouse is a folder beside this file, and a line here."""

from __future__ import annotations

from backhaul.connectors.airhouse.vendor import AIRHOUSE
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.masonhub.vendor import MASONHUB
from backhaul.connectors.shipbob.vendor import SHIPBOB
from backhaul.connectors.vendor import Vendor, WarehouseVendor

WAREHOUSES: dict[str, WarehouseVendor] = {vendor.name: vendor for vendor in (MASONHUB, AIRHOUSE, SHIPBOB)}
VENDORS: dict[str, Vendor] = {LOOP.name: LOOP, **WAREHOUSES}
