"""The benchmarks measure what they say, and their table has a line for each figure that was measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from abci_app.kernel.tx import decode
from bench.__main__ import PARTS, ROWS, ROWS_OF_QUERIES, figure, machine, main
from bench.live import LiveNode, ProcessEndedError, cpu_seconds
from bench.rpc_load import bodies
from bench.sends import senders, signed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_quick_run_of_the_chain_alone_leaves_figures_and_facts_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures" / "bench.json"

    code = main(["--quick", "--only", "chain", "--json", str(file)])

    found = json.loads(file.read_text())
    assert code == 0
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["chain"]["check_tx_per_s"] > 0
    # Bigger blocks take longer, or nothing was executed.
    by_size = found["chain"]["block_ms_by_txs"]
    assert by_size["1"] < by_size["100"] < by_size["1000"]
    assert "block of 1000 sends" in capsys.readouterr().out


def test_each_line_of_the_table_belongs_to_a_benchmark_that_runs() -> None:
    names = {part.name for part in PARTS}

    assert {row.path.partition(".")[0] for row in (*ROWS, *ROWS_OF_QUERIES)} == names


def test_a_figure_that_was_not_measured_is_none() -> None:
    results = {"chain": {"block_ms_by_txs": {"1000": 5.5}, "benchmark": "chain"}}

    assert figure(results, "chain.block_ms_by_txs.1000") == 5.5
    assert figure(results, "chain.block_ms_by_txs.7") is None
    assert figure(results, "comet.committed_tx_per_s") is None
    assert figure(results, "chain.benchmark") is None


def test_the_machine_is_described_by_what_figures_depend_on() -> None:
    assert {
        "cores",
        "cpu",
        "memory_gib",
        "python",
        "cometbft",
        "libraries",
        "load_before",
    } <= machine().keys()


def test_sends_come_in_turn_of_each_accounts_sequence() -> None:
    keys = senders(3)
    numbers = {key.address: at for at, key in enumerate(keys)}

    txs = [decode(raw) for raw in islice(signed(keys, numbers, "bench-1"), 7)]

    assert [tx.signers[0] for tx in txs] == [keys[at % 3].address for at in range(7)]
    assert [tx.auth_info.signer_infos[0].sequence for tx in txs] == [0, 0, 0, 1, 1, 1, 2]


def test_the_last_request_of_a_lane_holds_what_is_left() -> None:
    found = [json.loads(body) for body in bodies([b"a", b"b", b"c"], 2)]

    assert [len(calls) for calls in found] == [2, 1]
    assert found[1][0]["params"]["tx"] == "Yw=="


def test_processor_time_grows_with_work() -> None:
    before = cpu_seconds(os.getpid())

    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass

    assert cpu_seconds(os.getpid()) - before > 0.05


def test_a_process_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    node = LiveNode(tmp_path, "bench-1")
    node.log.write_text("no module named so\n")
    node.chain = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])

    with pytest.raises(ProcessEndedError, match=r"(?s)the chain ended with 3, .*no module named so"):
        node.wait_alive("an answer", lambda: False, 60)
