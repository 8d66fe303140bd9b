"""A merchant in `backhaul.toml`, as `backhaul init` writes it: text with its reasons in comments, in a file for its owner only."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backhaul import config
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import VENDORS, WAREHOUSES
from backhaul.errors import ConfigError

STORE_VARIABLE = "BACKHAUL_STORE_URL"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")  # as the config wants it; it becomes a table's name in the file


@dataclass(frozen=True, slots=True)
class Answers:
    """What `backhaul init` was told. `fields` are those of each vendor's section that were asked for."""

    merchant: str
    warehouse: str
    mode: str
    store_url: str
    fields: Mapping[str, Mapping[str, str | int]]

    @property
    def store_reference(self) -> str:
        """The store's URL as the file has it: a reference when it holds a password."""
        return f"env:{STORE_VARIABLE}" if config.holds_password(self.store_url) else self.store_url

    def variable(self, vendor: str, field: str) -> str:
        """The environment variable that holds a secret of the merchant's; a shell wants no digit at the start."""
        name = f"{self.merchant}_{vendor}_{field}".upper().replace("-", "_")
        return f"_{name}" if name[:1].isdigit() else name

    def variables(self) -> list[tuple[str, str]]:
        """The environment variables that the merchant's sections refer to, each with where its value comes from."""
        of = ((vendor, VENDORS[vendor].first.secrets) for vendor in (LOOP.name, self.warehouse))
        return [(self.variable(vendor, field), source) for vendor, secrets in of for field, source in secrets.items()]


def known_merchants(file: Path) -> frozenset[str] | None:
    """The merchants of a config that is there, to which one may be added; None where there is no file.

    Raises ConfigError for a file that is no config with merchants: it may be anything.
    """
    if not os.path.lexists(file):
        return None
    known = frozenset(config.load(file).merchants)
    if not known:
        raise ConfigError(f"{file} is there, without a merchant, and was left as it is; --force replaces it, --config names another")
    return known


def write(file: Path, answers: Answers) -> None:
    """Write a new file with the merchant, or replace what is there, readable by its owner only, once it is known to load.

    Raises ConfigError when an answer cannot be used, or the folder not be written.
    """
    _put(file, (_HEAD.format(store=_quoted(answers.store_reference)) + merchant_text(answers)).encode(), 0o600, answers)


def add(file: Path, answers: Answers) -> None:
    """Add the merchant at the end of a file that is there; all that it holds, and who may read it, stay as they are.

    Raises ConfigError as `write` does.
    """
    target = file.resolve()
    before = target.read_bytes()
    break_before = b"" if before.endswith(b"\n") else b"\n"
    _put(target, before + break_before + merchant_text(answers).encode(), stat.S_IMODE(target.stat().st_mode), answers)


def _put(file: Path, content: bytes, mode: int, answers: Answers) -> None:
    """Put a file in its place in one step, once it is known to load and the merchant may be used as it says."""
    if not _NAME.fullmatch(answers.merchant):
        raise ConfigError(f"--merchant: {answers.merchant!r} is not a short name of small letters, digits, - and _")
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
        account = config.load(draft).merchant(answers.merchant).account(answers.merchant, answers.warehouse)
        vendor = WAREHOUSES[answers.warehouse]
        if not vendor.is_by_file(account.section):
            vendor.require(account)
        os.chmod(draft, mode)
        os.replace(draft, file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
    except ConfigError as error:
        raise ConfigError(f"nothing was written: {str(error).removeprefix(f'{draft}: ')}") from None
    finally:
        draft.unlink(missing_ok=True)


def merchant_text(answers: Answers) -> str:
    """The merchant's tables."""
    vendor = WAREHOUSES[answers.warehouse]
    *codes, last = vendor.reason_codes or ("",)
    return _MERCHANT.format(
        name=answers.merchant,
        warehouse=_quoted(answers.warehouse),
        mode=_quoted(answers.mode),
        loop=_section(answers, LOOP.name),
        section=_section(answers, answers.warehouse),
        announce=_quoted(vendor.first.announce),
        codes=f"{vendor.title} knows {', '.join(codes)} and {last}." if codes else f"{vendor.title} has no list of codes.",
    )


def _section(answers: Answers, vendor: str) -> str:
    first = VENDORS[vendor].first
    values = {field: _quoted(f"env:{answers.variable(vendor, field)}") for field in first.secrets}
    values |= {field: _quoted(value) for field, value in answers.fields[vendor].items()}
    return first.text.format(where=f"merchants.{answers.merchant}.{vendor}", **values)


def _quoted(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False)  # the escapes of JSON are those of TOML


_HEAD = """\
# Settings of Backhaul. Secrets are never in this file, only references to them:
#   env:NAME    the environment variable NAME
#   block:NAME  the Prefect Secret block NAME
# After a change, 'backhaul doctor' tells what no longer fits.

[store]
# sqlite:///FILE (from the folder you are in), or postgresql+psycopg://USER@HOST/NAME.
# A URL that holds a password is itself a secret: use env:NAME.
url = {store}
"""

_MERCHANT = """
[merchants.{name}]
warehouse = {warehouse}
# shadow: reads, decides, records, and announces RMAs, but sends Loop nothing. live: acts.
mode = {mode}

{loop}
{section}
[merchants.{name}.policy]
# Units that came without being announced. record: noted, and the return still processed. flag: a person looks at it.
unexpected = "record"
# So many days units may stay in inspection before their return is flagged.
pending_hold_days = 5
# When the warehouse is told of a return. on_created: at once. on_label: once it has a tracking number.
# off: never; others announce, and Backhaul only reads. Choose off while another integration does it.
announce = {announce}

[merchants.{name}.reasons]
# Loop's return reason = the warehouse's code. What is not here goes out as "other", and
# 'backhaul doctor' lists it. {codes}
# "Too small" = "tooSmall"
# "Too big" = "tooBig"
# "Arrived damaged" = "damaged"
# "Wrong item received" = "wrongItem"
"""
