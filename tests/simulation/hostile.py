"""A life among enemies: keys rotate, validators misbehave, verdicts lie, governance turns every number.

`python -m tests.simulation.hostile --seed 1 --blocks 300` prints the app hash, the digest of all results and
what happened.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.modules import epochs
from abci_app.modules.gov import state as gov_state
from client.tx import pack
from protocol import possession
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from tests.chain import DENOM, GOV, a_model, key_of, validator_key_of, validator_of
from tests.simulation.driver import MODELS, NAMES, Life, genesis_chain

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

NODE_IDS = ("n1", "n2", "n3", "é", "\u202e", "a\0b", "", "/" * 64, "x" * 65, "\U0001d54f")
EXTREMES = (0, 1, 2, 3, 7, 9_999, 10_000, 2**31 - 1, 2**32 - 1)
OPTIONS = (gov_pb2.VOTE_OPTION_YES,) * 9 + (gov_pb2.VOTE_OPTION_NO_WITH_VETO,)


@dataclass
class HostileLife(Life):
    """`fallen` counts those who misbehaved, `changes` the params that passed."""

    keys: dict[str, str] = field(default_factory=dict)
    fallen: int = 0
    changes: int = 0

    def block(self) -> None:
        before = epochs.params(self.chain.context())
        super().block()
        self.changes += epochs.params(self.chain.context()) != before
        assert self.chain.bugs == []

    def misbehaving(self) -> list[bytes]:
        """Rarely one of them, never one of the last two."""
        name = self.random.choice(NAMES)
        standing = epochs.voting_powers(self.chain.context())
        if len(standing) <= 2 or self.random.random() > 0.02:
            return []
        self.fallen += 1
        return [validator_key_of(self.keys.get(name, name)), b"\0" * 32]

    def _messages(self) -> list[tuple[str, Message]]:
        found = super()._messages()
        acts = (self._rotate, self._price, self._odd_node, self._govern, self._cancel)
        found += [act() for act in acts if self.random.random() < 0.15]
        found += self._votes()
        self.random.shuffle(found)
        return found

    def _rotate(self) -> tuple[str, Message]:
        """A new consensus key, or one that somebody else holds, or held."""
        name = self.random.choice(NAMES)
        key = f"{self.random.choice(NAMES)}{self.random.randrange(3)}"
        creator = key_of(name).address
        message = hardware_pb2.MsgSubmitNewParticipant(
            creator=creator,
            url=f"http://{name}.test",
            validator_key=validator_key_of(key),
            proof_of_possession=possession.sign(validator_of(key), self.chain.chain_id, creator),
        )
        self.keys[name] = key
        return name, message

    def _price(self) -> tuple[str, Message]:
        name = self.random.choice(NAMES)
        price = self.random.choice((0, 1, 50, 2**32 - 1, 2**64 - 1))
        return name, inference_pb2.MsgSubmitUnitOfComputePriceProposal(
            creator=key_of(name).address, price=price
        )

    def _odd_node(self) -> tuple[str, Message]:
        name = self.random.choice(NAMES)
        diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(name).address)
        node_id = self.random.choice(NODE_IDS)
        if self.random.random() < 0.4:
            diff.removed.append(node_id)
        else:
            models = self.random.sample((*MODELS, "m/new"), self.random.randint(1, 2))
            status = self.random.choice((0, 1, 2))
            diff.new_or_modified.add(node_id=node_id, models=models, host="h", port=1, status=status)
        return name, diff

    def _govern(self) -> tuple[str, Message]:
        name = self.random.choice(NAMES)
        messages = self.random.choices(
            (self._params_message(), self._retire(), self._register(), self._limits(), self._by_gov()),
            k=self.random.randint(1, 3),
        )
        return name, gov_tx.MsgSubmitProposal(
            messages=[pack(message) for message in messages],
            initial_deposit=[Coin(denom=DENOM, amount="10000000")],
            proposer=key_of(name).address,
            title="t",
            summary="s",
            expedited=self.random.random() < 0.1,
        )

    def _params_message(self) -> epochs_pb2.MsgUpdateParams:
        params = epochs.params(self.chain.context())
        for _ in range(20):
            trial = epochs_pb2.MsgUpdateParams(authority=GOV, params=params)
            self._turn(trial.params)
            if not epochs.params_errors(trial.params) and trial.params.epoch.epoch_length <= 60:
                return trial
        return epochs_pb2.MsgUpdateParams(authority=GOV, params=params)

    def _turn(self, params: Params) -> None:
        """One to three numbers become extreme."""
        for _ in range(self.random.randint(1, 3)):
            groups = [params.epoch, params.poc, params.uptime, params.rewards, params.inference]
            if params.HasField("collateral"):
                groups += [params.guardians, params.collateral]
            group = self.random.choice(groups)
            field = self.random.choice([f for f in group.DESCRIPTOR.fields if f.cpp_type != f.CPPTYPE_STRING])
            if field.cpp_type == field.CPPTYPE_BOOL:
                setattr(group, field.name, True)
            elif field.cpp_type in {field.CPPTYPE_ENUM, field.CPPTYPE_INT32}:
                continue
            else:
                wide = (2**62, 10**18) if field.cpp_type == field.CPPTYPE_UINT64 else ()
                setattr(group, field.name, self.random.choice((*range(1, 12), *EXTREMES[:-2], *wide)))

    def _retire(self) -> Message:
        return models_pb2.MsgRetireModel(authority=GOV, model_id=self.random.choice((*MODELS, "m/new")))

    def _register(self) -> Message:
        throughput = self.random.choice((1, 10**6, 10**12))
        model = a_model(self.random.choice((*MODELS, "m/new")), throughput)
        model.units_of_compute_per_token = self.random.choice((1, 10, 10**12))
        return models_pb2.MsgRegisterModel(authority=GOV, model=model)

    def _limits(self) -> Message:
        params = hardware_pb2.Params(
            max_nodes_per_participant=self.random.choice((1, 2, 1000)),
            evidence_age=self.random.choice((1, 50, 100_000)),
        )
        return hardware_pb2.MsgUpdateParams(authority=GOV, params=params)

    @staticmethod
    def _by_gov() -> Message:
        """The gov account itself becomes a participant, without a key."""
        return hardware_pb2.MsgSubmitNewParticipant(creator=GOV, url="http://gov.test")

    def _cancel(self) -> tuple[str, Message]:
        name = self.random.choice(NAMES)
        return name, gov_tx.MsgCancelProposal(
            proposal_id=self.random.randint(1, 40), proposer=key_of(name).address
        )

    def _votes(self) -> list[tuple[str, Message]]:
        last = gov_state.PROPOSAL_ID.peek(self.chain.context()) - 1
        return [
            (
                name,
                gov_tx.MsgVote(
                    proposal_id=self.random.randint(max(1, last - 4), max(1, last)),
                    voter=key_of(name).address,
                    option=self.random.choice(OPTIONS),
                ),
            )
            for name in NAMES
            if self.random.random() < 0.4
        ]


def live(seed: int, blocks: int, *, guarded: bool = False) -> HostileLife:
    """A whole life."""
    life = HostileLife(seed, genesis_chain(guarded=guarded))
    for _ in range(blocks):
        life.block()
    return life


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=300)
    options = parser.parse_args(argv)
    life = live(options.seed, options.blocks)
    results = sha256(b"".join(sha256(raw).digest() for raw in life.results)).hexdigest()
    facts = {
        "app_hash": life.chain.store.app_hash.hex(),
        "results": results,
        "epoch": epochs.state(life.chain.context()).epoch_effective,
        "fallen": life.fallen,
        "changes": life.changes,
        "kinds": {f"{kind} {code}": count for (kind, code), count in sorted(life.kinds.items())},
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
