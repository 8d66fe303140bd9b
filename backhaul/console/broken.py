"""Which fields of a record in quarantine the rule is about that it broke."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_MONEY = re.compile(r"(_total|_fee|price|discount|tax|refund|gift_card)$")
_LONGEST_KEY = 100  # characters (RET-016, LINE-012, RCPT-008)


def broken_fields(record: Mapping[str, Any], reason: str) -> set[str]:
    """The names of the fields that break a rule's words (`expectations/`): those it names, or whose values are not what it asks for."""
    words = set(re.findall(r"\w{1,100}", reason.lower()))
    return {name for name, value in record.items() if _is_broken(name, value, words)}


def _is_broken(name: str, value: Any, words: set[str]) -> bool:
    if "time" in words:
        return name.endswith("_at") and isinstance(value, str) and not _is_time(value)
    if "money" in words:
        return bool(_MONEY.search(name)) and isinstance(value, str) and not _is_amount(value)
    if "characters" in words:
        return isinstance(value, str) and (len(value) > _LONGEST_KEY or not value.isprintable())
    return name in words and ("negative" not in words or str(value).startswith("-"))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_amount(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
