"""Keys: distinct per effect; a content hash that changes with the content and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.keys import canonical, content_hash, effect_key, forms, hash_of
from backhaul.domain.words import DeliveryKind


def test_every_effect_has_its_own_key() -> None:
    keys = [
        effect_key(kind, return_id, draft_hash)
        for return_id in ("1", "11")
        for kind in DeliveryKind
        for draft_hash in (("aa", "bb") if kind == DeliveryKind.RMA_UPDATE else (None,))
    ]
    assert len(set(keys)) == len(keys) == 16


def test_the_keys_are_the_documented_ones() -> None:
    assert effect_key(DeliveryKind.LOOP_PROCESS, "42") == "loop.process:42"
    assert effect_key(DeliveryKind.RMA_CREATE, "42") == "rma.create:42"
    assert effect_key(DeliveryKind.RMA_UPDATE, "42", "0a1b") == "rma.update:42:0a1b"


def test_an_update_needs_the_hash_of_its_draft_and_nothing_else_takes_one() -> None:
    with pytest.raises(ValueError, match=r"rma\.update needs"):
        effect_key(DeliveryKind.RMA_UPDATE, "42")
    with pytest.raises(ValueError, match=r"loop\.process takes no"):
        effect_key(DeliveryKind.LOOP_PROCESS, "42", "0a1b")


def test_equal_amounts_have_the_same_hash() -> None:
    same = {content_hash((Decimal(text),)) for text in ("78.00", "78.0", "78", "7.8E+1")}
    assert len(same) == 1
    assert content_hash((Decimal("0.00"),)) == content_hash((Decimal("-0"),))
    assert content_hash((Decimal(100),)) == content_hash((Decimal("1E+2"),)) != content_hash((Decimal(1),))


def test_amounts_beyond_the_usual_precision_still_differ() -> None:
    assert content_hash((Decimal("1234567890123456789012345678.01"),)) != content_hash((Decimal("1234567890123456789012345678.02"),))


def test_equal_instants_have_the_same_hash_whatever_their_zone() -> None:
    at = datetime(2026, 11, 1, 9, 0, 0, 5, tzinfo=UTC)
    assert content_hash((at,)) == content_hash((at.astimezone(timezone(timedelta(hours=-5))),))
    assert content_hash((at,)) != content_hash((at + timedelta(microseconds=1),))


def test_values_that_mean_different_things_have_different_hashes() -> None:
    values: list[object] = [None, "", "null", 0, "0", Decimal(0), False, "false", True, 1, "1", Decimal(1), "d1", Decimal(-1), Decimal(-2)]
    assert len({content_hash((value,)) for value in values}) == len(values)


def test_a_naive_time_and_a_float_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        content_hash((datetime(2026, 11, 1),))
    with pytest.raises(TypeError, match="float"):
        content_hash((1.5,))


def test_the_hash_is_the_same_in_another_process() -> None:
    row = "('4812345', None, True, 3, Decimal('78.00'), datetime(2026, 11, 1, tzinfo=UTC), 'caf\\u00e9 \\ud800')"
    program = (
        "from datetime import UTC, datetime; from decimal import Decimal; from backhaul.domain.keys import content_hash; "
        f"print(content_hash({row}))"
    )
    told = {
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert told == {content_hash(("4812345", None, True, 3, Decimal("78.0"), datetime(2026, 11, 1, tzinfo=UTC), "caf\u00e9 \ud800")) + "\n"}


value = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.integers(-3, 3),
    st.booleans(),
    st.decimals(-1000, 1000, places=2),
    st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(value, min_size=1, max_size=4), st.integers(0, 3), value)
def test_a_row_has_another_hash_exactly_when_one_of_its_values_changed(row: list[object], place: int, new: object) -> None:
    changed = list(row)
    changed[place % len(row)] = new
    typed = [[(type(value), value) for value in values] for values in (row, changed)]
    assert (content_hash(row) == content_hash(changed)) == (typed[0] == typed[1])


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(value, min_size=width, max_size=width), max_size=6)))
def test_many_rows_at_once_have_the_hashes_that_each_has_alone(rows: list[list[object]]) -> None:
    places = range(len(rows[0]) if rows else 0)
    assert [hash_of(text) for text in canonical(forms(rows, places), places)] == [content_hash(row) for row in rows]


@given(st.lists(st.text(alphabet='",\\a', max_size=4), min_size=2, max_size=3), st.sampled_from([",", '","']))
def test_no_text_can_pass_for_two_columns(texts: list[str], glue: str) -> None:
    assert content_hash([glue.join(texts)]) != content_hash(texts)
