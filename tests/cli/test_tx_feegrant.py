"""Fees that another account pays, by the command line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chain import DENOM, Chain, key_of
from tests.cli.conftest import Command

ALICE, BOB, EVE = (key_of(name).address for name in ("alice", "bob", "eve"))
SIGN = ("--from", "alice", "-y", "-b", "block")
AS_EVE = ("--from", "eve", "-y", "-b", "block", "--fees", "200nevg")
SEND = "/cosmos.bank.v1beta1.MsgSend"


def shown(online: Command) -> Any:
    return online.json("query", "feegrant", "grant", ALICE, EVE)["allowance"]["allowance"]


def test_a_key_without_coins_sends_at_the_cost_of_its_granter(online: Command, chain: Chain) -> None:
    online.json("tx", "feegrant", "grant", EVE, "--spend-limit", "500nevg", *SIGN)
    before = chain.balance("alice")

    refused = online.fails("tx", "feegrant", "grant", BOB, *AS_EVE)
    reply = online.json("tx", "feegrant", "grant", BOB, *AS_EVE, "--fee-granter", ALICE)
    left = shown(online)
    online.json("tx", "feegrant", "revoke", EVE, *SIGN)

    assert "insufficient funds" in refused
    assert reply["code"] == 0
    assert before - chain.balance("alice") == 200
    assert left["spend_limit"] == [{"denom": DENOM, "amount": "300"}]
    assert "fee-grant not found" in online.fails("query", "feegrant", "grant", ALICE, EVE)


def test_all_options_of_an_allowance_are_in_what_is_granted(online: Command) -> None:
    options = ("--spend-limit", "500nevg", "--expiration", "2030-01-31T00:00:00Z", "--period", "3600")
    filtered = ("--period-limit", "50nevg", "--allowed-messages", f"{SEND}, /cosmos.gov.v1.MsgVote")
    online.json("tx", "feegrant", "grant", EVE, *options, *filtered, *SIGN)

    found = shown(online)
    by_granter = online.json("query", "feegrant", "grants-by-granter", ALICE)["allowances"]
    by_grantee = online.json("query", "feegrant", "grants-by-grantee", EVE)["allowances"]

    assert found["allowed_messages"] == [SEND, "/cosmos.gov.v1.MsgVote"]
    inner = found["allowance"]
    assert inner["basic"]["spend_limit"] == [{"denom": DENOM, "amount": "500"}]
    assert inner["basic"]["expiration"] == "2030-01-31T00:00:00Z"
    assert inner["period"] == "3600s"
    assert inner["period_spend_limit"] == inner["period_can_spend"] == [{"denom": DENOM, "amount": "50"}]
    assert [each["allowance"] for each in (*by_granter, *by_grantee)] == [found, found]


def test_the_granter_stands_in_what_is_shown_and_generated(online: Command) -> None:
    words = ("tx", "bank", "send", BOB, "5nevg", "--from", "alice", "--fee-granter", EVE, "--gas", "7")

    unsigned = online.json(*words, "--generate-only")
    asked = online(*words, stdin="n\n")

    assert unsigned["auth_info"]["fee"]["granter"] == EVE
    assert f"fee_granter: {EVE}" in asked.stderr


def test_a_dry_run_counts_the_gas_of_the_allowance(online: Command) -> None:
    words = ("tx", "bank", "send", ALICE, "5nevg", "--from", "bob", "--dry-run")
    online.json("tx", "feegrant", "grant", BOB, "--spend-limit", "500nevg", *SIGN)

    plain, granted = (
        int(online.json(*each)["gas_estimate"]) for each in (words, (*words, "--fee-granter", ALICE))
    )

    assert granted > plain + 5000


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((EVE, "--period", "5"), 2, "--period and --period-limit go together"),
        ((EVE, "--period-limit", "5nevg"), 2, "--period and --period-limit go together"),
        ((EVE, "--expiration", "soon"), 1, "--expiration 'soon' is no time"),
        ((EVE, "--allowed-messages", "/no.Msg"), 1, "unknown message types /no.Msg"),
        ((EVE, "--spend-limit", "5"), 1, "'5' is no amount"),
        (("eve",), 1, "'eve' is no address"),
        ((EVE, "--fee-granter", "alice"), 1, "'alice' is no address"),
        ((EVE, "--fee-granter", BOB), 1, "fee-grant not found"),
    ],
)
def test_a_grant_that_cannot_be_is_one_sentence(
    online: Command, words: tuple[str, ...], code: int, text: str
) -> None:
    assert text in online.fails("tx", "feegrant", "grant", *words, *SIGN, code=code)


def test_the_granter_may_stand_before_the_grantee(online: Command) -> None:
    online.json("tx", "feegrant", "grant", "alice", EVE, "--spend-limit", "500nevg", "-y", "-b", "block")

    found = shown(online)
    online.json("tx", "feegrant", "revoke", ALICE, EVE, "-y", "-b", "block")

    assert found["spend_limit"] == [{"denom": DENOM, "amount": "500"}]
    assert "fee-grant not found" in online.fails("query", "feegrant", "grant", ALICE, EVE)
    assert "give GRANTER and GRANTEE" in online.fails("tx", "feegrant", "revoke", ALICE, EVE, BOB, code=2)
