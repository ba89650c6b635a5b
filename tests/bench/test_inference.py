"""The benchmark of inference measures a running node, and says what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.inference import main, percentile, run
from mlnode.tiny import make_tiny_llama


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(value) for value in range(1, 101)]

    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (50, 99, 100)
    assert percentile([3.0], 0.5) == percentile([3.0], 0.99) == 3
    assert percentile([2.0, 1.0], 0.5) == 1


def test_a_toy_run_counts_every_token_and_leaves_table_and_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = make_tiny_llama(tmp_path / "toy"), tmp_path / "figures" / "inference.json"
    words = ["--model", str(folder), "--concurrent", "1", "4", "--tokens", "5", "--rounds", "3"]

    code = main([*words, "--json", str(file), "--flags", "--threads", "1"])

    found = json.loads(file.read_text())
    assert code == 0
    assert [row["concurrent"] for row in found["rows"]] == [1, 4]
    assert [row["requests"] for row in found["rows"]] == [12, 12]
    assert [row["tokens"] for row in found["rows"]] == [60, 60]
    for row in found["rows"]:
        assert row["tokens_per_s"] == pytest.approx(row["tokens"] / row["seconds"], rel=0.02)
        assert 0 < row["first_token_p50_s"] <= row["first_token_p99_s"] <= row["seconds"]
        assert row["first_token_p50_s"] <= row["whole_p50_s"]
    assert found["up_s"] > 0
    assert found["flags"] == ["--threads", "1"]
    assert "toy, at most 5 new tokens" in capsys.readouterr().out


def test_a_node_that_refuses_ends_the_run_with_what_it_says(tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "toy")

    with pytest.raises(RuntimeError, match=r"status 429"):
        run(folder, [8], 200, 1, ["--requests-active-max", "1", "--requests-waiting-max", "0"])
