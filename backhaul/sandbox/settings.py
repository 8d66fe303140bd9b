"""The settings that point Backhaul at a sandbox: `backhaul.toml` as text, and the environment with its secrets."""

from __future__ import annotations

from collections.abc import Mapping

from backhaul.sandbox.server import Sandbox
from backhaul.sandbox.vendors import VENDORS

MAPPED_REASONS = {
    "Too small": "tooSmall",
    "Too big": "tooBig",
    "Arrived damaged": "damaged",
    "Wrong item received": "wrongItem",
    "Changed my mind": "other",
}


def config_env(box: Sandbox) -> dict[str, str]:
    """The environment that `config_toml` refers to."""
    return {_variable(name, key): value for name, keys in box.keys.items() for key, value in keys.items()}


def _variable(merchant: str, key: str) -> str:
    return f"{merchant.upper().replace('-', '_')}_{key.upper()}"


def config_toml(box: Sandbox, *, store_url: str = "sqlite:///backhaul.db", warehouses: Mapping[str, str] | None = None) -> str:
    """A backhaul.toml for this sandbox. Secrets are references; `config_env` has their values.

    `warehouses` names a merchant's warehouse; the others' is MasonHub.
    """
    parts = [f'[store]\nurl = "{store_url}"\n']
    for name in box.world.merchants:
        warehouse = (warehouses or {}).get(name, "masonhub")
        head = f'[merchants.{name}]\nwarehouse = "{warehouse}"\nmode = "{VENDORS[warehouse].mode}"\n'
        parts += [head, _section(box, name, "loop"), _section(box, name, warehouse)]
        mapped = "".join(f'"{reason}" = "{code}"\n' for reason, code in MAPPED_REASONS.items())
        parts.append(f"[merchants.{name}.reasons]\n{mapped}")
    return "\n".join(parts)


def _section(box: Sandbox, merchant: str, vendor: str) -> str:
    """A vendor's section: its base URL, the references to its secrets, and whatever else it needs."""
    known = VENDORS[vendor]
    secrets = {key: f'"env:{_variable(merchant, f"{vendor}_{key}")}"' for key in known.secrets(box.world.seed, merchant)}
    lines = {"base_url": f'"{box.vendor_url(merchant, vendor)}"'} | secrets | dict(known.settings)
    return f"[merchants.{merchant}.{vendor}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
