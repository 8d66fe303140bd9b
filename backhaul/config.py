"""Settings: `backhaul.toml`, typed. This module alone reads the environment.

Secrets are references (`env:NAME`, `block:NAME`), resolved at the moment of use and never kept in a model, a log or an error.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from backhaul.errors import ConfigError
from backhaul.urls import base_url

DEFAULT_PATH = "backhaul.toml"
MASONHUB_REASONS = ("tooBig", "tooSmall", "damaged", "wrongItem", "other")


_PASSWORD = re.compile(r"^[^:/?#]+://[^/?#@]*:[^@]+@|[?&](?:ssl)?password=.", re.IGNORECASE)


def holds_password(url: str) -> bool:
    """Whether a store's URL holds a password, before its host or in its query."""
    return _PASSWORD.search(url) is not None


def _reference(value: str) -> str:
    scheme, _, name = value.partition(":")
    if scheme not in ("env", "block") or not name:
        raise ValueError("a secret is a reference, env:NAME or block:NAME, never the secret itself")
    return value


BaseUrl = Annotated[str, AfterValidator(base_url)]
SecretRef = Annotated[str, AfterValidator(_reference)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class StoreSettings(_Model):
    """Where the store is: `sqlite:///FILE`, `postgresql+psycopg://…`, or `env:NAME` when the URL holds a password."""

    url: str = "sqlite:///backhaul.db"


class LoopSettings(_Model):
    """One merchant's Loop account."""

    base_url: BaseUrl
    api_key: SecretRef
    webhook_secret: SecretRef | None = None
    process_settle_seconds: int = Field(900, ge=0)
    outcome_hours: int = Field(24, ge=1)  # how long Loop may take for what a processed return owes; its times lag by hours
    first_sync_days: int = Field(7, ge=1, le=120)
    requests_per_minute: int = Field(300, ge=1)  # Loop's documented limit for one key


class MasonHubSettings(_Model):
    """One merchant's MasonHub account."""

    base_url: BaseUrl
    token: SecretRef
    callback_token: SecretRef | None = None
    send_order_id: bool = False
    poll_calls_per_sync: int = Field(60, ge=2)  # at least one for keys and one for the warehouse's own list
    correction_days: int = Field(14, ge=0)
    requests_per_minute: int = Field(300, ge=1)  # MasonHub documents none


class AirhouseSettings(_Model):
    """One merchant's Airhouse account. The API is not public: `assumed_contract` says that you know it."""

    base_url: BaseUrl
    api_key: SecretRef
    webhook_secret: SecretRef | None = None
    assumed_contract: bool = False
    poll_calls_per_sync: int = Field(60, ge=2)  # at least one for keys and one for the warehouse's own list
    correction_days: int = Field(14, ge=0)
    requests_per_minute: int = Field(300, ge=1)


class PolicySettings(_Model):
    """What a merchant wants done; the defaults are the rule of the vendors' own integrations."""

    unexpected: Literal["record", "flag"] = "record"
    pending_hold_days: int = Field(5, ge=0)
    announce: Literal["on_created", "on_label", "off"] = "on_created"


class MerchantSettings(_Model):
    """One merchant: a Loop account, a warehouse, a policy and a table of reasons."""

    warehouse: Literal["masonhub", "airhouse"]
    mode: Literal["live", "shadow"] = "live"
    loop: LoopSettings
    masonhub: MasonHubSettings | None = None
    airhouse: AirhouseSettings | None = None
    policy: PolicySettings = PolicySettings()
    reasons: dict[str, str] = Field(default_factory=dict)
    routes: dict[str, Literal["masonhub", "airhouse"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_it_names(self) -> MerchantSettings:
        for warehouse in sorted({self.warehouse, *self.routes.values()}):
            if getattr(self, warehouse) is None:
                raise ValueError(f"warehouse {warehouse!r} is used, but there is no [{warehouse}] section")
        if self.masonhub is not None:
            for reason, code in self.reasons.items():
                if code not in MASONHUB_REASONS:
                    raise ValueError(f"reasons: {reason!r} maps to {code!r}; MasonHub knows {', '.join(MASONHUB_REASONS)}")
        return self

    def warehouse_for(self, destination_id: str | None) -> str:
        """The warehouse that a Loop destination stands for; the merchant's own where no route says otherwise."""
        return self.routes.get(destination_id or "", self.warehouse)


class Settings(_Model):
    """The whole of `backhaul.toml`."""

    store: StoreSettings = StoreSettings()
    merchants: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")], MerchantSettings] = Field(default_factory=dict)

    def merchant(self, name: str) -> MerchantSettings:
        """One merchant's settings. Raises ConfigError with the names there are."""
        try:
            return self.merchants[name]
        except KeyError:
            known = ", ".join(sorted(self.merchants)) or "none"
            raise ConfigError(f"no merchant {name!r} in the config; it has: {known}") from None

    def advice(self) -> list[str]:
        """What works and should not stay as it is, each with the way out."""
        if not holds_password(self.store.url):
            return []
        return ['store.url holds a password; export the whole URL as BACKHAUL_STORE_URL and write url = "env:BACKHAUL_STORE_URL" instead']

    def store_url(self) -> str:
        """The store's URL, its reference resolved. It may hold a password: never print it."""
        url = self.store.url
        return resolve(url, "store.url").get_secret_value() if url.startswith(("env:", "block:")) else url


def config_path(path: str | Path | None = None) -> Path:
    """The config file: `--config`, else `BACKHAUL_CONFIG`, else `backhaul.toml` here."""
    return Path(path or os.environ.get("BACKHAUL_CONFIG") or DEFAULT_PATH)


def load(path: str | Path | None = None) -> Settings:
    """Read and check the config file. Raises ConfigError: one line, what is wrong and where."""
    file = config_path(path)
    try:
        raw: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file; 'backhaul init' writes one, --config or BACKHAUL_CONFIG names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error.__class__.__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{file}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    first, *rest = error.errors(include_input=False, include_url=False)
    where = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" + (f" (and {len(rest)} more)" if rest else "")


def resolve(reference: str, where: str) -> SecretStr:
    """The secret behind a reference. Raises ConfigError that names the reference, never the secret."""
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        value = os.environ.get(name, "")
        if not value:
            raise ConfigError(f"{where}: {reference} is not set; export {name}, or point the reference elsewhere")
        return SecretStr(value)
    from prefect.blocks.system import Secret  # costs seconds, and only blocks need it

    try:
        return SecretStr(str(Secret.load(name).get()))  # type: ignore[union-attr]
    except Exception as error:
        raise ConfigError(f"{where}: {reference} cannot be loaded ({error.__class__.__name__}); create the block, or use env:") from None


def prefect_api_url() -> str | None:
    """The Prefect server that runs are recorded on, if one is named."""
    return os.environ.get("PREFECT_API_URL") or None
