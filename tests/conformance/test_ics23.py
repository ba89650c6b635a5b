"""Proofs of the state against the reference implementation of ICS-23, and recorded ones without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abci_app.app import STORES
from client.verify_errors import VerifyError
from client.verify_proof import Op, verify_key
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state
from tests.conformance.proof_vectors import FILE, vectors

Vector = dict[str, Any]
RECORDED: list[Vector] = json.loads(FILE.read_text())
BUILD_SECONDS = 240.0


def name_of(vector: Vector) -> str:
    kind = "absent" if vector["value"] is None else "present"
    return f"{vector['store']}-{kind}-{vector['key'][:12]}-{vector['app_hash'][:4]}"


def check(vector: Vector) -> None:
    ops = [Op(op["type"], bytes.fromhex(op["key"]), bytes.fromhex(op["data"])) for op in vector["ops"]]
    value = None if vector["value"] is None else bytes.fromhex(vector["value"])
    verify_key(bytes.fromhex(vector["app_hash"]), vector["store"], bytes.fromhex(vector["key"]), value, ops)


def links(vector: Vector) -> list[dict[str, Any]]:
    """What the reference implementation is asked: each link with the root that the next one proves."""
    from cosmpy.protos.cosmos.ics23.v1 import proofs_pb2

    store_op = vector["ops"][-1]
    proof = proofs_pb2.CommitmentProof.FromString(bytes.fromhex(store_op["data"]))
    root = proof.exist.value.hex() if proof.HasField("exist") else None
    asked = [
        {
            "spec": store_op["type"],
            "root": vector["app_hash"],
            "key": vector["store"].encode().hex(),
            "value": root,
            "proof": store_op["data"],
        }
    ]
    if root is not None:
        op = vector["ops"][0]
        held = {"key": vector["key"], "value": vector["value"]}
        asked.append({"spec": op["type"], "root": root, "proof": op["data"], **held})
    return asked


def flipped(text: str) -> list[str]:
    """The hex text with each of its bytes changed in turn."""
    raw = bytes.fromhex(text)
    return [(raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]).hex() for at in range(len(raw))]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[dict[str, Any]]], list[bool]]:
    """The program in Go; what it answers to links."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not on this machine")
    program = tmp_path_factory.mktemp("go") / "ics23"
    build = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=Path(__file__).parent / "ics23",
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if build.returncode:
        offline = any(word in build.stderr for word in ("dial tcp", "lookup ", "module lookup disabled"))
        assert offline, build.stderr
        pytest.skip("the module github.com/cosmos/ics23/go is not cached, and the network is absent")

    def ask(asked: list[dict[str, Any]]) -> list[bool]:
        done = subprocess.run(
            [program], input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=True
        )
        answers: list[bool] = json.loads(done.stdout)
        return answers

    return ask


@pytest.mark.parametrize("vector", RECORDED, ids=name_of)
def test_a_recorded_proof_is_accepted_and_no_byte_of_it_can_be_another(vector: Vector) -> None:
    check(vector)

    # Where a whole store is empty, any other key is truly absent too.
    places = ("app_hash", "key", "value") if len(vector["ops"]) > 1 else ("app_hash",)
    for place in places:
        for text in flipped(vector[place] or ""):
            with pytest.raises(VerifyError):
                check(vector | {place: text})
    for at, op in enumerate(vector["ops"]):
        for place in ("key", "data"):
            for text in flipped(op[place]):
                ops = [*vector["ops"][:at], op | {place: text}, *vector["ops"][at + 1 :]]
                with pytest.raises(VerifyError):
                    check(vector | {"ops": ops})


def test_the_store_still_makes_the_recorded_proofs() -> None:
    assert vectors() == RECORDED


