"""An API node that is killed when a PoC begins and comes back when it ends, with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cli.localnet_ports import base_port_free
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from tests.localnet.commands import evergrid, output_of
from tests.localnet.network import Net, write
from tests.localnet.test_duties import batches_of, mining, nonces

pytestmark = [pytest.mark.localnet, pytest.mark.xdist_group("localnet"), pytest.mark.timeout(300)]

# The window of batches is that of the profile `local`: two blocks.
FIRST_POC, END, BATCHES_END, V = 30, 8, 10, 18
PARAMS: dict[str, Any] = {
    "epoch": {"first_poc_height": FIRST_POC, "epoch_length": 32, "poc_stage_duration": END},
    "poc": {"dim": 32, "n_heads": 2, "n_kv_heads": 1, "ffn_dim": 96, "vocab": 128, "seq_len": 8},
}


@pytest.fixture(params=["inline", "committed"])
def net(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Net]:
    """One participant with one MLNode."""
    home = tmp_path_factory.mktemp("late") / "net"
    forms = {f"{form}_batches": form == request.param for form in ("inline", "committed")}
    params = write(home.parent / "params.json", PARAMS | {"poc": PARAMS["poc"] | forms})
    shown = output_of(
        *("localnet", "up", "--home", home, "--base-port", base_port_free(80, 20_000, 26_000)),
        *("--validators", 1, "--mlnodes", 1, "--params", params, "--json"),
    )
    yield Net(home, shown)
    evergrid("localnet", "down", "--home", home)


def test_an_api_node_killed_through_the_generation_sends_what_its_node_kept_and_has_the_weight(
    net: Net,
) -> None:
    net.until("the node to mine", lambda: net.height >= FIRST_POC and mining(net, 0))
    net.until("a nonce", lambda: nonces(net.mlnode_urls["node-1"]))
    net.kill("api-1")
    killed = nonces(net.mlnode_urls["node-1"])
    net.reach(FIRST_POC + END - 4)
    kept = nonces(net.mlnode_urls["node-1"])
    net.start("api-1")
    net.until("the API node to be back", lambda: net.is_up(0))
    height_back = net.height

    net.reach(FIRST_POC + BATCHES_END + 1)
    found = net.query(
        epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse
    ).upcoming.height_start
    batches = batches_of(net, FIRST_POC)
    net.reach(FIRST_POC + V + 1)
    request = epochs_pb2.QueryCurrentEpochGroupDataRequest(model_id="")
    group = net.query(request, epochs_pb2.QueryEpochGroupDataResponse).epoch_group_data

    assert found == FIRST_POC
    assert kept > killed
    assert height_back < FIRST_POC + BATCHES_END
    assert set(batches) == {"node-1"}
    (member,) = group.validation_weights
    assert member.weight >= kept
    assert [node.weight_source for node in member.ml_nodes] in ([], [reasons_pb2.REASON_MINED])
