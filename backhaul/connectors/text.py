"""The one door for vendors' words: what a vendor wrote, made fit to parse, to store and to show. All of it in linear time.

| what comes | function | what is left |
|---|---|---|
| a body | `mended` | JSON without NUL and lone surrogates (U+FFFD in their place), nothing nested over 100 deep, none of our keys |
| a text of a record | `plain` | printable, one line, cut |
| what a vendor says to people: refusals, causes, codes | `words` | the same, without secrets, e-mail addresses, phones, addresses |
| a record that cannot be decoded | `kept` | the wanted fields alone, each through `words` where it is free text |

Cut first, then substituted, so that a long text costs no more than a short one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

WORDS_LIMIT = 200  # characters of what a vendor says
PLAIN_LIMIT = 500  # characters of one text of a record
BODY_LIMIT = 65_536  # characters of a record that is kept; a return of 50 lines has a fourth of it
DEEPEST = 100  # levels; every documented body has fewer than ten
GONE: Final = "\N{REPLACEMENT CHARACTER}"
_SHORTEST_SECRET = 8
_LOOKED_AT = 5 * WORDS_LIMIT
_MARKS = re.compile(rb'["\\\[\]{}]')
_NEEDLESS = re.compile(rb"\\u00[2-7]")  # .NET escapes a key's `+`, others its `=`
_ESCAPE = re.compile(rb"\\(?:u00([2-7][0-9A-Fa-f])|.)", re.DOTALL)
_CONTROLS = bytes(max(code, 32) for code in range(256))  # within a text they are an error, between tokens they mean nothing
# fmt: off
_STREETS = frozenset({
    "street", "st", "avenue", "ave", "road", "rd", "lane", "ln", "drive", "dr", "boulevard", "blvd", "way", "court", "ct", "place",
    "pl", "square", "sq", "terrace", "highway", "hwy", "parkway", "straße", "strasse", "str", "weg", "platz", "gasse", "allee", "rue",
    "via", "calle",
})
# fmt: on
_STREET_ENDS = ("straße", "strasse", "str", "gasse", "platz", "allee", "weg")
# fmt: off
_LABELS = frozenset({
    "name", "customer", "customer_name", "first_name", "last_name", "firstname", "lastname", "recipient", "consignee", "address",
    "address1", "address2", "city", "zip", "zipcode", "postcode", "phone", "telephone", "tel", "mobile", "email", "e-mail",
})
# fmt: on
_secrets: set[str] = set()


def shield(parts: Iterable[str]) -> None:
    """Have `words` take these out of whatever a vendor says, from now on: keys and tokens, for as long as this process lives."""
    _secrets.update(part for part in parts if len(part) >= _SHORTEST_SECRET)  # a shorter one is a word of any sentence


def fingerprint(raw: bytes) -> str:
    """`sha256:…` of the bytes, the key of a record that has no readable id."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def mended(body: bytes, secrets: Sequence[str] = ()) -> bytes:
    """A body in which nothing is left that one bad record could fail its page by; what is no JSON at all stays as it is.

    NUL, lone surrogates, bytes that are no UTF-8 and control characters become U+FFFD or a space, so that an id that held one can be told
    from one that did not; what is nested too deep becomes null. `secrets` are taken out wherever they stand.
    """
    if secrets and _NEEDLESS.search(body):
        body = _ESCAPE.sub(_unescaped, body)
    for secret in secrets:
        for form in {secret.encode(), secret.replace("/", "\\/").encode()}:  # PHP escapes slashes
            body = body.replace(form, b"[secret]")
    if b"\\u0000" not in body and _is_sound(body):
        return body
    readable = body.decode("utf-8", "replace").encode()
    return b"".join(_repaired(readable.translate(_CONTROLS)))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """A printable letter of ASCII as itself, but for those that JSON must escape."""
    letter = bytes([int(escape[1], 16)]) if escape[1] else b""
    return escape[0] if letter in (b"", b'"', b"\\", b"\x7f") else letter


def _is_sound(body: bytes) -> bool:
    try:
        if not body.isascii():
            body.decode()
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _repaired(body: bytes) -> Iterator[bytes]:
    """The pieces of a body, with null for what is too deep and U+FFFD for an escape that stands for no character."""
    depth, in_text, done, skip_to = 0, False, 0, 0
    for mark in _MARKS.finditer(body):
        at = mark.start()
        if at < skip_to:
            continue
        sign = body[at]
        if in_text:
            if sign == 0x5C:  # a backslash
                skip_to = at + 2
                if body[at + 1 : at + 2] == b"u":
                    length, is_bad = _escape(body, at)
                    skip_to = at + length
                    if is_bad and depth <= DEEPEST:
                        yield body[done:at] + b"\\ufffd"
                        done = skip_to
            elif sign == 0x22:
                in_text = False
        elif sign == 0x22:
            in_text = True
        elif sign in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                yield body[done:at] + b"null"
        elif sign in b"]}":
            depth -= 1
            if depth == DEEPEST:
                done = at + 1
    if depth <= DEEPEST:
        yield body[done:]


def _escape(body: bytes, at: int) -> tuple[int, bool]:
    """The length of the `\\uXXXX` at a place, with its second half where it is a pair, and whether it stands for no character."""
    unit = _unit(body, at)
    if unit is None or not (unit == 0 or 0xD800 <= unit <= 0xDFFF):
        return 6 if unit is not None else 2, False
    if 0xD800 <= unit <= 0xDBFF and 0xDC00 <= (_unit(body, at + 6) or 0) <= 0xDFFF:
        return 12, False
    return 6, True


