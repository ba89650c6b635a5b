"""The first state of a chain: a profile's start values, and the accounts, participants and models given."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from google.protobuf import json_format
from google.protobuf.message import Message

from abci_app.genesis import parse_genesis
from abci_app.modules import epochs, gov
from abci_app.node.config import ConfigError
from abci_app.params_file import ParamsError, merge_params
from protocol import address
from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.pool import POOL

TEMPLATES: Final = Path(__file__).resolve().parents[2] / "cometbft-config"
PROFILES: Final = ("local", "testnet", "mainnet")
DENOM: Final = "nevg"
SECOND_NS: Final = 10**9


@dataclass(frozen=True)
class GenesisNode:
    """An MLNode that is there from the start; weight is what it has in group 0."""

    node_id: str
    models: tuple[str, ...]
    weight: int = 0
    host: str = "127.0.0.1"
    port: int = 8080
    # Of its one piece of hardware; 0: it declares none.
    memory_mib: int = 0


@dataclass(frozen=True)
class GenesisParticipant:
    """A participant from the start: public_key 33 bytes, validator_key 32; weight is of itself alone."""

    public_key: bytes
    validator_key: bytes
    weight: int = 0
    url: str = ""
    worker_key: str = ""
    nodes: tuple[GenesisNode, ...] = field(default=())

    @property
    def address(self) -> str:
        """Of the account."""
        return address.account(self.public_key)


def profile_values(profile: str) -> dict[str, Any]:
    """What a profile's file says; raises ConfigError where there is none of the name."""
    if profile not in PROFILES:
        raise ConfigError(f"a profile is one of {', '.join(PROFILES)}, not {profile!r}")
    text = (TEMPLATES / "profiles" / f"{profile}.json").read_text()
    return cast("dict[str, Any]", json.loads(text))


def make_app_state(
    profile: str,
    *,
    balances: Mapping[str, int] | None = None,
    participants: Sequence[GenesisParticipant] = (),
    models: Sequence[models_pb2.Model] = (),
    params: params_pb2.Params | None = None,
    guardians: Sequence[str] = (),
) -> dict[str, Any]:
    """The state of all modules, as JSON; balances in nevg by address; models are proposed by governance.

    guardians: addresses of participants. Raises ConfigError, or GenesisError with everything that is wrong.
    """
    values = profile_values(profile)
    params = params or epochs.default_params(profile)
    check_guardians(guardians, (each.address for each in participants), params)
    voting_period_ns = values["voting_period_seconds"] * SECOND_NS
    fees = {"denom": DENOM, "minimum_gas_price_micro": str(values["minimum_gas_price_micro"])}
    state = {
        "auth": {"fees": fees},
        "bank": {
            "balances": [
                {"address": holder, "coins": [{"denom": DENOM, "amount": str(amount)}]}
                for holder, amount in sorted((balances or {}).items())
            ],
            "denom_metadata": json.loads((TEMPLATES / "denom.json").read_text()),
        },
        "models": {"models": [{"proposed_by": gov.GOV_ADDRESS} | _json(model) for model in models]},
        "hardware": _hardware(participants),
        **({"guardians": {"guardians": list(guardians)}} if guardians else {}),
        "epochs": {
            "params": _json(params),
            "weights": list(_weights(participants)),
        },
        "gov": {
            "starting_proposal_id": "1",
            "params": _json(gov.default_params(DENOM, voting_period_ns)),
        },
    }
    parse_genesis(state)
    return state


def make_genesis(
    chain_id: str,
    profile: str,
    app_state: Mapping[str, Any],
    validators: Sequence[tuple[bytes, int]],
    time: datetime | None = None,
) -> dict[str, Any]:
    """CometBFT's genesis document; validators as (ed25519 key, power) rule until a group has voting power."""
    moment = (time or datetime.now(UTC)).astimezone(UTC)
    return {
        "genesis_time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "chain_id": chain_id,
        "initial_height": "1",
        "consensus_params": profile_values(profile)["consensus_params"],
        "validators": [
            {
                "address": address.consensus_address(key).hex().upper(),
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(key).decode()},
                "power": str(power),
                "name": "",
            }
            for key, power in validators
        ],
        "app_hash": "",
        "app_state": dict(app_state),
    }


def params_with(profile: str, changes: Mapping[str, Any]) -> params_pb2.Params:
    """A profile's params with those of a JSON object in their place; raises ConfigError.

    What has no start value is off: `guardians` and `collateral` are turned on by being in it.
    """
    profile_values(profile)
    try:
        return merge_params(epochs.default_params(profile), changes)
    except ParamsError as error:
        raise ConfigError(str(error)) from error


def check_guardians(guardians: Sequence[str], participants: Iterable[str], params: params_pb2.Params) -> None:
    """Raises ConfigError unless the guardians are participants, and the params say what they get."""
    known = set(participants)
    wrong = []
    if unknown := [who for who in guardians if who not in known]:
        wrong.append(f"guardians must be participants of the genesis: {', '.join(unknown)}")
    if guardians and not params.HasField("guardians"):
        wrong.append("guardians need the params `guardians`: maturity_weight and multiplier_bps")
    if wrong:
        raise ConfigError("; ".join(wrong))


def check_unbonding(profile: str, params: params_pb2.Params) -> None:
    """Raises ConfigError where collateral is paid back before misbehaviour under it may be known.

    CometBFT takes evidence for so many blocks, even where the time that it gives is over.
    """
    if not params.HasField("collateral"):
        return
    blocks = int(profile_values(profile)["consensus_params"]["evidence"]["max_age_num_blocks"])
    needed = -(-blocks // params.epoch.epoch_length)
    if params.collateral.unbonding_epochs < needed:
        raise ConfigError(
            f"collateral.unbonding_epochs must be at least {needed} where anyone may join: evidence of"
            f" misbehaviour is taken for {blocks} blocks, and an epoch has {params.epoch.epoch_length}"
        )


def _json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=POOL)


def _hardware(participants: Sequence[GenesisParticipant]) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = []
    for participant in participants:
        for node in participant.nodes:
            declared = hardware_pb2.MLNode(
                node_id=node.node_id,
                status=hardware_pb2.ML_NODE_STATUS_ENABLED,
                models=node.models,
                host=node.host,
                port=node.port,
            )
            if node.memory_mib:
                declared.hardware.add(type="CPU", count=1, memory_mib=node.memory_mib)
            nodes.append(
                {"participant": participant.address, "node": _json(declared), "sequence": str(len(nodes))}
            )
    return {
        "participants": [_json(_participant(each)) for each in participants],
        "nodes": nodes,
        "node_sequence": str(len(nodes)),
    }


def _participant(given: GenesisParticipant) -> hardware_pb2.Participant:
    return hardware_pb2.Participant(
        address=given.address,
        url=given.url,
        validator_key=given.validator_key,
        worker_key=given.worker_key,
        public_key=given.public_key,
        status=hardware_pb2.PARTICIPANT_STATUS_ACTIVE,
    )


def _weights(participants: Sequence[GenesisParticipant]) -> list[dict[str, str]]:
    weights = []
    for participant in participants:
        if participant.weight:
            weights.append({"participant": participant.address, "weight": str(participant.weight)})
        weights += [
            {"participant": participant.address, "node_id": node.node_id, "weight": str(node.weight)}
            for node in participant.nodes
            if node.weight
        ]
    return weights
