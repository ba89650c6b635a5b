"""Every message of the chain has a command; those made from descriptors send what they are told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import pytest

from cli.tx import tx
from client.registry import message_types
from tests.chain import FUNDS, GENESIS_TIME_S, Chain, key_of
from tests.cli.conftest import Command

ALICE, BOB, EVE = (key_of(name).address for name in ("alice", "bob", "eve"))
SIGN = ("--from", "alice", "-y", "-b", "block")
COMMANDS = {
    "cosmos.authz.v1beta1.MsgExec": "authz exec",
    "cosmos.authz.v1beta1.MsgGrant": "authz grant",
    "cosmos.authz.v1beta1.MsgRevoke": "authz revoke",
    "cosmos.bank.v1beta1.MsgMultiSend": "bank multi-send",
    "cosmos.bank.v1beta1.MsgSend": "bank send",
    "cosmos.feegrant.v1beta1.MsgGrantAllowance": "feegrant grant",
    "cosmos.feegrant.v1beta1.MsgPruneAllowances": "feegrant prune",
    "cosmos.feegrant.v1beta1.MsgRevokeAllowance": "feegrant revoke",
    "cosmos.gov.v1.MsgCancelProposal": "gov cancel-proposal",
    "cosmos.gov.v1.MsgDeposit": "gov deposit",
    "cosmos.gov.v1.MsgSubmitProposal": "gov submit-proposal",
    "cosmos.gov.v1.MsgVote": "gov vote",
    "cosmos.gov.v1.MsgVoteWeighted": "gov weighted-vote",
    "evergrid.collateral.v1.MsgDepositCollateral": "collateral deposit",
    "evergrid.collateral.v1.MsgWithdrawCollateral": "collateral withdraw",
    "evergrid.hardware.v1.MsgSubmitHardwareDiff": "hardware submit",
    "evergrid.hardware.v1.MsgSubmitNewParticipant": "participants submit",
    "evergrid.inference.v1.MsgFinishInference": "inference finish",
    "evergrid.inference.v1.MsgStartInference": "inference start",
    "evergrid.inference.v1.MsgSubmitUnitOfComputePriceProposal": "inference price",
    "evergrid.inference.v1.MsgValidateInference": "inference validate",
    "evergrid.maintenance.v1.MsgAnnounceMaintenance": "maintenance announce",
    "evergrid.poc.v1.MsgSubmitPocBatch": "poc submit-batch",
    "evergrid.poc.v1.MsgSubmitPocValidations": "poc submit-validations",
}
# Signed by governance alone: commands propose some, `tx gov submit-proposal` takes any.
BY_GOVERNANCE = {
    "cosmos.gov.v1.MsgUpdateParams": "gov submit-proposal",
    "cosmos.upgrade.v1beta1.MsgCancelUpgrade": "upgrade cancel-upgrade",
    "cosmos.upgrade.v1beta1.MsgSoftwareUpgrade": "upgrade software-upgrade",
    "evergrid.epochs.v1.MsgUpdateParams": "gov submit-proposal",
    "evergrid.hardware.v1.MsgUpdateParams": "gov submit-proposal",
    "evergrid.models.v1.MsgRegisterModel": "models register",
    "evergrid.models.v1.MsgRetireModel": "models retire",
}


def test_every_message_is_named_here() -> None:
    assert sorted({**COMMANDS, **BY_GOVERNANCE}) == message_types()


@pytest.mark.parametrize("words", sorted({*COMMANDS.values(), *BY_GOVERNANCE.values()}))
def test_its_command_is_there(words: str) -> None:
    module, name = words.split()
    group = tx.get_command(click.Context(tx), module)

    assert isinstance(group, click.Group)
    assert name in group.list_commands(click.Context(group))


def sent(online: Command, *words: str) -> dict[str, object]:
    """The message that a command would send."""
    shown = online.json("tx", *words, "--from", "alice", "--generate-only")
    [message] = shown["body"]["messages"]
    return dict(message)


def test_a_message_made_from_its_declaration_has_what_the_options_say(online: Command) -> None:
    batch = sent(
        online,
        *("poc", "submit-batch", "--poc-stage-start-height", "7", "--node-id", "n", "--nonces", "3"),
        *("--nonces", "4", "--claims", "00ff"),
    )
    verdict = {"participant": BOB, "verdict": "VERDICT_HONEST", "sampled": 5}
    validations = sent(online, "poc", "submit-validations", "--verdicts", json.dumps([verdict]))
    judged = sent(online, "inference", "validate", "--inference-id", "i", "--result", "valid")

    assert batch["creator"] == validations["creator"] == judged["creator"] == ALICE
    assert (batch["node_id"], batch["nonces"], batch["claims"]) == ("n", ["3", "4"], "AP8=")
    assert validations["verdicts"][0]["participant"] == BOB  # type: ignore[index]
    assert judged["result"] == "VALIDATION_RESULT_VALID"


def test_all_nested_options_that_cannot_be_read_are_named(online: Command) -> None:
    words = ("tx", "poc", "submit-validations", "--verdicts", "[", "--groups", '{"colour": 1}')

    said = online.fails(*words, "--from", "alice")

    assert "--verdicts: it is no JSON" in said
    assert "--groups: " in said


def test_coins_go_to_many_whole_or_in_parts(online: Command, chain: Chain) -> None:
    before = chain.balance("bob")

    online.json("tx", "bank", "multi-send", "alice", BOB, EVE, "10nevg", "-y", "-b", "block")
    online.json("tx", "bank", "multi-send", "alice", BOB, EVE, "10nevg", "--split", "-y", "-b", "block")
    said = online.fails("tx", "bank", "multi-send", "alice", BOB, EVE, "9nevg", "--split", code=2)

    assert (chain.balance("bob") - before, chain.balance("eve")) == (15, 15)
    assert "9nevg has no 2 equal parts" in said


def test_a_vote_in_parts_and_a_withdrawn_proposal(online: Command, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"metadata": "m", "title": "t", "summary": "s", "deposit": "10000000nevg"}))
    for _ in range(2):
        online.json("tx", "gov", "submit-proposal", str(path), *SIGN)

    online.json("tx", "gov", "weighted-vote", "1", "yes=0.6,no-with-veto=0.4", *SIGN)
    online.json("tx", "gov", "cancel-proposal", "2", *SIGN)

    [vote] = online.json("query", "gov", "votes", "1")["votes"]
    assert [(each["option"], float(each["weight"])) for each in vote["options"]] == [
        ("VOTE_OPTION_YES", 0.6),
        ("VOTE_OPTION_NO_WITH_VETO", 0.4),
    ]
    assert "'yes=1.2.3' is no OPTION=WEIGHT" in online.fails(
        "tx", "gov", "weighted-vote", "1", "yes=1.2.3", code=2
    )


def to_the_present(chain: Chain) -> None:
    """Unordered transactions name a time by the clock, and the chain's must not be years behind it."""
    chain.seconds_ahead = int(time.time()) - GENESIS_TIME_S - chain.height - 1
    chain.block()


