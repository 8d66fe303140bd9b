"""The first `backhaul.toml` of a merchant: as text with its reasons in comments, and as a file for its owner only."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from backhaul import config
from backhaul.errors import ConfigError

LOOP_URL = "https://api.loopreturns.com/api/2026-07"  # v1 is an alias of this version; naming it keeps a change of version ours
MASONHUB_URL = "https://app.masonhub.co/{slug}/api/v1"
STORE_VARIABLE = "BACKHAUL_STORE_URL"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")  # as the config wants it; it becomes a table's name in the file


@dataclass(frozen=True, slots=True)
class Answers:
    """What `backhaul init` was told. `warehouse_url` is the base URL of the one that `warehouse` names."""

    merchant: str
    warehouse: str
    mode: str
    loop_url: str
    warehouse_url: str
    store_url: str

    @property
    def prefix(self) -> str:
        """How the names of this merchant's variables begin; a shell wants no digit at the start."""
        name = self.merchant.upper().replace("-", "_")
        return f"_{name}" if name[:1].isdigit() else name

    @property
    def store_reference(self) -> str:
        """The store's URL as the file has it: a reference when it holds a password."""
        return f"env:{STORE_VARIABLE}" if config.holds_password(self.store_url) else self.store_url

    def variables(self) -> list[tuple[str, str]]:
        """The environment variables that the file refers to, each with where its value comes from."""
        needed = [
            (f"{self.prefix}_LOOP_API_KEY", "Loop Admin > Developer Tools; scopes Returns and Developer Tools; all 40 characters"),
            (f"{self.prefix}_LOOP_WEBHOOK_SECRET", "shown on the same page"),
        ]
        if self.warehouse == "masonhub":
            needed += [
                (f"{self.prefix}_MASONHUB_TOKEN", "from MasonHub's integration team"),
                (f"{self.prefix}_MASONHUB_CALLBACK_TOKEN", "make up a long random one, such as 'openssl rand -hex 32' prints"),
            ]
        else:
            needed += [
                (f"{self.prefix}_AIRHOUSE_API_KEY", "from your Airhouse account manager"),
                (f"{self.prefix}_AIRHOUSE_WEBHOOK_SECRET", "agreed with your Airhouse account manager"),
            ]
        if self.store_reference != self.store_url:
            needed.append((STORE_VARIABLE, "the store's URL, which holds a password and so is not in the file"))
        return needed


def write(file: Path, answers: Answers, *, is_forced: bool = False) -> None:
    """Write the file, readable by its owner only, once it is known to load.

    Raises ConfigError when there is one already and `is_forced` is not set, when an answer cannot be used, or the folder not be written.
    """
    if os.path.lexists(file) and not is_forced:
        raise ConfigError(f"{file} is there already and was left as it is; --force replaces it, --config names another")
    if not _NAME.fullmatch(answers.merchant):
        raise ConfigError(f"--merchant: {answers.merchant!r} is not a short name of small letters, digits, - and _")
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text(answers))
        config.load(draft)
        os.replace(draft, file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
    except ConfigError as error:
        raise ConfigError(f"nothing was written: {str(error).removeprefix(f'{draft}: ')}") from None
    finally:
        draft.unlink(missing_ok=True)


def text(answers: Answers) -> str:
    """The file's text."""
    return _HEAD.format(store=_quoted(answers.store_reference)) + _MERCHANT.format(
        name=answers.merchant,
        warehouse=_quoted(answers.warehouse),
        mode=_quoted(answers.mode),
        loop_url=_quoted(answers.loop_url),
        prefix=answers.prefix,
        announce=_quoted("on_created" if answers.warehouse == "masonhub" else "off"),  # no API of Airhouse is assumed yet
        section=(_MASONHUB if answers.warehouse == "masonhub" else _AIRHOUSE).format(
            name=answers.merchant, url=_quoted(answers.warehouse_url), prefix=answers.prefix
        ),
    )


def _quoted(value: str) -> str:
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

[merchants.{name}.loop]
base_url = {loop_url}
# Needs the scopes Returns and Developer Tools.
api_key = "env:{prefix}_LOOP_API_KEY"
webhook_secret = "env:{prefix}_LOOP_WEBHOOK_SECRET"
# How far back the first sync looks, in days (1 to 120). Older returns come by 'backhaul backfill'.
first_sync_days = 7
# Loop only queues a process call: so long (in seconds) an uncertain one is left before it is looked at again.
process_settle_seconds = 900

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
# 'backhaul doctor' lists it. MasonHub knows tooBig, tooSmall, damaged, wrongItem and other.
# "Too small" = "tooSmall"
# "Too big" = "tooBig"
# "Arrived damaged" = "damaged"
# "Wrong item received" = "wrongItem"
"""

_MASONHUB = """\
[merchants.{name}.masonhub]
base_url = {url}
token = "env:{prefix}_MASONHUB_TOKEN"
# MasonHub sends it along with every callback, so that nobody else can post receipts. Of your own making.
callback_token = "env:{prefix}_MASONHUB_CALLBACK_TOKEN"
# MasonHub checks order ids when it is sent any; leave this off unless it knows your orders.
send_order_id = false
"""

_AIRHOUSE = """\
[merchants.{name}.airhouse]
base_url = {url}
api_key = "env:{prefix}_AIRHOUSE_API_KEY"
webhook_secret = "env:{prefix}_AIRHOUSE_WEBHOOK_SECRET"
# Airhouse's API is not public. Set this to true once you have compared the one you were given with the one
# that Backhaul assumes. Until then results come by 'backhaul import airhouse', and announce, below, must be off.
assumed_contract = false
"""
