"""`evergrid query`: one group a module, made from its Query service, and what CometBFT knows."""

from __future__ import annotations

import click

from cli.lazy import LazyGroup

# Module -> (file of its queries, one line of help).
MODULES = {
    "auth": ("protocol.gen.cosmos.auth.v1beta1.query_pb2", "Accounts."),
    "authz": ("protocol.gen.cosmos.authz.v1beta1.query_pb2", "What accounts let others sign."),
    "bank": ("protocol.gen.cosmos.bank.v1beta1.query_pb2", "Balances and supply."),
    "feegrant": ("protocol.gen.cosmos.feegrant.v1beta1.query_pb2", "Fees that accounts pay for others."),
    "gov": ("protocol.gen.cosmos.gov.v1.query_pb2", "Proposals, deposits, votes."),
    "collateral": ("protocol.gen.evergrid.collateral.v1.collateral_pb2", "Deposits, withdrawals, slashes."),
    "consensus": ("protocol.gen.cosmos.consensus.v1.query_pb2", "Limits that all validators share."),
    "guardians": (
        "protocol.gen.evergrid.guardians.v1.guardians_pb2",
        "Power in blocks while the network is small.",
    ),
    "models": ("protocol.gen.evergrid.models.v1.models_pb2", "The registry of governance models."),
    "hardware": ("protocol.gen.evergrid.hardware.v1.hardware_pb2", "Participants and their MLNodes."),
    "epochs": ("protocol.gen.evergrid.epochs.v1.epochs_pb2", "Epochs, their groups and stages."),
    "participants": (
        "protocol.gen.evergrid.participants.v1.participants_pb2",
        "The state of participants.",
    ),
    "poc": ("protocol.gen.evergrid.poc.v1.poc_pb2", "Proof of Compute: batches, verdicts, weights."),
    "upgrade": ("protocol.gen.cosmos.upgrade.v1beta1.query_pb2", "Planned changes of the software."),
    "uptime": (
        "protocol.gen.evergrid.uptime.v1.uptime_pb2",
        "Who serves during Proof of Compute, throughput.",
    ),
    "inference": ("protocol.gen.evergrid.inference.v1.inference_pb2", "Inferences, prices, executors."),
    "staking": (
        "protocol.gen.cosmos.staking.v1beta1.query_pb2",
        "Participants with voting power, as wallets and explorers ask for validators.",
    ),
    "explain": ("protocol.gen.evergrid.explain.v1.explain_pb2", "Why the chain decided as it did."),
    "maintenance": ("protocol.gen.evergrid.maintenance.v1.maintenance_pb2", "Announced downtime."),
    "rewards": ("protocol.gen.evergrid.rewards.v1.rewards_pb2", "Settlements and emission."),
}
COMET = {
    "tx": ("cli.chain:query_tx", "A transaction by its hash."),
    "wait-tx": ("cli.chain:wait_tx", "Wait until a transaction is in a block."),
    "txs": ("cli.chain:query_txs", "Transactions by their events."),
    "block": ("cli.chain:query_block", "A block by its height or hash, or the latest."),
    "block-results": ("cli.chain:query_block_results", "What the transactions of a block did."),
}


class QueryGroup(LazyGroup):
    """Modules are groups of generated commands; the rest is imported as everywhere."""

    def load(self, name: str) -> click.Command:
        if name not in MODULES:
            return super().load(name)
        from cli.generate import module_group  # noqa: PLC0415 - brings protobuf

        return module_group(name, *MODULES[name])


@click.group(
    cls=QueryGroup, lazy={**{name: ("", text) for name, (_, text) in MODULES.items()}, **COMET}, name="query"
)
def query() -> None:
    """Ask the chain."""