def _unit(body: bytes, at: int) -> int | None:
    digits = body[at + 2 : at + 6]
    if body[at : at + 2] != b"\\u" or len(digits) != 4 or not all(digit in b"0123456789abcdefABCDEF" for digit in digits):
        return None
    return int(digits, 16)


def plain(text: str, limit: int = PLAIN_LIMIT) -> str:
    """A text of a record: printable, one line, at most `limit` characters."""
    if len(text) > limit:
        text = text[:limit]
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def words(said: str, limit: int = WORDS_LIMIT) -> str:
    """What a vendor says to people, fit to store and show: one printable line of at most `limit` characters.

    Our secrets are out of it, and what looks personal: e-mail addresses, numbers of five digits or more (phones, zips), what follows a
    label such as `name:`, a house number with its street. A name that stands alone in a sentence cannot be told from any other word.
    """
    looked_at = said[:_LOOKED_AT]
    for secret in _secrets:
        looked_at = looked_at.replace(secret, "[secret]")
    tokens = plain(looked_at, len(looked_at)).split()
    if len(said) > _LOOKED_AT and not said[_LOOKED_AT].isspace() and tokens:
        tokens.pop()  # half of a word could be half of a secret
    return " ".join(_without_personal(tokens))[:limit]


def _without_personal(tokens: Sequence[str]) -> Iterator[str]:
    place = 0
    while place < len(tokens):
        for length, instead in _FINDERS:
            taken = length(tokens, place)
            if taken:
                yield instead
                place += taken
                break
        else:
            yield tokens[place]
            place += 1


def _labelled(tokens: Sequence[str], place: int) -> int:
    """`name: Sam Shopper,` as far as its comma, eight words at most."""
    if tokens[place][-1] not in ":=" or _bare(tokens[place]) not in _LABELS:
        head, sign, rest = tokens[place].replace("=", ":").partition(":")
        return 1 if sign and rest and _bare(head) in _LABELS else 0
    for length, token in enumerate(tokens[place + 1 : place + 9], start=2):
        if token[-1] in ",;":
            return length
    return len(tokens[place : place + 9])


def _emailed(tokens: Sequence[str], place: int) -> int:
    folded = tokens[place].casefold()
    return int(len(folded) > 1 and any(sign in folded for sign in ("@", "\N{FULLWIDTH COMMERCIAL AT}", "%40", "&#64;")))


def _addressed(tokens: Sequence[str], place: int) -> int:
    """`1 Example Street` and `Musterstraße 12`: a house number and a street, at most four words apart."""
    if tokens[place][0].isdigit() and len(_bare(tokens[place])) <= 6:
        for length, token in enumerate(tokens[place + 1 : place + 5], start=2):
            if _bare(token) in _STREETS:
                return length
    following = tokens[place + 1 : place + 2]
    is_street = _bare(tokens[place]).endswith(_STREET_ENDS) and tokens[place][0].isupper()
    return 2 if is_street and following and following[0][0].isdigit() else 0


def _numbered(tokens: Sequence[str], place: int) -> int:
    """A run of words that are numbers, where it has five digits or more; a date alone is none."""
    length = digits = 0
    for token in tokens[place : place + 8]:
        bare = token.strip(".,:;'\"()[]{}<>#")
        if not bare or not bare[-1].isdigit() or not all(char.isdigit() or char in "+()-./ " for char in bare):
            break
        if length == 0 and _is_date(bare):
            return 0
        if length and _addressed(tokens, place + length):
            break  # the next number is a house's
        length += 1
        digits += sum(char.isdigit() for char in bare)
    return length if digits >= 5 else 0


def _is_date(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [4, 2, 2] and all(part.isdigit() for part in parts)


def _bare(token: str) -> str:
    return token.strip(".,:;=!?'\"()[]{}<>").casefold()


_FINDERS = ((_emailed, "[e-mail]"), (_labelled, "[personal]"), (_addressed, "[address]"), (_numbered, "[number]"))


def kept(raw: bytes, wanted: frozenset[str], containers: frozenset[str], free: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The record with only `wanted` keys, at any depth; what is not a JSON object leaves only its size.

    Values are kept where they belong: text under a wanted key that is no container, never as an element of a list; objects and lists of
    objects with what is wanted of them. What is under a `free` key may be anything a person wrote, and passes `words`.
    """
    try:
        record = msgspec.json.decode(mended(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    return _kept(record, wanted, containers, free) if isinstance(record, dict) else {"unreadable_bytes": len(raw)}


def _kept(record: dict[str, Any], wanted: frozenset[str], containers: frozenset[str], free: frozenset[str]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for key, value in record.items():
        if key not in wanted:
            continue
        if isinstance(value, dict):
            left[key] = _kept(value, wanted, containers, free)
        elif isinstance(value, list):
            left[key] = [_kept(item, wanted, containers, free) for item in value if isinstance(item, dict)]
        elif key not in containers:
            left[key] = _value(value, is_free=key in free)
    return left


def _value(value: Any, *, is_free: bool) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if not isinstance(value, str):
        return words(repr(value)) if is_free and len(repr(value)) >= 5 else value
    # An id is a short text without spaces; anything else under an id's key is free text in the wrong place.
    is_ident = not is_free and len(value) <= WORDS_LIMIT and value.isprintable() and not _emailed([value], 0)
    return value if is_ident and not any(secret in value for secret in _secrets) else words(value)
