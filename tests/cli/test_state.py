"""The size of a state by collection."""

from __future__ import annotations

from abci_app.app import STORES
from abci_app.kernel.collections import NAMES
from abci_app.kernel.store import DiskStore, Overlay
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state
from tests.cli.conftest import Command


def test_keys_and_bytes_are_counted_by_collection_also_while_a_node_runs(evergrid: Command) -> None:
    owners = [
        GenesisParticipant(name, 0, (GenesisNode("gpu", ("model/x",), 10),)) for name in ("alice", "bob")
    ]
    with DiskStore(evergrid.home / "data" / "app", STORES) as store:
        chain = Chain(app_state(owners, [a_model()]), store=store)
        chain.run_to(12)
        running = evergrid.json("state", "stats")
        pairs = list(Overlay(store).iterate(b"\0", b"\xff"))
        stores = store.sizes()
    stopped = evergrid.json("state", "stats")

    counted = {row["collection"]: (row["keys"], row["bytes"]) for row in stopped["collections"]}
    assert running == stopped
    assert stopped["height"] == 12
    assert (stopped["keys"], stopped["bytes"]) == (len(pairs), sum(len(k) + len(v) for k, v in pairs))
    assert set(counted) <= set(NAMES)
    assert counted["hardware/nodes"][0] == 2
    by_store: dict[str, int] = {}
    for name, (keys, _) in counted.items():
        by_store[name.partition("/")[0]] = by_store.get(name.partition("/")[0], 0) + keys
    assert {name: size for name, size in stores.items() if size} == {
        name: size for name, size in by_store.items() if not name.startswith("~")
    }
    assert {row["collection"] for row in stopped["history"]} >= {"tree nodes", "roots"}


def test_the_table_ends_with_the_total(evergrid: Command) -> None:
    with DiskStore(evergrid.home / "data" / "app", STORES) as store:
        Chain(app_state([GenesisParticipant("alice", 10)]), store=store).run_to(2)

    shown = evergrid("state", "stats").stdout.splitlines()

    assert shown[0] == "height 2"
    assert next(line for line in shown if line.startswith("total")).split()[1].isdigit()


def test_a_home_without_a_chain_is_named(evergrid: Command) -> None:
    assert "there is no chain in this home" in evergrid.fails("state", "stats")
