"""A change of the software at a height: planned by vote, awaited, applied once, rehearsed before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abci_app import upgrades
from abci_app.app import STORES, App
from abci_app.genesis import export_genesis
from abci_app.invariants import broken
from abci_app.kernel.store import DiskStore
from abci_app.modules import bank, upgrade
from abci_app.rehearsal import rehearse
from abci_app.upgrades import HANDLERS, UpgradeNeededError
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.upgrade.v1beta1 import query_pb2
from protocol.gen.cosmos.upgrade.v1beta1.tx_pb2 import MsgCancelUpgrade, MsgSoftwareUpgrade
from protocol.gen.cosmos.upgrade.v1beta1.upgrade_pb2 import Plan
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import DENOM, GOV, Chain, GenesisParticipant, a_model, app_state, key_of
from tests.stages.test_governance import passed, proposal_of

if TYPE_CHECKING:
    from abci_app.kernel.context import Context

HEIGHT = 40


def to_community(ctx: Context) -> None:
    """What the upgrade of these tests does: a gift from alice."""
    bank.send_coins(ctx, key_of("alice").address, key_of("bob").address, {DENOM: 1000})


def two_voters(**options: object) -> Chain:
    voters = [GenesisParticipant("alice", 10), GenesisParticipant("bob", 10)]
    return Chain(app_state(voters, [a_model()]), **options)  # type: ignore[arg-type]


def planned(name: str = "v2", height: int = HEIGHT, **options: object) -> Chain:
    chain = two_voters(**options)
    message = MsgSoftwareUpgrade(authority=GOV, plan=Plan(name=name, height=height, info="see the notes"))
    assert passed(chain, message).status == gov_pb2.PROPOSAL_STATUS_PASSED
    return chain


def current(chain: Chain) -> query_pb2.QueryCurrentPlanResponse:
    return chain.query(query_pb2.QueryCurrentPlanRequest(), query_pb2.QueryCurrentPlanResponse)


def applied(chain: Chain, name: str = "v2") -> int:
    request = query_pb2.QueryAppliedPlanRequest(name=name)
    return chain.query(request, query_pb2.QueryAppliedPlanResponse).height


def test_software_without_the_upgrade_halts_before_its_height_and_leaves_nothing_of_it() -> None:
    chain = planned()
    chain.run_to(HEIGHT - 1)
    app_hash = chain.store.app_hash

    with pytest.raises(UpgradeNeededError, match=r"upgrade 'v2' is due at height 40 .*see the notes"):
        chain.block()

    assert (chain.store.version, chain.store.app_hash) == (HEIGHT - 1, app_hash)
    assert App(chain.store).info(abci.RequestInfo()).last_block_height == HEIGHT - 1


def test_software_with_the_upgrade_goes_on_after_the_halt_and_applies_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = planned()
    chain.run_to(HEIGHT - 1)
    with pytest.raises(UpgradeNeededError):
        chain.block()
    before = chain.balance("bob")

    monkeypatch.setitem(HANDLERS, "v2", to_community)
    chain.run_to(HEIGHT + 5)

    assert chain.balance("bob") - before == 1000
    assert applied(chain) == HEIGHT
    assert not current(chain).HasField("plan")
    assert upgrade.is_applied(chain.context(), "v2")
    assert broken(chain.context()) == []


def test_software_that_knows_both_sides_of_the_height_never_halts(monkeypatch: pytest.MonkeyPatch) -> None:
    halted, updated = planned(), None
    halted.run_to(HEIGHT - 1)
    monkeypatch.setitem(HANDLERS, "v2", to_community)
    updated = planned()

    for chain in (halted, updated):
        chain.run_to(HEIGHT + 3)

    assert halted.store.app_hash == updated.store.app_hash


def test_software_older_than_the_state_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(HANDLERS, "v2", lambda _ctx: None)
        chain = planned()
        chain.run_to(HEIGHT)

    with pytest.raises(UpgradeNeededError, match=r"been through upgrades .*: v2"):
        App(chain.store).info(abci.RequestInfo())


def test_a_cancelled_plan_halts_nobody() -> None:
    chain = planned(height=200)
    shown = current(chain).plan
    passed(chain, MsgCancelUpgrade(authority=GOV))

    chain.run_to(205)

    assert (shown.name, shown.height, shown.info) == ("v2", 200, "see the notes")
    assert not current(chain).HasField("plan")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (MsgSoftwareUpgrade(authority=GOV, plan=Plan(name="v 2", height=1)), "name 'v 2' is not"),
        (MsgSoftwareUpgrade(authority=GOV, plan=Plan(name="v 2", height=1)), "height 1 is not after"),
        (MsgSoftwareUpgrade(authority=GOV), "name '' is not"),
        (MsgCancelUpgrade(authority=GOV), "no upgrade is planned"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_when_it_is_proposed(
    message: MsgSoftwareUpgrade | MsgCancelUpgrade, text: str
) -> None:
    result = two_voters().deliver("alice", proposal_of(message))

    assert result.code != 0
    assert text in result.log


def test_only_governance_plans() -> None:
    chain = two_voters()
    mine = MsgSoftwareUpgrade(authority=key_of("alice").address, plan=Plan(name="v2", height=100))

    result = chain.deliver("alice", mine)

    assert (result.codespace, result.code) == ("sdk", 4)


def test_the_exported_plans_build_the_same_state_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HANDLERS, "v2", lambda _ctx: None)
    chain = planned()
    chain.run_to(HEIGHT)
    passed(chain, MsgSoftwareUpgrade(authority=GOV, plan=Plan(name="v3", height=500)))
    exported = export_genesis(chain.context())

    again = Chain(exported, initial_height=chain.height + 1)

    assert exported["upgrade"]["applied"] == [{"name": "v2", "height": str(HEIGHT)}]
    assert export_genesis(again.context())["upgrade"] == exported["upgrade"]


def stopped(folder: Path, height: int) -> bytes:
    """A node on disk, stopped at a height; returns its app hash."""
    with DiskStore(folder, STORES) as store:
        chain = planned(store=store)
        chain.run_to(height)
        return chain.store.app_hash


def test_a_rehearsal_on_a_copy_shows_the_app_hash_and_leaves_the_state_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_hash = stopped(tmp_path / "app", 30)
    monkeypatch.setitem(HANDLERS, "v2", to_community)

    first = rehearse(tmp_path / "app", tmp_path / "one", "v2", 5)
    second = rehearse(tmp_path / "app", tmp_path / "two", "v2", 5)

    assert first == second
    assert (first.height_copied, first.height_applied, first.height_last) == (30, 32, 37)
    assert first.broken == ()
    with DiskStore(tmp_path / "app", STORES) as store:
        assert (store.version, store.app_hash) == (30, app_hash)
    with DiskStore(tmp_path / "one", STORES) as store:
        assert store.app_hash.hex().upper() == first.app_hash
        assert upgrade.is_applied(App(store).context_at(), "v2")


def test_a_rehearsal_of_the_planned_height_needs_no_plan_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path / "app", HEIGHT - 1)
    monkeypatch.setitem(HANDLERS, "v2", to_community)

    found = rehearse(tmp_path / "app", tmp_path / "copy", "v2", 2)

    assert (found.height_applied, found.height_last) == (HEIGHT, HEIGHT + 2)


def test_a_rehearsal_names_the_invariants_that_an_upgrade_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path / "app", 30)

    def breaks(ctx: Context) -> None:
        bank.mint(ctx, "inference", {DENOM: 5})

    monkeypatch.setitem(HANDLERS, "v2", breaks)
    found = rehearse(tmp_path / "app", tmp_path / "copy", "v2", 1)

    assert found.broken[0] == "height 32: the account inference holds 5nevg and owes 0nevg"


def test_a_rehearsal_of_an_unknown_upgrade_names_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(upgrades.HANDLERS, "v9", to_community)

    with pytest.raises(UpgradeNeededError, match="does not have the upgrade 'v2'; it has: v9"):
        rehearse(tmp_path / "app", tmp_path / "copy", "v2", 1)
