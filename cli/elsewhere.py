"""Commands that Cosmos SDK binaries have and this one has not, and what stands in their place."""

from __future__ import annotations

_GENESIS_VALIDATORS = (
    "the participant of `evergrid init --participant KEY` is the genesis's validator, and power in blocks "
    "comes with Proof of Compute: others join a running chain with `evergrid tx participants submit`"
)
_SNAPSHOT = (
    "a node begins with a snapshot by state sync: [statesync] of config.toml with rpc_servers, trust_height "
    "and trust_hash, then `evergrid start --with-comet`"
)
_REWARDS = "rewards are paid at each settlement: `evergrid query rewards`"
_NO_STAKE = "power comes from Proof of Compute, not from stake: `evergrid query staking validators`"

# The words behind `evergrid` -> one line: why not, and what to use.
ELSEWHERE = {
    "comet bootstrap-state": _SNAPSHOT,
    "genesis add-genesis-account": "coins from the start: `evergrid init --account KEY=AMOUNT`",
    "genesis bulk-add-genesis-account": "`evergrid init --account KEY=AMOUNT`, repeated",
    "genesis gentx": _GENESIS_VALIDATORS,
    "genesis add-genesis-validator": _GENESIS_VALIDATORS,
    "genesis collect-gentxs": _GENESIS_VALIDATORS,
    "genesis migrate": "a chain keeps its state through changes of the software: `evergrid tx upgrade "
    "software-upgrade`; `evergrid export` writes it as a genesis",
    "in-place-testnet": "`evergrid export` writes the state as a genesis; `evergrid gov preview` tries a "
    "proposal on a copy",
    "query comet-validator-set": _NO_STAKE,
    "query distribution": _REWARDS,
    "query mint": _REWARDS,
    "query slashing": "downtime and what it costs: `evergrid query uptime`, `evergrid query collateral`",
    "snapshots restore": _SNAPSHOT,
    "snapshots load": _SNAPSHOT,
    "snapshots dump": "`evergrid snapshots export`; nodes offer what is in HOME/data/snapshots to others",
    "testnet": "`evergrid localnet up --validators N`",
    "tx distribution": _REWARDS,
    "tx slashing": "downtime is announced: `evergrid tx maintenance announce`",
    "tx staking": _NO_STAKE,
}


def instead_of(command_path: str, name: str) -> str:
    """What to use for a command that is not here; empty where nothing is known of it."""
    words = f"{command_path.partition(' ')[2]} {name}".strip().replace("tendermint ", "comet ", 1)
    words = words.replace("q ", "query ", 1) if words.startswith("q ") else words
    return ELSEWHERE.get(words, "")
