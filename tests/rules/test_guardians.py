"""What guardians get on top of their voting power: by example and for any powers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.modules.epochs.param_checks import params_errors
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.guardians.rules import block_powers, decide
from protocol.gen.evergrid.epochs.v1.params_pb2 import GuardianParams
from protocol.gen.evergrid.reasons.v1 import reasons_pb2 as reasons

PARAMS = GuardianParams(maturity_weight=2_000, multiplier_bps=5_200)
NAMES = st.sampled_from([f"p{n}" for n in range(8)])
POWERS = st.dictionaries(NAMES, st.integers(1, 10**12), min_size=1)


@pytest.mark.parametrize(
    ("powers", "guardians", "weight", "reason", "extra"),
    [
        # 52 % of 1000 is 520; 100 are theirs, 420 are split.
        ({"a": 600, "b": 400, "g": 60, "h": 40}, ["g", "h"], 1_100, reasons.REASON_GUARDIANS_RAISED, 210),
        ({"a": 600, "b": 400, "g": 60, "h": 40}, ["g", "h"], 2_000, reasons.REASON_NETWORK_MATURE, 0),
        ({"a": 600, "b": 400, "g": 60, "h": 40}, ["x"], 1_100, reasons.REASON_GUARDIANS_ABSENT, 0),
        ({"g": 60, "h": 40}, ["g", "h"], 100, reasons.REASON_GUARDIANS_ALONE, 0),
        ({"a": 100, "g": 52}, ["g"], 152, reasons.REASON_GUARDIANS_SUFFICIENT, 0),
        ({"a": 100, "g": 90}, ["g"], 190, reasons.REASON_GUARDIANS_SUFFICIENT, 0),
        # One is missing, and there are two of them.
        ({"a": 100, "g": 50, "h": 1}, ["g", "h"], 151, reasons.REASON_GUARDIANS_SUFFICIENT, 0),
        ({}, ["g"], 0, reasons.REASON_GUARDIANS_ABSENT, 0),
    ],
)
def test_guardians_share_what_is_missing_of_their_bound_until_the_network_is_mature(
    powers: dict[str, int], guardians: list[str], weight: int, reason: reasons.Reason, extra: int
) -> None:
    decision = decide(powers, guardians, weight, PARAMS)

    assert (decision.reason, decision.extra_power) == (reason, extra)


def test_with_5200_guardians_hold_34_percent_of_the_power_in_blocks() -> None:
    powers = {"a": 600, "b": 400, "g": 60, "h": 40}

    found = block_powers(powers, decide(powers, ["g", "h"], 1_100, PARAMS))

    assert found == {"a": 600, "b": 400, "g": 270, "h": 250}
    assert 3 * (found["g"] + found["h"]) > sum(found.values())


@given(
    powers=POWERS,
    guardians=st.lists(NAMES, unique=True),
    multiplier=st.integers(0, 9_999),
    weight=st.integers(0, 4_000),
)
def test_nobody_loses_power_and_raised_guardians_stay_below_their_bound_and_the_others(
    powers: dict[str, int], guardians: list[str], multiplier: int, weight: int
) -> None:
    params = GuardianParams(maturity_weight=2_000, multiplier_bps=multiplier)

    decision = decide(powers, guardians, weight, params)
    found = block_powers(powers, decision)

    named = set(guardians)
    theirs = sum(power for who, power in found.items() if who in named)
    others = sum(power for who, power in powers.items() if who not in named)
    assert all(found[who] == power for who, power in powers.items() if who not in named)
    assert all(found[who] >= power for who, power in powers.items())
    if found != powers:
        assert weight < 2_000
        assert theirs <= decision.bound == others * multiplier // 10_000
        assert theirs < others


@given(powers=POWERS, guardians=st.lists(NAMES, unique=True))
def test_the_order_of_names_decides_nothing(powers: dict[str, int], guardians: list[str]) -> None:
    backwards = dict(reversed(powers.items()))

    decision = decide(powers, guardians, 10, PARAMS)

    assert decision == decide(backwards, guardians[::-1], 10, PARAMS)


def test_params_that_would_give_guardians_half_of_the_power_are_refused_with_all_else() -> None:
    params = default_params("local")
    params.guardians.multiplier_bps = 10_000

    assert params_errors(params) == [
        f"guardians.maturity_weight must be 1 to {2**60}",
        "guardians.multiplier_bps must be below 10000: all others must have more power than guardians",
    ]
