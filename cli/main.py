"""The command `evergrid`: its tree of commands, each imported when it is used."""

from __future__ import annotations

import click

from cli.errors import Root
from cli.options import ROOT_OPTIONS

COMMANDS = {
    "init": ("cli.node:init", "Write the configuration, the keys and the genesis of a new home."),
    "start": ("cli.node:start", "Run the chain's application, alone or together with CometBFT."),
    "status": ("cli.chain:status", "Show what a node knows of itself and of the chain."),
    "keys": ("cli.keys:keys", "Manage the keys that sign transactions."),
    "tx": ("cli.tx:tx", "Sign and send transactions."),
    "query": ("cli.query:query", "Ask the chain."),
    "verify": ("cli.verify:verify", "Prove what the chain's state holds, and trust no node."),
    "explain": ("cli.explain:explain", "Say why the chain decided as it did."),
    "diff": ("cli.diff:diff", "What changed between two epochs, and why."),
    "rehearse": ("cli.rehearse:rehearse", "What the next Proof of Compute would bring."),
    "api": ("cli.services:api", "Run an API node, or look at one."),
    "node": ("cli.node_group:node", "Steer the MLNodes of a running API node."),
    "doctor": ("cli.doctor:doctor", "Find everything that is wrong with a machine's set-up."),
    "mlnode": ("cli.services:mlnode", "Run an MLNode, or compute nonces."),
    "localnet": ("cli.localnet:localnet", "Run a local network in the background."),
    "demo": ("cli.demo:demo", "Run a network of two participants through whole epochs."),
    "sim": ("cli.sim:sim", "Simulate networks, their participants and attacks on them."),
    "gov": ("cli.gov:gov", "See what a proposal would do."),
    "upgrade": ("cli.upgrade:upgrade", "Prepare a planned change of the software."),
    "state": ("cli.state:state", "See what a node's store holds."),
    "config": ("cli.config:config", "Read and change the settings of a home."),
    "comet": ("cli.comet:comet", "Show what CometBFT holds in a home, or reset it."),
    "chain-registry": (
        "cli.chain_registry:chain_registry",
        "Write what wallets and explorers read about a chain.",
    ),
    "genesis": ("cli.genesis:genesis", "Check what a chain begins with."),
    "snapshots": ("cli.snapshots:snapshots", "See, take and remove snapshots of the state."),
    "rollback": ("cli.rollback:rollback", "Take the state of a stopped node back by one block."),
    "prune": ("cli.prune:prune", "Forget earlier states of a stopped node."),
    "export": ("cli.export:export", "Write the state as a genesis file."),
    "completion": ("cli.completion:completion", "Print the script that completes commands in a shell."),
    "version": ("cli.version:version", "Show the version."),
    # Without a line of help, a command is there and not listed.
    "docs": ("cli.docs:docs", ""),
    "q": ("cli.query:query", ""),
    "tendermint": ("cli.comet:comet", ""),
}


@click.group(
    cls=Root,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    params=ROOT_OPTIONS,
)
def cli(**_shared: str | None) -> None:
    """Evergrid: a network of GPU owners that serves AI models.

    An option counts before its environment variable, then HOME/config/client.toml, then the default.
    """


def main() -> None:
    """Entry point of the console script."""
    cli.main(prog_name="evergrid")


if __name__ == "__main__":
    main()
