"""The settings that point Backhaul at a sandbox: `backhaul.toml` as text, and the environment with its secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backhaul.sandbox.server import Sandbox

MAPPED_REASONS = {
    "Too small": "tooSmall",
    "Too big": "tooBig",
    "Arrived damaged": "damaged",
    "Wrong item received": "wrongItem",
    "Changed my mind": "other",
}


def config_env(box: Sandbox) -> dict[str, str]:
    """The environment that `config_toml` refers to."""
    env = {}
    for name, keys in box.keys.items():
        prefix = name.upper().replace("-", "_")
        env[f"{prefix}_LOOP_API_KEY"] = keys.loop_api_key
        env[f"{prefix}_LOOP_WEBHOOK_SECRET"] = keys.loop_webhook_secret
        env[f"{prefix}_MASONHUB_TOKEN"] = keys.masonhub_token
        env[f"{prefix}_MASONHUB_CALLBACK_TOKEN"] = keys.masonhub_callback_token
        env[f"{prefix}_AIRHOUSE_API_KEY"] = keys.airhouse_api_key
        env[f"{prefix}_AIRHOUSE_WEBHOOK_SECRET"] = keys.airhouse_webhook_secret
    return env


def config_toml(box: Sandbox, *, store_url: str = "sqlite:///backhaul.db", airhouse_merchants: Sequence[str] = ()) -> str:
    """A backhaul.toml for this sandbox. Secrets are references; `config_env` has their values."""
    parts = [f'[store]\nurl = "{store_url}"\n']
    for name in box.world.merchants:
        prefix = name.upper().replace("-", "_")
        warehouse = "airhouse" if name in airhouse_merchants else "masonhub"
        parts.append(
            f'[merchants.{name}]\nwarehouse = "{warehouse}"\n\n'
            f'[merchants.{name}.loop]\nbase_url = "{box.loop_url(name)}"\napi_key = "env:{prefix}_LOOP_API_KEY"\n'
            f'webhook_secret = "env:{prefix}_LOOP_WEBHOOK_SECRET"\n'
        )
        if warehouse == "airhouse":
            parts.append(
                f'[merchants.{name}.airhouse]\nbase_url = "{box.airhouse_url(name)}"\napi_key = "env:{prefix}_AIRHOUSE_API_KEY"\n'
                f'webhook_secret = "env:{prefix}_AIRHOUSE_WEBHOOK_SECRET"\nassumed_contract = true\n'
            )
        else:
            parts.append(
                f'[merchants.{name}.masonhub]\nbase_url = "{box.masonhub_url(name)}"\ntoken = "env:{prefix}_MASONHUB_TOKEN"\n'
                f'callback_token = "env:{prefix}_MASONHUB_CALLBACK_TOKEN"\n'
            )
        mapped = "".join(f'"{reason}" = "{code}"\n' for reason, code in MAPPED_REASONS.items())
        parts.append(f"[merchants.{name}.reasons]\n{mapped}")
    return "\n".join(parts)
