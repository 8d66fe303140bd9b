"""What the registry tells of a vendor: all that the rest of Backhaul needs to know to work with one that it has never heard of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from backhaul.connectors.by_file import ByFile
from backhaul.connectors.settings import FirstSection, Section
from backhaul.errors import ConfigError
from backhaul.secret import resolve

if TYPE_CHECKING:
    from backhaul.connectors.base import ReceiptBatch, Warehouse
    from backhaul.connectors.findings import Check
    from backhaul.connectors.http import Observe
    from backhaul.connectors.readings import Reading
    from backhaul.connectors.subscriptions import Subscription

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant's account at a vendor: its section of the config, with what the merchant's policy says to it."""

    merchant: str
    vendor: str
    section: Any  # of the vendor's own class
    mode: str
    announce: str

    @property
    def where(self) -> str:
        """Its section's place in the config."""
        return f"merchants.{self.merchant}.{self.vendor}"

    def references(self, field: str) -> tuple[str, ...]:
        """The references that a field of the section names, the one in use first. Raises ConfigError when there is none."""
        named = getattr(self.section, field)
        if named is None:
            raise ConfigError(f"{self.where}.{field} is missing")
        return (named,) if isinstance(named, str) else tuple(named)

    def secrets(self, field: str) -> tuple[SecretStr, ...]:
        """The secrets behind them. Raises ConfigError when one is not there."""
        return tuple(resolve(reference, f"{self.where}.{field}") for reference in self.references(field))

    def secret(self, field: str) -> SecretStr:
        """The secret in use behind a field of the section. Raises ConfigError when it is not there, or the field is not."""
        return resolve(self.references(field)[0], f"{self.where}.{field}")


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a warehouse as it was kept: its topic and its body (JSON without personal data)."""

    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Posting:
    """What is to be registered at a vendor: where it posts to, the path of it that tells our URL from others, and how far to go."""

    url: str
    path: str
    is_dry_run: bool = False
    is_replacing: bool = False  # what tells somebody else may be taken over


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A vendor. `key` and `proof_key` are the fields of its section that refer to its secrets."""

    name: str
    title: str
    section: type[Section]
    first: FirstSection  # the section as `init` writes it
    key: str
    proof_key: str
    proves: Callable[[bytes, Mapping[str, str], bytes, datetime], bool]  # secret, headers in lower case, raw body, now
    read: Callable[[Mapping[str, str], bytes], list[Reading]]  # headers and body of a webhook that is proven
    register: Callable[[Account, Posting], list[Subscription]]  # what `connect` does, or with `is_dry_run` would do
    doctor: Callable[[Account, str | None, Clock], list[Check]]  # what is looked at, in order; the URL that it should post to
    by_hand: Callable[[Account, str], list[str]] = lambda account, url: []  # what no API can do, one sentence each; the URL it posts to


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseVendor(Vendor):
    """A warehouse. `receipts` is None where webhooks are signals: their records are then read by key."""

    connect: Callable[[Account, Observe | None], Warehouse]
    normalise: Callable[[Sequence[bytes]], ReceiptBatch]  # records as `find` reads them and as the store keeps them
    receipts: Callable[[Sequence[Told]], tuple[ReceiptBatch, int]] | None  # each RMA once; how many events hold no receipt
    lists_changes: bool  # whether `news` is all that changed since a moment
    require: Callable[[Account], None] = lambda account: None  # raises ConfigError where the account may not be used as it is
    by_file: ByFile | None = None
    reason_codes: tuple[str, ...] = ()  # the codes it knows; () when any text will do

    def is_by_file(self, section: Any) -> bool:
        """Whether its results come by file alone, by the merchant's section."""
        return self.by_file is not None and self.by_file.is_only_way(section)
