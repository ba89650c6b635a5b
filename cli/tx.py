"""`evergrid tx`: one group a module, and any message from a file."""

from __future__ import annotations

import click

from cli.lazy import LazyGroup

COMMANDS = {
    "authz": ("cli.tx_authz:authz", "Let another key sign in an account's name."),
    "bank": ("cli.tx_bank:bank", "Send coins."),
    "collateral": ("cli.tx_collateral:collateral", "Deposit and withdraw collateral."),
    "feegrant": ("cli.tx_feegrant:feegrant", "Pay the fees of another account."),
    "gov": ("cli.tx_gov:gov", "Propose, fund, vote."),
    "models": ("cli.tx_models:models", "Propose to register or retire a model."),
    "participants": ("cli.tx_hosts:participants", "Become a participant."),
    "hardware": ("cli.tx_hosts:hardware", "Declare MLNodes."),
    "maintenance": ("cli.tx_maintenance:maintenance", "Announce downtime."),
    "inference": ("cli.tx_inference:inference", "Propose a price; what API nodes send of inferences."),
    "poc": ("cli.tx_poc:poc", "Batches and verdicts, as API nodes send them."),
    "upgrade": ("cli.tx_upgrade:upgrade", "Propose a change of the software at a height."),
    "sign": ("cli.tx_sign:sign", "Sign an unsigned transaction from a file."),
    "multisign": ("cli.tx_sign:multisign", "Put the signatures of an account's owners together."),
    "validate-signatures": ("cli.tx_sign:validate_signatures", "Check the signatures of a transaction."),
    "simulate": ("cli.tx_files:simulate", "The gas that a transaction from a file needs."),
    "broadcast": ("cli.tx_files:broadcast", "Send a signed transaction from a file."),
    "encode": ("cli.tx_files:encode", "The bytes of a transaction, from JSON."),
    "decode": ("cli.tx_files:decode", "A transaction as JSON, from its bytes."),
    "msg": ("cli.tx_msg:msg", "Any message, from a JSON file."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def tx() -> None:
    """Sign and send transactions."""
