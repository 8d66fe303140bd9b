"""Guards: what is held, at its limit and one beyond, as the table in `domain/guards.py` says."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backhaul.domain.guards import FEWEST_FOR_A_SHARE, Beyond, Limits, Sent, ToSend, after, judge
from backhaul.domain.words import DeliveryKind, Guard

FLAG = ToSend(DeliveryKind.LOOP_FLAG)


def process(value: str | None = "10.00", currency: str | None = "USD") -> ToSend:
    return ToSend(DeliveryKind.LOOP_PROCESS, None if value is None else Decimal(value), currency)


def held(one: ToSend, sent: Sent, limits: Limits) -> Guard | None:
    verdict = judge(one, sent, limits)
    return verdict.guard if verdict else None


def usd(amount: str) -> dict[str, Decimal]:
    return {"USD": Decimal(amount)}


def test_without_limits_everything_goes_out() -> None:
    assert judge(process("1e9"), Sent(processes=10**6), Limits()) is None and judge(FLAG, Sent(flags=99, decisions=99), Limits()) is None


@pytest.mark.parametrize(
    ("sent", "limits", "guard"),
    [
        (Sent(processes=199), Limits(processes_per_hour=200), None),
        (Sent(processes=200), Limits(processes_per_hour=200), Guard.PROCESSES_PER_HOUR),
        (Sent(value=usd("4990.00")), Limits(value_per_hour=usd("5000")), None),
        (Sent(value=usd("4990.01")), Limits(value_per_hour=usd("5000")), Guard.VALUE_PER_HOUR),
        (Sent(value={"EUR": Decimal(4999)}), Limits(value_per_hour=usd("5000")), None),
        (Sent(), Limits(value_of_one=usd("10")), None),
        (Sent(), Limits(value_of_one=usd("9.99")), Guard.VALUE_OF_ONE),
        (Sent(), Limits(value_of_one={"EUR": Decimal(1)}), None),
        (Sent(ever=49), Limits(hold_first=50), Guard.HOLD_FIRST),
        (Sent(ever=50), Limits(hold_first=50), None),
    ],
)
def test_a_process_is_held_one_beyond_its_limit(sent: Sent, limits: Limits, guard: Guard | None) -> None:
    assert held(process(), sent, limits) == guard
    assert held(FLAG, sent, limits) is None


@pytest.mark.parametrize("limits", [Limits(value_of_one=usd("500")), Limits(value_per_hour=usd("500"))])
@pytest.mark.parametrize("one", [process(None), process("1.00", None)])
def test_a_value_that_is_not_known_is_beyond_every_limit_to_values(one: ToSend, limits: Limits) -> None:
    assert held(one, Sent(), limits) is not None


def test_flags_are_held_once_they_are_too_large_a_share_of_enough() -> None:
    limits = Limits(flag_share_per_day=Decimal("0.3"))
    assert held(FLAG, Sent(flags=FEWEST_FOR_A_SHARE - 2, decisions=FEWEST_FOR_A_SHARE - 2), limits) is None
    assert held(FLAG, Sent(flags=5, decisions=FEWEST_FOR_A_SHARE - 1), limits) is None
    assert held(FLAG, Sent(flags=6, decisions=FEWEST_FOR_A_SHARE - 1), limits) == Guard.FLAG_SHARE_PER_DAY
    assert held(process(), Sent(flags=99, decisions=99), limits) is None


def test_the_words_say_by_how_much() -> None:
    verdict = judge(process("20.05"), Sent(value=usd("4990.01")), Limits(value_per_hour=usd("5000")))
    assert verdict == Beyond(Guard.VALUE_PER_HOUR, "it would make 5010.06 USD within an hour, 10.06 beyond the limit of 5000")


@given(st.lists(st.decimals(min_value=0, max_value=999, places=2), max_size=40), st.integers(0, 20), st.decimals(0, 5000, places=2))
def test_whatever_comes_no_hour_sends_more_than_its_limits(values: list[Decimal], most: int, total: Decimal) -> None:
    limits, sent = Limits(processes_per_hour=most, value_per_hour={"USD": total}), Sent()
    for value in values:
        one = ToSend(DeliveryKind.LOOP_PROCESS, value, "USD")
        if judge(one, sent, limits) is None:
            sent = after(one, sent)
    assert sent.processes <= most and sent.value.get("USD", Decimal(0)) <= total
