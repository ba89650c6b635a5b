"""What is left of an allowance: whatever was granted, whatever is asked of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.errors import TxError
from abci_app.modules.bank.coins import amounts_of
from abci_app.modules.feegrant import rules
from abci_app.modules.feegrant.errors import FeegrantError
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2
from protocol.gen.google.protobuf.any_pb2 import Any as PackedAny

SECOND_NS = rules.SECOND_NS
DENOMS = ("aaa", "bbb", "ccc")
SEND, VOTE = "/cosmos.bank.v1beta1.MsgSend", "/cosmos.gov.v1.MsgVote"
FEES = st.dictionaries(st.sampled_from(DENOMS), st.integers(1, 60), max_size=2)
LIMITS = st.dictionaries(st.sampled_from(DENOMS), st.integers(1, 10**3), min_size=1)
TIMES = st.lists(st.integers(0, 40), max_size=30)


def coins(amounts: dict[str, int]) -> list[Coin]:
    return [Coin(denom=denom, amount=str(amounts[denom])) for denom in sorted(amounts)]


@st.composite
def allowances(draw: st.DrawFn) -> rules.Opened:
    basic = feegrant_pb2.BasicAllowance(spend_limit=coins(draw(st.one_of(st.just({}), LIMITS))))
    if draw(st.booleans()):
        basic.expiration.seconds = draw(st.integers(0, 500))
    filtered = (SEND,) if draw(st.booleans()) else None
    if draw(st.booleans()):
        return rules.Opened(basic, filtered)
    period = feegrant_pb2.PeriodicAllowance(
        basic=basic, period_spend_limit=coins(draw(LIMITS)), period_can_spend=coins(draw(LIMITS))
    )
    period.period.FromTimedelta(timedelta(seconds=draw(st.integers(1, 60))))
    return rules.begun(rules.Opened(period, filtered), 0)


def in_all(allowance: rules.Opened) -> dict[str, int]:
    return amounts_of(allowance.basic.spend_limit)


@given(granted=allowances(), steps=st.lists(st.tuples(FEES, st.integers(0, 40)), max_size=30))
def test_what_is_left_and_what_was_paid_are_what_was_granted(
    granted: rules.Opened, steps: list[tuple[dict[str, int], int]]
) -> None:
    left: rules.Opened | None = granted
    paid, now_s = dict.fromkeys(DENOMS, 0), 0

    for fee, wait_s in steps:
        assert left is not None
        now_s += wait_s
        before = left.packed.SerializeToString(deterministic=True)
        try:
            after = rules.spent(left, fee, [SEND], now_s * SECOND_NS)
        except FeegrantError:
            # Refused: nothing changed.
            assert left.packed.SerializeToString(deterministic=True) == before
            continue
        for denom, amount in fee.items():
            paid[denom] += amount
        left = after
        if left is None:
            break
        assert rules.opened(left.packed) == left
        assert rules.problems(left.packed) == []

    rest = {} if left is None else in_all(left)
    for denom, amount in in_all(granted).items():
        assert rest.get(denom, 0) + paid[denom] == amount


@given(
    limit=LIMITS,
    now=LIMITS,
    total=st.one_of(st.just({}), LIMITS),
    period_s=st.integers(1, 60),
    steps=st.lists(st.tuples(FEES, st.integers(0, 90)), min_size=1, max_size=40),
)
def test_no_period_pays_more_than_its_limit(
    limit: dict[str, int],
    now: dict[str, int],
    total: dict[str, int],
    period_s: int,
    steps: list[tuple[dict[str, int], int]],
) -> None:
    periodic = feegrant_pb2.PeriodicAllowance(
        basic=feegrant_pb2.BasicAllowance(spend_limit=coins(total)),
        period_spend_limit=coins(limit),
        period_can_spend=coins(now),
    )
    periodic.period.seconds = period_s
    left: rules.Opened | None = rules.begun(rules.Opened(periodic), 0)
    resets: dict[int, dict[str, int]] = {}
    now_s = 0

    for fee, wait_s in steps:
        now_s += wait_s
        assert left is not None
        try:
            left = rules.spent(left, fee, [SEND], now_s * SECOND_NS)
        except FeegrantError:
            continue
        if left is None:
            break
        assert isinstance(left.limits, feegrant_pb2.PeriodicAllowance)
        reset_s = left.limits.period_reset.seconds
        assert now_s <= reset_s <= now_s + period_s
        of_period = resets.setdefault(reset_s, dict.fromkeys(DENOMS, 0))
        for denom, amount in fee.items():
            of_period[denom] += amount

    for reset_s, spent in resets.items():
        bound = now if reset_s == period_s else limit
        assert all(amount <= bound.get(denom, 0) for denom, amount in spent.items())


@given(granted=allowances(), fee=FEES, end_s=st.integers(0, 500))
def test_past_its_end_or_for_another_message_it_pays_nothing(
    granted: rules.Opened, fee: dict[str, int], end_s: int
) -> None:
    granted.basic.expiration.seconds = end_s

    with pytest.raises(FeegrantError) as late:
        rules.spent(granted, fee, [SEND], end_s * SECOND_NS + 1)
    assert late.value.code == 3
    if granted.allowed is not None:
        with pytest.raises(FeegrantError) as strange:
            rules.spent(granted, fee, [SEND, VOTE], 0)
        assert strange.value.code == 7


@given(
    url=st.sampled_from((rules.BASIC, rules.PERIODIC, rules.FILTER, "", SEND)), value=st.binary(max_size=60)
)
def test_any_bytes_are_an_allowance_or_have_a_problem(url: str, value: bytes) -> None:
    packed = PackedAny(type_url=url, value=value)

    problems = rules.problems(packed)

    assert all(issubclass(kind, TxError) and text for kind, text in problems)
    if rules.opened(packed) is None:
        assert problems


def test_a_period_is_filled_up_to_what_is_left_of_each_coin() -> None:
    periodic = feegrant_pb2.PeriodicAllowance(
        basic=feegrant_pb2.BasicAllowance(spend_limit=coins({"aaa": 5, "bbb": 100})),
        period_spend_limit=coins({"aaa": 10, "bbb": 10}),
    )
    periodic.period.seconds = 10

    left = rules.spent(rules.Opened(periodic), {}, [], 10 * SECOND_NS)

    assert left is not None
    assert isinstance(left.limits, feegrant_pb2.PeriodicAllowance)
    assert amounts_of(left.limits.period_can_spend) == {"aaa": 5, "bbb": 10}
