"""`evergrid tx poc`: what API nodes send by themselves, by hand."""

from __future__ import annotations

import click

from cli.tx_generate import message_command


@click.group()
def poc() -> None:
    """Send batches and verdicts of a Proof of Compute, as API nodes do by themselves."""


poc.add_command(
    message_command(
        "submit-batch",
        "evergrid.poc.v1.MsgSubmitPocBatch",
        "Submit nonces that a node found, with their claims or their root.",
    )
)
poc.add_command(
    message_command(
        "submit-validations",
        "evergrid.poc.v1.MsgSubmitPocValidations",
        "Submit verdicts on the nonces of other participants.",
    )
)
