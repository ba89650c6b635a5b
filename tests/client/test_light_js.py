"""The client in JavaScript refuses and proves what the one in Python does, by the same codes."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client.light import DAY_NS
from client.verify_bundle import Trusted, verify_bundle, write_bundle
from client.verify_errors import VerifyError
from tests.client.hostile_bundles import hostile_texts
from tests.client.light_chain import block_json, now_ns
from tests.client.test_light_bundle import (
    BUNDLES,
    FOUR,
    FOUR_TRUSTED,
    NOW_NS,
    ONE_ABSENT,
    REFUSALS,
    TRUSTED,
)
from tests.conformance.proof_vectors import vectors
from tools.cosmjs import node_from_wheel
from tools.setup.console import SetupError

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client" / "js" / "verify.mjs"
CHECKS = Path(__file__).parent / "check_bundles.mjs"
Case = dict[str, Any]


def supports_ed25519(node: str) -> bool:
    script = "crypto.subtle.importKey('raw', new Uint8Array(32), {name: 'Ed25519'}, false, ['verify'])"
    command = [node, "-e", f"{script}.then(() => process.exit(0), () => process.exit(1))"]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


@pytest.fixture(scope="module")
def node() -> str:
    """Node of PATH or, with EVERGRID_TEST_NODEJS=wheel, of a wheel in a place of its own."""
    found = shutil.which("node")
    if found is None and os.environ.get("EVERGRID_TEST_NODEJS") == "wheel":
        try:
            found = str(node_from_wheel())
        except SetupError as error:
            pytest.skip(f"Node's wheel cannot be installed: {error}")
    if found is None:
        pytest.skip("there is no Node in PATH, and EVERGRID_TEST_NODEJS=wheel is not set")
    if not supports_ed25519(found):
        pytest.skip("this Node is too old: its Web Crypto has no Ed25519")
    return found


def in_javascript(node: str, cases: list[Case]) -> list[str]:
    texts = {name: write_bundle(bundle) for name, bundle in BUNDLES.items()}
    done = subprocess.run(
        [node, CHECKS],
        input=json.dumps({"bundles": texts, "cases": cases}),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    codes: list[str] = json.loads(done.stdout)
    return codes


def in_python(text: str | bytes, trusted: Trusted = TRUSTED, at_ns: int = NOW_NS) -> str:
    try:
        verify_bundle(text, trusted, at_ns)
    except VerifyError as error:
        return error.code
    return "proved"


def case(trusted: Trusted = TRUSTED, at_ns: int = NOW_NS, **fields: Any) -> Case:
    return {"height": trusted.height, "hash": trusted.hash.hex(), "nowNs": str(at_ns), **fields}


def test_the_recorded_bundles_are_proved_in_javascript(node: str) -> None:
    cases = [case(bundle=name) for name in BUNDLES]
    cases.append(case(FOUR_TRUSTED, int(FOUR["now_ns"]), text=write_bundle(ONE_ABSENT)))

    codes = in_javascript(node, cases)

    assert codes == ["proved"] * (len(BUNDLES) + 1)


@pytest.mark.parametrize("name", ["balance", "model_absent"])
def test_every_flipped_byte_is_refused_in_javascript_by_the_code_of_python(node: str, name: str) -> None:
    text = write_bundle(BUNDLES[name]).encode()
    flips = [(at, text[at] ^ 1 << at % 7) for at in range(len(text))]

    codes = in_javascript(node, [case(bundle=name, at=at, byte=byte) for at, byte in flips])

    expected = [in_python(text[:at] + bytes([byte]) + text[at + 1 :]) for at, byte in flips]
    assert codes == expected
    assert "proved" not in codes


def test_every_refusal_has_the_same_code_in_javascript(node: str) -> None:
    cases, expected = [], []
    for code, change in REFUSALS.values():
        bundle = copy.deepcopy(BUNDLES["balance"])
        change(bundle)
        cases.append(case(text=write_bundle(bundle)))
        expected.append(code)
    for trusted, at_ns, code in (
        (Trusted(TRUSTED.height, bytes(32)), NOW_NS, "forged_header"),
        (Trusted(TRUSTED.height + 1, TRUSTED.hash), NOW_NS, "wrong_height"),
        (TRUSTED, NOW_NS + 15 * DAY_NS, "trust_expired"),
        (TRUSTED, NOW_NS - DAY_NS, "from_future"),
    ):
        cases.append(case(trusted, at_ns, bundle="balance"))
        expected.append(code)

    assert in_javascript(node, cases) == expected


def test_what_hostile_bundles_hold_is_refused_in_javascript_by_the_code_of_python(node: str) -> None:
    texts = hostile_texts("balance")

    codes = in_javascript(node, [case(text=text) for text in texts])

    assert codes == [in_python(text) for text in texts]


def signed_bundle(blocks: list[dict[str, Any]], height: int, vector: dict[str, Any]) -> str:
    """A bundle over headers that the test signs; its question is answered by the vector's store of `bank`."""
    bundle = BUNDLES["balance"]
    own = {"chain_id": blocks[0]["header"]["chain_id"], "height": str(height), "blocks": blocks}
    return write_bundle({**bundle, **own, "proof": vector["ops"]})


def test_sets_of_many_validators_are_judged_alike(node: str) -> None:
    four = {"a": 10, "b": 10, "c": 10, "d": 10}
    app_hash = vectors()[0]["app_hash"].upper()
    first = block_json(1, four, four)
    seconds = [
        block_json(9, four, four, app_hash=app_hash, signers=["a", "b", "c"], nil=["d"]),
        block_json(9, four, four, signers=["a", "b"], nil=["c", "d"]),
        block_json(9, four, four, signers=["a"]),
        block_json(9, {"x": 1, "y": 1}, four),
        block_json(9, {"a": 14, "x": 1, "y": 1}, four),
        block_json(2, {"a": 10}, four),
        block_json(9, four, four, chain_id="other-1"),
        block_json(9, four, four, change=lambda each: each["header"].update(time="2023-11-15T00:00:00Z")),
        block_json(9, four, four, change=lambda each: each["header"]["version"].pop("app")),
    ]
    root = Trusted(1, bytes.fromhex(first["commit"]["block_id"]["hash"]))
    texts = [
        signed_bundle([first, second], int(second["header"]["height"]) - 1, vectors()[0])
        for second in seconds
    ]

    codes = in_javascript(node, [case(root, now_ns(9), text=text) for text in texts])

    assert codes == [in_python(text, root, now_ns(9)) for text in texts]
    assert len(set(codes)) >= 5


def test_the_command_line_tells_by_its_exit_code(node: str, tmp_path: Path) -> None:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [node, str(CLIENT), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    trust = ("--trusted-height", TRUSTED.height, "--trusted-hash", TRUSTED.hash.hex(), "--now-ns", NOW_NS)
    files = {}
    for name, bundle in BUNDLES.items():
        files[name] = tmp_path / name
        files[name].write_text(write_bundle(bundle))

    held, absent = run(files["balance"], *trust), run(files["model_absent"], *trust)
    refused = run(files["balance"], "--trusted-height", 4, *trust[2:])

    assert (held.returncode, json.loads(held.stdout)["amount"]) == (0, "1000000000000000")
    assert (absent.returncode, json.loads(absent.stdout)["value"]) == (3, None)
    assert (refused.returncode, "wrong_height" in refused.stderr) == (4, True)
    for wrong in ((), (*trust, "--trusting-period-hours", "soon"), (*trust, "--trusting-period-hours", "-1")):
        assert run(files["balance"], *wrong).returncode == 2
