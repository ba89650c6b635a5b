"""A seeded life of a chain: participants, nodes, models, demand, proposals and nonsense, block by block.

`python -m tests.simulation.driver --seed 1 --blocks 200` prints the app hash and the digest of all results.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.invariants import broken
from abci_app.modules import bank, epochs, inference, rewards
from abci_app.modules.epochs.profiles import default_params
from client.tx import pack
from protocol import address
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.evergrid.collateral.v1 import collateral_pb2
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from tests.chain import (
    CHAIN_ID,
    DENOM,
    GOV,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

NAMES = ("ann", "ben", "cyd", "dan")
MODELS = ("m/large", "m/small")
CLIENTS = ("eve", "fay")
GUARDIANS = ("ben", "dan")
# Above what the four prove in an epoch at first, below what they may prove with many nonces.
MATURITY = 400
HASH = "ab" * 32


def genesis_chain(retention_epochs: int = 0, *, guarded: bool = False) -> Chain:
    """Four participants with two nodes each over two models; 0 retains what the profile does.

    guarded: two of them are guardians until the network has some weight, and weight needs collateral.
    """
    owners = [
        GenesisParticipant(
            name,
            0,
            (
                GenesisNode("n1", (MODELS[i % 2],), 40 + i),
                GenesisNode("n2", (MODELS[(i + 1) % 2], MODELS[i % 2]), 30),
            ),
        )
        for i, name in enumerate(NAMES)
    ]
    params = default_params("local")
    params.rewards.settle_per_block = 2
    params.uptime.validate_throughput = True
    params.inference.validation_rate_bps = 10_000
    params.inference.validation_rate_min_bps = 5_000
    # Half of the verdicts are invalid at random: what comes of it is not to be rare, nor the end of everyone.
    params.inference.false_positive_rate_bps = 5_000
    params.inference.invalidation_probability_millionths = 10_000
    params.epoch.retention_epochs = retention_epochs or params.epoch.retention_epochs
    if guarded:
        _guard(params)
    state = app_state(owners, [a_model(model) for model in MODELS], params, funded=CLIENTS)
    if guarded:
        state["guardians"] = {"guardians": [key_of(name).address for name in GUARDIANS]}
    return Chain(state)


def _guard(params: Params) -> None:
    params.guardians.maturity_weight, params.guardians.multiplier_bps = MATURITY, 9_999
    own = params.collateral
    own.unbonding_epochs, own.slash_invalid_bps, own.slash_downtime_bps = 1, 2_000, 1_000
    own.min_availability_bps, own.collateral_per_weight, own.base_weight_bps = 10_000, 10**6, 2_000
    own.grace_end_epoch, own.release_per_block = 1, 1


@dataclass
class Life:
    """Drives a chain by a seed. `kinds` counts messages by type and result code."""

    seed: int
    chain: Chain = field(default_factory=genesis_chain)
    kinds: Counter[tuple[str, int]] = field(default_factory=Counter)
    results: list[bytes] = field(default_factory=list)

    @property
    def guarded(self) -> bool:
        """Whether the chain has guardians and collateral."""
        return epochs.params(self.chain.context()).HasField("collateral")

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.chain.block()  # queries answer from the first Commit on
        self.open: list[tuple[str, str, str]] = []
        self.made = 0
        self.burnt_total = 0
        self.supply_start = bank.supply(self.chain.context(), DENOM)

    def block(self) -> None:
        """One block of whatever the moment suggests, and some of what it does not."""
        txs, labels, senders = [], [], set()
        for name, message in self._messages():
            if name in senders:
                continue  # one transaction each a block keeps the sequences in step
            senders.add(name)
            txs.append(self.chain.sign(name, message, gas=10**9))
            labels.append(message.DESCRIPTOR.name)
        if self.random.random() < 0.2:
            txs.append(self.random.randbytes(self.random.randrange(80)))
            labels.append("noise")
        for label, result in zip(labels, self.chain.block(*txs, misbehaving=self.misbehaving()), strict=True):
            self.kinds[label, result.code] += 1
            self.results.append(result.SerializeToString())
        self.check()

    def misbehaving(self) -> list[bytes]:
        """Consensus keys that the next block accuses: none in this life."""
        return []

    def burnt(self) -> int:
        """nevg that governance destroyed in the last block."""
        last = self.chain.last
        events = [*last.events, *(event for result in last.tx_results for event in result.events)]
        texts = [a.value for e in events if e.type == "burn" for a in e.attributes if a.key == "amount"]
        return sum(int(text.removesuffix(DENOM)) for text in texts)

    def check(self) -> None:
        """Invariants: coins are conserved, and the module's account holds what is owed."""
        ctx = self.chain.context()
        supply = bank.supply(ctx, DENOM)
        held = self.chain.balance(address.module_account(inference.ACCOUNT))
        assert held == inference.obligations(ctx) + rewards.unpaid_total(ctx)
        minted = self.chain.query(
            rewards_pb2.QueryEmissionRequest(), rewards_pb2.QueryEmissionResponse
        ).emission.minted_total
        self.burnt_total += self.burnt()
        assert supply == self.supply_start + minted - self.burnt_total
        assert sum(epochs.voting_powers(ctx).values()) > 0
        if self.guarded:
            assert broken(ctx) == []

    def _messages(self) -> list[tuple[str, Message]]:
        info = self.chain.query(epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse)
        found: list[tuple[str, Message]] = []
        if info.HasField("upcoming"):
            found += self._poc(info.upcoming)
        found += self._inference()
        found += self._judgements()
        chance = self.random.random()
        if chance < 0.1:
            found.append(self._hardware())
        elif chance < 0.15:
            found.append(self._proposal())
        elif chance < 0.25:
            found.append(self._vote())
        elif chance < 0.35:
            found.append(self._send())
        if self.guarded:
            found += self._collateral()
        self.random.shuffle(found)
        return found

    def _poc(self, record: epochs_pb2.EpochRecord) -> list[tuple[str, Message]]:
        at = epochs.stage_heights(record.params.epoch, record.height_start)
        height = self.chain.height + 1
        if at.start < height <= at.batches_end + 1:
            return [
                (name, self._batch(name, record.height_start)) for name in NAMES if self.random.random() < 0.7
            ]
        if at.validation_start < height <= at.validation_end + 1:
            return [
                (name, self._verdicts(name, record.height_start))
                for name in NAMES
                if self.random.random() < 0.6
            ]
        return []

    def _batch(self, name: str, start: int) -> poc_pb2.MsgSubmitPocBatch:
        node = self.random.choice(("n1", "n2"))
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start)
        known = self.chain.query(request, poc_pb2.QueryNodeNoncesResponse).nodes
        first = next(
            (n.nonce_next for n in known if (n.participant, n.node_id) == (key_of(name).address, node)), 0
        )
        count = self.random.randint(1, 60)
        wrong = self.random.random() < 0.1
        return poc_pb2.MsgSubmitPocBatch(
            creator=key_of(name).address,
            poc_stage_start_height=start + wrong,
            node_id=node,
            batch_id=f"b{self.made}",
            nonce_first=first,
            nonce_count=count,
            claims=self.random.randbytes(4 * count),
        )

    def _verdicts(self, name: str, start: int) -> poc_pb2.MsgSubmitPocValidations:
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start)
        known = self.chain.query(request, poc_pb2.QueryNodeNoncesResponse).nodes
        mined = sorted({n.participant for n in known} - {key_of(name).address})
        weights = (poc_pb2.VERDICT_HONEST,) * 8 + (poc_pb2.VERDICT_FRAUD, poc_pb2.VERDICT_ABSTAIN)
        return poc_pb2.MsgSubmitPocValidations(
            creator=key_of(name).address,
            poc_stage_start_height=start,
            verdicts=[
                poc_pb2.PocVerdict(participant=who, verdict=self.random.choice(weights), sampled=10)
                for who in mined
            ],
        )

    def _inference(self) -> list[tuple[str, Message]]:
        found: list[tuple[str, Message]] = []
        if self.random.random() < 0.5:
            model, executor = self.random.choice(MODELS), self.random.choice(NAMES)
            self.made += 1
            self.open.append((f"i{self.made}", model, executor))
            client = self.random.choice(CLIENTS)
            found.append((client, self._start(client, f"i{self.made}", model, executor)))
        if self.open and self.random.random() < 0.6:
            inference_id, model, executor = self.open.pop(self.random.randrange(len(self.open)))
            finish = inference_pb2.MsgFinishInference(
                creator=key_of(executor).address,
                inference_id=inference_id,
                model_id=model,
                response_hash=HASH,
                prompt_token_count=self.random.randrange(50),
                completion_token_count=self.random.randrange(200),
            )
            found.append((executor, finish))
        return found

    @staticmethod
    def _start(client: str, inference_id: str, model: str, executor: str) -> inference_pb2.MsgStartInference:
        return inference_pb2.MsgStartInference(
            creator=key_of(client).address,
            inference_id=inference_id,
            model_id=model,
            executor=key_of(executor).address,
            prompt_hash=HASH,
            prompt_token_count=20,
            max_tokens=100,
        )

    def _judgements(self) -> list[tuple[str, Message]]:
        """Verdicts on what is not final, mostly of those who may give one; at times an announcement."""
        found: list[tuple[str, Message]] = []
        for name in NAMES:
            request = inference_pb2.QueryPendingValidationsRequest(participant=key_of(name).address)
            pending = self.chain.query(request, inference_pb2.QueryPendingValidationsResponse).pending
            ids = [each.inference.inference_id for each in pending] or [f"i{self.made}"]
            if self.random.random() < (0.7 if pending else 0.05):
                found.append((name, self._verdict(name, self.random.choice(ids))))
        if self.random.random() < 0.1:
            name = self.random.choice(NAMES)
            first = self.chain.height + self.random.randint(0, 20)
            window = maintenance_pb2.MsgAnnounceMaintenance(
                creator=key_of(name).address,
                node_id=self.random.choice(("", "n1", "n3")),
                height_from=first,
                height_to=first + self.random.randint(-1, 3),
            )
            found.append((name, window))
        return found

    def _verdict(self, name: str, inference_id: str) -> inference_pb2.MsgValidateInference:
        value = self.random.choice((0, 8_999, 9_000, 10_000))
        valid = value >= 9_000 or self.random.random() < 0.05
        result = inference_pb2.VALIDATION_RESULT_VALID if valid else inference_pb2.VALIDATION_RESULT_INVALID
        return inference_pb2.MsgValidateInference(
            creator=key_of(name).address, inference_id=inference_id, result=result, value_bps=value
        )

    def _hardware(self) -> tuple[str, Message]:
        name = self.random.choice(NAMES)
        diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(name).address)
        model = self.random.choice((*MODELS, "m/unknown"))
        diff.new_or_modified.add(
            node_id=self.random.choice(("n1", "n2", "n3")), models=[model], host="127.0.0.1", port=8080
        )
        return name, diff

    def _proposal(self) -> tuple[str, Message]:
        model = a_model(self.random.choice((*MODELS, "m/new")), self.random.randint(1, 10**8))
        name = self.random.choice(NAMES)
        register = models_pb2.MsgRegisterModel(authority=GOV, model=model)
        return name, gov_tx.MsgSubmitProposal(
            messages=[pack(register)],
            initial_deposit=[Coin(denom=DENOM, amount="10000000")],
            proposer=key_of(name).address,
            title="a model",
            summary="a model",
        )

    def _vote(self) -> tuple[str, Message]:
        name = self.random.choice(NAMES)
        return name, gov_tx.MsgVote(
            proposal_id=self.random.randint(1, 6), voter=key_of(name).address, option=gov_pb2.VOTE_OPTION_YES
        )

    def _collateral(self) -> list[tuple[str, Message]]:
        """At times a deposit or a withdrawal, some of more than there is or by who is no participant."""
        if self.random.random() > 0.3:
            return []
        name = self.random.choice((*NAMES, *CLIENTS[:1]))
        amount = Coin(denom=DENOM, amount=str(self.random.choice((0, 1, 10**7, 5 * 10**7, 10**30))))
        kinds = (collateral_pb2.MsgDepositCollateral,) * 2 + (collateral_pb2.MsgWithdrawCollateral,)
        return [(name, self.random.choice(kinds)(creator=key_of(name).address, amount=amount))]

    def _send(self) -> tuple[str, Message]:
        name = self.random.choice(CLIENTS)
        amount = self.random.choice((1, 10**6, 10**30))
        return name, MsgSend(
            from_address=key_of(name).address,
            to_address=key_of(self.random.choice(NAMES)).address,
            amount=[Coin(denom=DENOM, amount=str(amount))],
        )


def live(seed: int, blocks: int, *, guarded: bool = False) -> Life:
    """A whole life."""
    life = Life(seed, genesis_chain(guarded=guarded))
    for _ in range(blocks):
        life.block()
    return life


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=120)
    options = parser.parse_args(argv)
    life = live(options.seed, options.blocks)
    results = sha256(b"".join(sha256(raw).digest() for raw in life.results)).hexdigest()
    facts = {"app_hash": life.chain.store.app_hash.hex(), "results": results, "chain_id": CHAIN_ID}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
