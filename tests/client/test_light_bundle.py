"""Bundles that a real node's state was proved with: what they prove, and that nothing in them can change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abci_app import app as chain_app
from abci_app.modules.bank.state import BALANCES
from abci_app.modules.epochs.state import GROUPS, MEMBERS, RECORDS
from abci_app.modules.models.state import MODELS
from abci_app.modules.rewards.state import AMOUNTS, SETTLEMENTS
from client.light import DAY_NS
from client.verify_bundle import Trusted, verify_bundle, write_bundle
from client.verify_errors import MalformedError, VerifyError
from client.verify_facts import FACTS, Question
from tests.chain import FUNDS, key_of
from tests.client.hostile_bundles import hostile_texts

RECORDED = json.loads((Path(__file__).parent / "data" / "bundles.json").read_text())
BUNDLES = RECORDED["bundles"]
NOW_NS = int(RECORDED["now_ns"])
TRUSTED = Trusted(RECORDED["trusted_height"], bytes.fromhex(RECORDED["trusted_hash"]))


FOUR = json.loads((Path(__file__).parent / "data" / "four_validators.json").read_text())
FOUR_TRUSTED = Trusted(FOUR["trusted_height"], bytes.fromhex(FOUR["trusted_hash"]))
ONE_ABSENT = FOUR["bundles"]["absent_validator"]


def check(bundle: dict[str, Any], trusted: Trusted = TRUSTED, now_ns: int = NOW_NS) -> Any:
    return verify_bundle(write_bundle(bundle), trusted, now_ns)


def test_what_a_real_node_proved_is_proved_without_it() -> None:
    balance, group = check(BUNDLES["balance"]), check(BUNDLES["group"])

    assert balance.shown == {"denom": "nevg", "amount": str(FUNDS)}
    assert group.shown["epoch_index"] == "0"
    assert check(BUNDLES["model_absent"]).shown is None
    assert check(BUNDLES["reward_absent"]).shown is None
    assert (balance.height, balance.header.height, balance.headers) == (12, 13, 2)
    assert check(BUNDLES["sequential"]).headers == 11


def test_a_header_of_a_real_network_that_one_of_four_validators_did_not_sign_is_enough() -> None:
    votes = ONE_ABSENT["blocks"][-1]["commit"]["signatures"]

    proved = check(ONE_ABSENT, FOUR_TRUSTED, int(FOUR["now_ns"]))

    assert sorted(vote["block_id_flag"] for vote in votes) == [1, 2, 2, 2]
    assert proved.shown is not None
    assert proved.shown["member_count"] == 4


@pytest.mark.parametrize("name", ["balance", "model_absent"])
def test_no_byte_of_a_bundle_can_be_another(name: str) -> None:
    text = write_bundle(BUNDLES[name]).encode()

    for at in range(len(text)):
        changed = text[:at] + bytes([text[at] ^ 1 << at % 7]) + text[at + 1 :]
        with pytest.raises(VerifyError):
            verify_bundle(changed, TRUSTED, NOW_NS)


@pytest.mark.parametrize("name", ["balance", "model_absent"])
def test_whatever_a_hostile_bundle_holds_it_is_refused_by_name(name: str) -> None:
    texts = hostile_texts(name)

    for text in texts:
        with pytest.raises(VerifyError) as error:
            verify_bundle(text, TRUSTED, NOW_NS)
        # Whoever shows the reason must be able to write it.
        assert str(error.value).encode(), text[:300]
    assert len(texts) > 1000


REFUSALS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "another store": ("wrong_store", lambda b: b.update(store="auth")),
    "another height": ("wrong_height", lambda b: b.update(height="11")),
    "another value": ("wrong_value", lambda b: b.update(value="00")),
    "absence": ("wrong_value", lambda b: b.update(value=None)),
    "another account": ("wrong_key", lambda b: b["question"].update(args=["evergrid1x"])),
    "another question": ("wrong_store", lambda b: b["question"].update(kind="model")),
    "another chain": ("wrong_chain", lambda b: b.update(chain_id="other-1")),
    "a forged header": ("forged_header", lambda b: b["blocks"][1]["header"].update(app_hash="AB" * 32)),
    "a forged root": ("forged_header", lambda b: b["blocks"][0]["header"].update(app_hash="AB" * 32)),
    "no signatures": (
        "wrong_validators",
        lambda b: b["blocks"][0]["commit"].update(signatures=[]),
    ),
    "an absent validator": (
        "too_few_signatures",
        lambda b: b["blocks"][0]["commit"]["signatures"][0].update(
            block_id_flag=1, validator_address="", timestamp="0001-01-01T00:00:00Z", signature=None
        ),
    ),
    "no last header": ("wrong_height", lambda b: b["blocks"].pop()),
    "a missing root": ("wrong_height", lambda b: b["blocks"].pop(0)),
    "no blocks": ("malformed", lambda b: b["blocks"].clear()),
    "an unknown format": ("malformed", lambda b: b.update(format="evergrid-proof/2")),
    "an unknown fact": ("malformed", lambda b: b["question"].update(kind="weather")),
    "a proof of something else": ("malformed", lambda b: b["proof"].pop(0)),
}


@pytest.mark.parametrize(("code", "change"), REFUSALS.values(), ids=REFUSALS)
def test_a_bundle_with_something_else_in_it_is_refused_by_name(
    code: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    bundle = copy.deepcopy(BUNDLES["balance"])

    change(bundle)

    with pytest.raises(VerifyError) as error:
        check(bundle)
    assert error.value.code == code, error.value


def test_who_trusts_another_header_or_comes_too_late_learns_so() -> None:
    other = Trusted(TRUSTED.height, bytes(32))
    elsewhere = Trusted(TRUSTED.height + 1, TRUSTED.hash)
    cases = [(other, NOW_NS, "forged_header"), (elsewhere, NOW_NS, "wrong_height")]
    cases += [(TRUSTED, NOW_NS + 15 * DAY_NS, "trust_expired"), (TRUSTED, NOW_NS - DAY_NS, "from_future")]

    for trusted, now_ns, code in cases:
        with pytest.raises(VerifyError) as error:
            check(BUNDLES["balance"], trusted, now_ns)
        assert error.value.code == code


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format":1}', b"\xff"])
def test_what_is_no_bundle_is_malformed(text: str | bytes) -> None:
    with pytest.raises(MalformedError):
        verify_bundle(text, TRUSTED, NOW_NS)


def test_every_fact_lies_under_the_key_that_the_chain_writes() -> None:
    who = key_of("alice").address
    expected = {
        Question("model", ("org/x",)): MODELS.key_bytes("org/x"),
        Question("epoch", ("7",)): RECORDS.key_bytes(7),
        Question("epoch", ("7", "org/x")): GROUPS.key_bytes((7, "org/x")),
        Question("group", ("7",)): GROUPS.key_bytes((7, "")),
        Question("group", ("7", "org/x")): GROUPS.key_bytes((7, "org/x")),
        Question("slot", ("7", "org/x", who, "node-1")): MEMBERS.key_bytes((7, "org/x", who)),
        Question("weight", ("7", who)): MEMBERS.key_bytes((7, "", who)),
        Question("weight", ("7", who, "org/x")): MEMBERS.key_bytes((7, "org/x", who)),
        Question("settlement", ("7",)): SETTLEMENTS.key_bytes(7),
        Question("reward", ("7", who)): AMOUNTS.key_bytes((7, who)),
        Question("balance", (who,)): BALANCES.key_bytes((who, "nevg")),
        Question("balance", (who, "uatom")): BALANCES.key_bytes((who, "uatom")),
    }

    assert {question.kind for question in expected} == set(FACTS)
    for question, key in expected.items():
        assert question.store.encode() + b"/" + question.key == key
        assert question.store in chain_app.STORES


@pytest.mark.parametrize("args", [(), ("1", "2", "3"), ("x",), ("-1",), (str(2**64),)])
def test_a_question_that_cannot_be_asked_is_refused(args: tuple[str, ...]) -> None:
    with pytest.raises(MalformedError):
        _ = Question("epoch", args).key
