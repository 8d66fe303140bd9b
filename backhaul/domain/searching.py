"""What a person types into the search, and what is stored, brought to one form."""

from __future__ import annotations

import re

_CARRIER = re.compile(
    r"^(?:USPS|UPS|FED\s?EX|DHL|ON\s?TRAC|LASER\s?SHIP|CANADA\s?POST|ROYAL\s?MAIL|AUSTRALIA\s?POST|TRACKING(?:\s?(?:NUMBER|NO\.?))?)[\s:#-]{1,20}",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"[\s-]{1,100}")
_ROUTED = re.compile(r"420(?:\d{5}|\d{9})(\d{22})", re.ASCII)  # USPS: a label's barcode begins with 420 and the ZIP it goes to
LONGEST = 100  # no id is longer, and what is pasted by mistake is not looked for


def tidied(words: str) -> str:
    """The words as ids and orders are looked up by: on one line, without the order's leading `#`."""
    return _on_one_line(words).lstrip("#").strip()


def as_tracking_number(words: str) -> str:
    """A tracking number without spaces, hyphens, its carrier's name and the ZIP that USPS puts before it."""
    bare = _BLANKS.sub("", _CARRIER.sub("", _on_one_line(words)))
    routed = _ROUTED.fullmatch(bare)
    return routed[1] if routed else bare


def _on_one_line(words: str) -> str:
    return "".join(one for one in " ".join(words.split()) if one.isprintable())[:LONGEST]
