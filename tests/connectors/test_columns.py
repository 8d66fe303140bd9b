"""A column that is parsed at once is what each of its values is, parsed by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from backhaul.connectors import parse
from backhaul.connectors.frames import Unreadable, parsed
from backhaul.domain.columns import once_each

PLAIN = ["a", "A 1", "#1001", "N/A", "12.50"]
PLAIN_TIMES = ["2026-03-01T10:00:00.000Z", "2026-03-01 10:00:00", "2026-03-01T10:00:00.123456"]
LONG = ["x" * length for length in (100, 101, 255, 256, 500, 501)]
ODD = ["", " ", "\t", "a\n", "\ufffd", "\x00", "é", 1, 1.0, True, False, 0, None, *LONG]
ODD_TIMES = ["2026-02-30 10:00:00", "2026-03-01", "2026-03-01T10:00:00+02:00", "2026-03-01 10:00:00.12", "2026-03-01T10:00:00ZZ"]
PARSERS = [parse.text, parse.ident, parse.key, parse.sku, parse.time, parse.money, parse.text_or_na]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("plain", [PLAIN, PLAIN_TIMES, [*PLAIN_TIMES, None], []])
def test_a_column_is_parsed_as_its_values_are(plain: list[Any], parser: Any) -> None:
    for odd in ([], *([one] for one in ODD + ODD_TIMES + PLAIN), [1, True, 1.0]):
        values = [*plain, *odd, *plain]
        alone = [parser(value) for value in values]
        assert [(type(value), value) for value in parsed(values, parser)] == [(type(value), value) for value in alone], odd
        unread = Unreadable()
        assert unread.parse("field", values, parser) == [None if value is parse.UNPARSED else value for value in alone]
        assert unread.column(len(values)) == ["field" if value is parse.UNPARSED else None for value in alone]


@pytest.mark.parametrize(("values", "is_plain"), [(["2026-03-01 10:00:00", None], True), (["2026-03-01"], False), ([], True)])
def test_plain_times_are_parsed_at_once(values: list[Any], is_plain: bool) -> None:
    assert (parse.AT_ONCE[parse.time](values) is not None) == is_plain


def test_what_stands_in_several_rows_is_converted_once() -> None:
    one, same, asked = datetime(2026, 3, 1), datetime(2026, 3, 1), []
    assert once_each(lambda value: (asked.append(value), str(value))[1], [one, None, one, same]) == [str(one), "None", str(one), str(one)]
    assert asked == [one, None, same]
