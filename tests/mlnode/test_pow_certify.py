"""`evergrid mlnode certify` says whether this machine computes the puzzle, and how fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import certify as cli_certify
from mlnode import certify as certifying
from mlnode.certify import GOLDEN, certify
from mlnode.pow import PRESETS
from mlnode.tiny import make_tiny_llama
from tests.mlnode.numpy_pow import NumpyPuzzle, Shape


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(certifying, "MEASURE_SECONDS", 0.1)
    monkeypatch.setattr(cli_certify, "model_a", lambda: None)
    monkeypatch.setenv("EVERGRID_HOME", str(tmp_path / "home"))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli_certify.certify, ["--preset", "tiny", "--threads", "1", *words])


def with_claims_changed(folder: Path, by: int, count: int) -> Path:
    """The golden vectors of tiny, the first `count` claims of which are wrong by `by`."""
    vectors = json.loads((GOLDEN / "tiny.json").read_text())
    vectors["claims"][:count] = [claim + by for claim in vectors["claims"][:count]]
    (folder / "tiny.json").write_text(json.dumps(vectors))
    return folder


def test_the_golden_vectors_are_those_of_the_second_implementation() -> None:
    vectors = json.loads((GOLDEN / "tiny.json").read_text())
    names = ("dim", "n_layers", "n_heads", "n_kv_heads", "ffn_dim", "vocab", "seq_len")
    exact = NumpyPuzzle(
        Shape(*(getattr(PRESETS["tiny"], name) for name in names)), bytes.fromhex(vectors["poc_seed"])
    )

    claims = [exact.claim(bytes.fromhex(vectors["public_key"]), vectors["node_id"], n) for n in range(20)]

    assert max(abs(a - b) for a, b in zip(claims, vectors["claims"], strict=False)) <= 2


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_this_machine_matches_the_golden_vectors(dtype: str) -> None:
    report = certify(preset="tiny", dtype=dtype, device="cpu", threads=1)

    assert (report.verdict, report.exit_code, report.nonces_checked) == ("match", 0, 200)
    assert report.difference_max is not None and report.difference_max <= report.epsilon
    assert report.nonces_per_s > 0
    assert report.throughput_per_nonce is None


def test_the_suggested_throughput_is_tokens_for_each_nonce(tmp_path: Path) -> None:
    model = make_tiny_llama(tmp_path / "model")

    report = certify(preset="tiny", device="cpu", threads=1, model=model)

    assert report.tokens_per_s is not None and report.throughput_per_nonce is not None
    expected = report.tokens_per_s / report.nonces_per_s * 1e6
    assert report.throughput_per_nonce == pytest.approx(expected, rel=0.01)


def test_a_match_exits_with_0_and_writes_both_reports(tmp_path: Path) -> None:
    result = run("--json", "--report", str(tmp_path))

    assert result.exit_code == 0, result.output
    facts = json.loads(result.output)
    assert facts["verdict"] == "match"
    assert json.loads((tmp_path / "certify.json").read_text()) == facts
    assert "verdict               match" in (tmp_path / "certify.txt").read_text()


def test_without_a_folder_the_reports_are_in_the_home_and_model_a_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_tiny_llama(tmp_path / "model")
    monkeypatch.setattr(cli_certify, "model_a", lambda: model)

    result = run()

    folder = tmp_path / "home" / "certify"
    assert result.exit_code == 0, result.output
    assert f"written to {folder}" in result.output
    assert json.loads((folder / "certify.json").read_text())["throughput_per_nonce"] > 0
    assert (folder / "certify.txt").read_text() in result.output.replace(f"written to {folder}\n", "")


@pytest.mark.parametrize("device", ["cuda:99", "cpu+cuda:99", "meta", "vulkan"])
def test_a_device_that_is_not_there_is_an_error_that_names_what_is(device: str) -> None:
    missing = device.removeprefix("cpu+")
    with pytest.raises(ValueError, match=f"finds no {missing} here; there is 1 of cpu"):
        certify(preset="tiny", device=device)


@pytest.mark.parametrize(
    ("by", "count", "test"), [(2_000, 6, "mismatches"), (20, 200, "mean_square")], ids=["few", "all slightly"]
)
def test_a_tampered_vector_exits_with_2(tmp_path: Path, by: int, count: int, test: str) -> None:
    result = run("--json", "--golden", str(with_claims_changed(tmp_path, by, count)))

    assert result.exit_code == 2
    facts = json.loads(result.output)
    assert (facts["verdict"], facts["failed_tests"]) == ("mismatch", [test])


def test_a_preset_without_vectors_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="golden vectors of small, tiny, not of 'gpu24'"):
        certify(preset="gpu24")


def test_vectors_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text('{"claims": []}')

    with pytest.raises(ValueError, match="holds no golden vectors"):
        certify(preset="tiny", golden=tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("--threads", "0"),
        ("--threads", "many"),
        ("--model", "not-there"),
        ("--no-such-option",),
        ("--dtype", "bfloat16"),
    ],
)
def test_what_is_wrong_with_the_command_line_exits_with_1_as_2_says_mismatch(words: tuple[str, ...]) -> None:
    result = run(*words)

    assert result.exit_code == 1
    # What the command line's own runner says in one sentence, not a fault.
    assert isinstance(result.exception, SystemExit | ValueError)
