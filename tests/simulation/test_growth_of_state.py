"""Nothing that belongs to an epoch or a height stays for ever: every such collection is pruned."""

from __future__ import annotations

from typing import Any, cast

import pytest

from abci_app.block_ends import PRUNE_BUDGET
from abci_app.genesis import MODULES
from abci_app.kernel.collections import NAMES, U64, Map
from abci_app.modules import epochs
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
from tests.simulation.driver import Life, genesis_chain

RETENTION, LENGTH, BLOCKS = 2, 30, 330

# What the first number in a collection's key counts. A collection with a number in its key stands here.
COUNTS = {
    "epoch": {
        "collateral/queue",
        "collateral/slashes",
        "collateral/unbonding",
        "collateral/weights",
        "epochs/records",
        "epochs/groups",
        "epochs/members",
        "epochs/free_messages",
        "guardians/decisions",
        "inference/closed",
        "inference/statistics",
        "inference/missed_by",
        "inference/served",
        "rewards/settlements",
        "rewards/amounts",
        "rewards/unpaid",
        "uptime/allocated",
        "uptime/validated",
        "~uptime/throughput_validations",
        "~uptime/allocations",
    },
    "height": {
        "hardware/retired_at",
        "inference/expiring",
        "inference/finalizing",
        "inference/poc_requests",
        "inference/tokens",
        "inference/tokens_by_height",
        "maintenance/windows",
        "maintenance/by_end",
        "maintenance/by_participant",
        "poc/batches",
        "poc/nodes",
        "poc/places",
        "poc/tallies",
        "poc/validations",
        "poc/outcomes",
        "poc/dropped",
        "~poc/claims",
        "~poc/nonces",
        "~poc/weights",
    },
    "time": {
        "auth/unordered",
        "authz/expirations",
        "feegrant/expirations",
        "gov/deposit_ends",
        "gov/voting_ends",
        "inference/requests_used",
    },
}
MODULE_NAMES = {module.name for module in MODULES}
# Numbers that are neither: proposals stay, as elsewhere; what hangs on one goes when it ends.
IDS = {"gov/proposals", "gov/deposits", "gov/votes"}


def numbered() -> dict[str, int]:
    """Every collection of the application with a number in its key, and at which place."""
    found = {}
    for name, collection in NAMES.items():
        if isinstance(collection, Map) and name.partition("/")[0].removeprefix("~") in MODULE_NAMES:
            places = [place for place, part in enumerate(collection._parts) if part is U64]
            if places:
                found[name] = places[0]
    return found


@pytest.fixture(scope="module")
def life() -> Life:
    """A random life of many epochs, of which the chain retains a few."""
    chain = genesis_chain(retention_epochs=RETENTION, guarded=True)
    found = Life(7, chain)
    for _ in range(BLOCKS):
        found.block()
    return found


def smallest(life: Life, name: str) -> int | None:
    """The smallest number in a collection's keys, None where it is empty."""
    collection, place = cast("Map[Any, Any]", NAMES[name]), numbered()[name]
    keys = collection.keys(life.chain.context())
    return min((key[place] if isinstance(key, tuple) else key for key in keys), default=None)


def test_every_collection_with_a_number_in_its_key_is_one_of_those_below() -> None:
    assert set(numbered()) <= set().union(*COUNTS.values(), IDS)


@pytest.mark.parametrize("name", sorted(COUNTS["epoch"] & set(numbered())))
def test_past_epochs_leave(life: Life, name: str) -> None:
    effective = epochs.state(life.chain.context()).epoch_effective
    oldest = smallest(life, name)

    assert effective >= 3 * RETENTION
    assert oldest is None or oldest >= effective - RETENTION - 1


@pytest.mark.parametrize("name", sorted(COUNTS["height"] & set(numbered())))
def test_past_heights_leave(life: Life, name: str) -> None:
    oldest = smallest(life, name)

    # A PoC that made an epoch began one epoch before it.
    assert oldest is None or oldest >= life.chain.height - (RETENTION + 3) * LENGTH


@pytest.mark.parametrize("name", sorted(COUNTS["time"] & set(numbered())))
def test_what_had_an_end_leaves_with_it(life: Life, name: str) -> None:
    oldest = smallest(life, name)

    assert oldest is None or oldest >= life.chain.context().block.time_ns - 11 * 60 * 10**9


def test_the_life_filled_most_of_them(life: Life) -> None:
    filled = {name for name in numbered() if smallest(life, name) is not None}

    assert filled >= {
        "collateral/weights",
        "epochs/records",
        "epochs/members",
        "inference/closed",
        "inference/statistics",
        "inference/tokens",
        "poc/batches",
        "poc/outcomes",
        "rewards/settlements",
        "rewards/amounts",
        "uptime/allocated",
        "~uptime/allocations",
    }


def test_what_hangs_on_pruned_inferences_goes_with_them(life: Life) -> None:
    ctx = life.chain.context()
    inferences = set(cast("Map[Any, Any]", NAMES["inference/inferences"]).keys(ctx))
    listed = {key[1] for key in cast("Map[Any, Any]", NAMES["inference/closed"]).keys(ctx)}
    validated = {key[0] for key in cast("Map[Any, Any]", NAMES["inference/validations"]).keys(ctx)}
    still_open = {
        key[1]
        for name in ("inference/expiring", "inference/finalizing")
        for key in cast("Map[Any, Any]", NAMES[name]).keys(ctx)
    }

    assert inferences == listed | still_open
    assert validated <= inferences


def test_no_block_prunes_more_than_the_budget(life: Life) -> None:
    pruned = [sum(count for _, count in report.pruned) for report in life.chain.reports]

    assert 0 < max(pruned) <= PRUNE_BUDGET
    assert sum(pruned) > 500


def test_params_of_the_local_profile_have_the_length_that_this_test_takes() -> None:
    params: Params = epochs.default_params("local")

    assert params.epoch.epoch_length == LENGTH