def test_an_unordered_transaction_runs_beside_others_and_has_no_sequence(
    online: Command, chain: Chain
) -> None:
    to_the_present(chain)
    before, sequence = chain.balance("bob"), chain.sequence("alice")

    online.json("tx", "bank", "send", "alice", BOB, "5nevg", "--unordered", "-y", "-b", "block")

    assert (chain.balance("bob"), chain.sequence("alice")) == (before + 5, sequence)
    assert chain.balance("alice") < FUNDS
    for words, text in (
        (("--unordered", "--sequence", "3"), "an unordered transaction has no sequence"),
        (("--timeout-duration", "5"), "--timeout-duration goes with --unordered"),
    ):
        assert text in online.fails("tx", "bank", "send", "alice", BOB, "5nevg", *words, code=2)


def test_an_unordered_transaction_is_signed_from_a_file(
    online: Command, chain: Chain, tmp_path: Path
) -> None:
    to_the_present(chain)
    before = chain.balance("bob")
    words = ("tx", "bank", "send", "alice", BOB, "5nevg", "--unordered", "--generate-only", "--gas", "200000")
    unsigned, signed = tmp_path / "unsigned.json", tmp_path / "signed.json"
    unsigned.write_text(json.dumps(online.json(*words)))

    online.json("tx", "sign", str(unsigned), "--from", "alice", "--output-document", str(signed))
    checked = online.json("tx", "validate-signatures", str(signed))
    reply = online.json("tx", "broadcast", str(signed), "-b", "block")

    assert checked["signatures"] == [{"signer": ALICE, "valid": True}]
    assert (reply["code"], chain.balance("bob")) == (0, before + 5)
