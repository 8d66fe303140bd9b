"""Settings: `backhaul.toml`, typed. This module and `secret` alone read the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, create_model, model_validator

from backhaul.calendars import known_region
from backhaul.connectors.loop.settings import LoopSettings
from backhaul.connectors.registry import WAREHOUSES
from backhaul.connectors.settings import Section
from backhaul.connectors.text import shield
from backhaul.connectors.vendor import Account
from backhaul.domain.business_days import SERVICE_STEPS
from backhaul.domain.guards import Limits
from backhaul.errors import ConfigError
from backhaul.secret import SecretRef, SecretRefs, resolve
from backhaul.urls import BaseUrl

DEFAULT_PATH = "backhaul.toml"


_PASSWORD = re.compile(r"^[^:/?#]{1,40}://[^/?#@:]{0,200}:[^@]{1,200}@|[?&](?:ssl)?password=.", re.IGNORECASE)


def holds_password(url: str) -> bool:
    """Whether a store's URL holds a password, before its host or in its query."""
    return _PASSWORD.search(url) is not None


def _warehouse(name: str) -> str:
    if name not in WAREHOUSES:
        raise ValueError(f"Input should be {_either(map(repr, WAREHOUSES))}")
    return name


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


WarehouseName = Annotated[str, AfterValidator(_warehouse)]


class StoreSettings(Section):
    """Where the store is: `sqlite:///FILE`, `postgresql+psycopg://…`, or `env:NAME` when the URL holds a password."""

    url: str = "sqlite:///backhaul.db"


class PolicySettings(Section):
    """What a merchant wants done; the defaults are the rule of the vendors' own integrations."""

    unexpected: Literal["record", "flag"] = "record"
    pending_hold_days: int = Field(5, ge=0)
    announce: Literal["on_created", "on_label", "off"] = "on_created"

    def but(self, changes: Mapping[str, str]) -> PolicySettings:
        """The same with some of it changed. Raises ConfigError for a key or a value that it has not."""
        try:
            return PolicySettings.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise ConfigError(_first_problem(error)) from None


class RetentionSettings(Section):
    """For how many days what was read from is kept. What it says (returns, decisions, deliveries, counts, hashes) is kept for good."""

    events_days: int = Field(30, ge=1)  # the bodies of Loop's webhooks, once they are taken in
    bodies_days: int = Field(90, ge=1)  # the bodies of warehouses' records, and of what left quarantine
    versions_days: int = Field(400, ge=1)  # versions of returns, but for the newest
    attempts_days: int = Field(400, ge=1)  # attempts at deliveries that are settled


class NotifySettings(Section):
    """Who is told of what needs a person: references to Apprise URLs (Slack, Teams, e-mail, PagerDuty, …)."""

    urls: tuple[SecretRef, ...] = ()
    every_minutes: int = Field(15, ge=1)  # a digest to an address at most so often


class TargetsSettings(Section):
    """Within how many business days each step is to be done; one without a target is not judged. `holidays` is a region, as `US-CA`."""

    announce_within: int | None = Field(None, ge=0)
    inspect_within: int | None = Field(None, ge=0)
    decide_within: int | None = Field(None, ge=0)
    refund_within: int | None = Field(None, ge=0)
    holidays: Annotated[str, AfterValidator(known_region)] | None = None

    def by_step(self) -> dict[str, int]:
        """The targets there are, by step."""
        within = {step: getattr(self, f"{step}_within") for step in SERVICE_STEPS}
        return {step: days for step, days in within.items() if days is not None}


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Amounts = dict[Currency, Annotated[Decimal, Field(ge=0)]]


class GuardSettings(Section):
    """Limits to what goes out by itself (`domain/guards.py`); what is beyond one is held for a person."""

    processes_per_hour: int | None = Field(None, ge=0)
    value_per_hour: Amounts = Field(default_factory=dict)
    flag_share_per_day: Decimal | None = Field(None, ge=0, le=1)
    value_of_one: Amounts = Field(default_factory=dict)
    hold_first: int = Field(0, ge=0)

    def limits(self) -> Limits:
        """The same, for the rule."""
        return Limits(self.processes_per_hour, self.value_per_hour, self.flag_share_per_day, self.value_of_one, self.hold_first)


class ConsoleSettings(Section):
    """How people sign in to the console, by OpenID Connect: with this section nobody else sees it, on whatever address it listens."""

    url: BaseUrl  # where browsers reach it; TLS ends at a proxy
    issuer: BaseUrl
    client_id: str = Field(min_length=1)
    client_secret: SecretRef
    scope: str = "openid profile"
    role_claim: str = "roles"  # of the id token; realm_access.roles is one within another
    viewers: tuple[str, ...] = ()  # the claim's values that let read
    operators: tuple[str, ...] = ()  # and act too, where the console runs with --operator
    machine_token: SecretRefs = ()

    @model_validator(mode="after")
    def _is_whole(self) -> ConsoleSettings:
        if urlsplit(self.url).path:
            raise ValueError("url has a path; the console has a host of its own")
        if not self.viewers and not self.operators:
            raise ValueError("viewers and operators are both empty: nobody could sign in")
        if "openid" not in self.scope.split():
            raise ValueError("scope has no 'openid', without which a provider says of nobody who they are")
        return self