def test_a_proof_serves_for_no_other_store_value_or_absence() -> None:
    held = next(each for each in RECORDED if each["value"] and len(each["ops"]) == 2)
    absent = next(each for each in RECORDED if each["value"] is None and len(each["ops"]) == 2)
    other = next(each for each in RECORDED if each["store"] == "poc")
    refused = {
        "wrong_store": held | {"store": "poc"},
        "wrong_value": held | {"value": None},
        "wrong_root": held | {"ops": [held["ops"][0], other["ops"][1]]},
        "malformed": held | {"ops": held["ops"][:1]},
        "wrong_key": held | {"key": absent["key"]},
    }

    for code, vector in refused.items():
        with pytest.raises(VerifyError) as error:
            check(vector)
        if code != "wrong_root":
            assert error.value.code == code
        else:
            assert error.value.code in {"wrong_root", "wrong_store"}
    with pytest.raises(VerifyError, match="of absence"):
        check(absent | {"value": "00"})


def test_the_reference_implementation_accepts_the_recorded_proofs(
    reference: Callable[[list[dict[str, Any]]], list[bool]],
) -> None:
    asked = [link for vector in RECORDED for link in links(vector)]

    answers = reference(asked)

    assert len(answers) > len(RECORDED)
    assert [link for link, holds in zip(asked, answers, strict=True) if not holds] == []


def test_the_reference_implementation_accepts_what_a_chain_proves_of_each_of_its_stores(
    reference: Callable[[list[dict[str, Any]]], list[bool]],
) -> None:
    node = GenesisNode("node-1", ("model/x",), 100)
    chain = Chain(app_state([GenesisParticipant("alice", nodes=(node,))], [a_model()]))
    chain.run_to(12)
    found = [each for name in STORES if not name.startswith("~") for each in proved_by(chain, name)]

    answers = reference([link for vector in found for link in links(vector)])

    for vector in found:
        check(vector)
    assert all(answers)
    assert {each["store"] for each in found} == {name for name in STORES if not name.startswith("~")}


@pytest.mark.parametrize(
    ("path", "key", "height", "words"),
    [
        ("/store/~poc/key", b"claims/a", 0, "not a key of a store under the app hash"),
        ("/store/mint/key", b"a", 0, "not a key of a store under the app hash"),
        ("/store/bank/key", b"", 0, "not a key of a store under the app hash"),
        ("/store/bank/key", b"a", 99, "height 99 is not available"),
        ("/store/bank/key", b"a", -1, "height -1 is not available"),
    ],
)
def test_what_cannot_be_proved_is_answered_with_a_reason(
    path: str, key: bytes, height: int, words: str
) -> None:
    chain = Chain(app_state(funded=["alice"]))
    chain.run_to(2)

    answer = chain.app.query(abci.RequestQuery(path=path, data=key, height=height, prove=True))

    assert (answer.code, answer.codespace) == (18, "sdk")
    assert words in answer.log
    assert not answer.proof_ops.ops


def proved_by(chain: Chain, name: str) -> list[Vector]:
    """All keys of a store, and one that it does not have, as `abci_query` proves them."""
    store = chain.app.store
    with store.at(chain.height) as view:
        app_hash = view.app_hash
        keys = [key.partition(b"/")[2] for key, _ in view.iterate(name.encode() + b"/", name.encode() + b"0")]
    return [queried(chain, app_hash, name, key) for key in [*keys, b"no such key"]]


def queried(chain: Chain, app_hash: bytes, name: str, key: bytes) -> Vector:
    request = abci.RequestQuery(path=f"/store/{name}/key", data=key, height=chain.height, prove=True)
    answer = chain.app.query(request)
    assert (answer.code, answer.height, answer.key) == (0, chain.height, key), answer.log
    held = chain.app.store.get(name.encode() + b"/" + key)
    ops = [{"type": op.type, "key": op.key.hex(), "data": op.data.hex()} for op in answer.proof_ops.ops]
    return {
        "app_hash": app_hash.hex(),
        "store": name,
        "key": key.hex(),
        "value": None if held is None else answer.value.hex(),
        "ops": ops,
    }
