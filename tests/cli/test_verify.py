"""`evergrid verify bundle` on what a real node proved, and the command lines of the other facts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from cli.verify import KINDS
from client.light import DAY_NS
from client.verify_bundle import write_bundle
from client.verify_facts import FACTS
from tests.chain import FUNDS, key_of

RECORDED = json.loads((Path(__file__).parents[1] / "client" / "data" / "bundles.json").read_text())
TRUST = ("--trusted-height", str(RECORDED["trusted_height"]), "--trusted-hash", RECORDED["trusted_hash"])


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def at_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of when the bundles were made."""
    monkeypatch.setattr(time, "time_ns", lambda: int(RECORDED["now_ns"]))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "balance.json"
    file.write_text(write_bundle(RECORDED["bundles"]["balance"]))
    return file


@pytest.mark.usefixtures("at_the_time")
def test_a_bundle_is_checked_without_a_network_and_says_against_which_header(bundle: Path) -> None:
    text = run("verify", "bundle", bundle, *TRUST)
    shown: Any = json.loads(run("verify", "bundle", bundle, *TRUST, "-o", "json").output)

    assert text.exit_code == 0
    assert f"amount: '{FUNDS}'" in text.output
    assert "state after block 12 of evergrid-test-1" in text.output
    assert f"header 3 ({RECORDED['trusted_hash']}) on, which you trust" in text.output
    assert shown["value"] == {"denom": "nevg", "amount": str(FUNDS)}
    assert shown["header"]["height"] == "13"
    assert shown["headers_checked"] == 2


@pytest.mark.usefixtures("at_the_time")
def test_absence_and_refusal_have_exit_codes_of_their_own(bundle: Path) -> None:
    absent = bundle.with_name("absent.json")
    absent.write_text(write_bundle(RECORDED["bundles"]["model_absent"]))
    forged = bundle.with_name("forged.json")
    forged.write_text(bundle.read_text().replace('"height":"12"', '"height":"11"'))

    found, refused = run("verify", "bundle", absent, *TRUST), run("verify", "bundle", forged, *TRUST)

    assert (found.exit_code, "there is none" in found.output) == (3, True)
    assert (refused.exit_code, "not verified, wrong_height" in refused.stderr) == (4, True)
    assert run("verify", "bundle", bundle).exit_code == 2
    assert run("verify", "bundle", bundle, "--trusted-height", 3, "--trusted-hash", "no").exit_code == 2


def test_a_bundle_is_refused_when_its_trust_has_expired(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: int(RECORDED["now_ns"]) + 15 * DAY_NS)

    refused = run("verify", "bundle", bundle, *TRUST)
    longer = run("verify", "bundle", bundle, *TRUST, "--trusting-period-hours", 24 * 20)

    assert (refused.exit_code, "trust_expired" in refused.stderr) == (4, True)
    assert longer.exit_code == 0


def test_every_fact_has_a_command_and_a_question_that_cannot_be_asked_is_a_wrong_command_line() -> None:
    assert set(KINDS) == set(FACTS)

    asked = run("verify", "epoch", "minus", *TRUST)

    assert (asked.exit_code, "no number" in asked.stderr) == (2, True)
    assert run("verify", "balance", key_of("alice").address).exit_code == 2


def test_no_answer_is_no_refusal() -> None:
    asked = run("verify", "balance", key_of("alice").address, *TRUST, "--node", "tcp://127.0.0.1:1")

    assert (asked.exit_code, "no answer" in asked.stderr) == (1, True)