if TYPE_CHECKING:
    _Sections = Section
else:  # a section for each warehouse there is
    _Sections = create_model(
        "_Sections",
        __base__=Section,
        **{name: (vendor.section | None, None) for name, vendor in WAREHOUSES.items()},
    )


class MerchantSettings(_Sections):
    """One merchant: a Loop account, a warehouse, a policy and a table of reasons. Each vendor's section bears its name."""

    warehouse: WarehouseName
    mode: Literal["live", "shadow"] = "live"
    loop: LoopSettings
    policy: PolicySettings = PolicySettings()
    targets: TargetsSettings = TargetsSettings()
    guards: GuardSettings | None = None
    reasons: dict[str, str] = Field(default_factory=dict)
    routes: dict[str, WarehouseName] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_it_names(self) -> MerchantSettings:
        for warehouse in self.warehouses():
            if getattr(self, warehouse) is None:
                raise ValueError(f"warehouse {warehouse!r} is used, but there is no [{warehouse}] section")
        for name, vendor in WAREHOUSES.items():
            unknown = {reason: code for reason, code in self.reasons.items() if vendor.reason_codes and code not in vendor.reason_codes}
            if getattr(self, name) is not None and unknown:
                reason, code = next(iter(unknown.items()))
                raise ValueError(f"reasons: {reason!r} maps to {code!r}; {vendor.title} knows {', '.join(vendor.reason_codes)}")
        return self

    def warehouses(self) -> list[str]:
        """The warehouses that the merchant's returns go to."""
        return sorted({self.warehouse, *self.routes.values()})

    def account(self, merchant: str, vendor: str) -> Account:
        """The merchant's account at a vendor. Raises ConfigError where the config has no section for it."""
        section = getattr(self, vendor)
        if section is None:
            raise ConfigError(f"merchants.{merchant} has no [{vendor}] section")
        return Account(merchant, vendor, section, self.mode, self.policy.announce)

    def warehouse_for(self, destination_id: str | None) -> str:
        """The warehouse that a Loop destination stands for; the merchant's own where no route says otherwise."""
        return self.routes.get(destination_id or "", self.warehouse)


class Settings(Section):
    """The whole of `backhaul.toml`."""

    store: StoreSettings = StoreSettings()
    retention: RetentionSettings = RetentionSettings()
    notify: NotifySettings = NotifySettings()
    console: ConsoleSettings | None = None
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
    file, raw = _read(path)
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{file}: {_first_problem(error)}") from None


def _read(path: str | Path | None) -> tuple[Path, dict[str, Any]]:
    file = config_path(path)
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        shield(_held_by_environment(raw))  # a vendor may say any of them, not only those that a run needs
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file; 'backhaul init' writes one, --config or BACKHAUL_CONFIG names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error.__class__.__name__}") from None
    except RecursionError:
        raise ConfigError(f"{file}: not valid TOML: it is nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    return file, raw


def _held_by_environment(value: Any) -> Iterator[str]:
    """The secrets behind the `env:` references, at any depth, that are set."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _held_by_environment(one)
    elif isinstance(value, str) and value.startswith("env:"):
        yield os.environ.get(value.removeprefix("env:"), "")


def load_fleet(path: str | Path | None = None) -> tuple[Settings, dict[str, str]]:
    """The config without the merchants whose sections are broken, and what is wrong with each of those.

    For what runs over many merchants, where one's mistake is no reason for the others to wait. Raises ConfigError as `load` does for
    anything else, and where no merchant is left.
    """
    file, raw = _read(path)
    try:
        return Settings.model_validate(raw), {}
    except ValidationError as error:
        places = [problem["loc"] for problem in error.errors(include_input=False, include_url=False)]
        names = {str(place[1]) for place in places if len(place) > 1 and place[0] == "merchants"}
        merchants = raw.get("merchants", {})
        if any(place[0] != "merchants" or len(place) < 2 for place in places) or not names < merchants.keys():
            raise ConfigError(f"{file}: {_first_problem(error)}") from None
        broken = {name: f"{file}: {_first_problem(error, name)}" for name in sorted(names)}
    return Settings.model_validate(raw | {"merchants": {name: one for name, one in merchants.items() if name not in broken}}), broken


def _first_problem(error: ValidationError, merchant: str | None = None) -> str:
    found = error.errors(include_input=False, include_url=False)
    first, *rest = [one for one in found if merchant is None or one["loc"][1:2] == (merchant,)]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" + (f" (and {len(rest)} more)" if rest else "")


def prefect_api_url() -> str | None:
    """The Prefect server that runs are recorded on, if one is named."""
    return os.environ.get("PREFECT_API_URL") or None
