"""A wild life: every type of message, valid and not, transactions that are none, blocks with odd contents.

`python -m tests.simulation.wild --world busy --seed 1 --blocks 500` prints app hash and digest of results.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.invariants import broken
from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import default_params
from client.tx import Fee, Signer, build
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.evergrid.epochs.v1 import params_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import (
    DENOM,
    FUNDS,
    Chain,
    GenesisNode,
    GenesisParticipant,
    a_model,
    app_state,
    key_of,
)
from tests.simulation.branches import Branches
from tests.simulation.driver import CLIENTS, MODELS, NAMES
from tests.simulation.wild_fees import FeeLife
from tests.simulation.wild_power import WARM
from tests.simulation.wild_work import KEYLESS, NEWCOMERS, TINY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abci_app.kernel.store import Store
    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
    from tests.simulation.wild_work import Act

POOR = "pip"
GAS = 10**9


class WildChain(Chain):
    """A chain whose blocks carry odd hashes, votes and evidence; `blocks` keeps every request."""

    oddity = random.Random(0)

    def request(
        self, txs: Sequence[bytes] = (), misbehaving: Sequence[bytes] = ()
    ) -> abci.RequestFinalizeBlock:
        """The next block, with what an application must not stumble over."""
        request = super().request(txs, misbehaving)
        odd = self.oddity
        if odd.random() < 0.1:
            request.time.nanos = odd.randrange(10**9)
        if odd.random() < 0.3:
            request.proposer_address = odd.randbytes(odd.choice((0, 20, 21)))
            request.next_validators_hash = odd.randbytes(odd.choice((0, 32)))
        for _ in range(odd.randrange(4)):
            vote = request.decided_last_commit.votes.add(block_id_flag=odd.randrange(4))
            vote.validator.address, vote.validator.power = odd.randbytes(20), odd.randrange(2**62)
        if odd.random() < 0.1:
            found = request.misbehavior.add(type=odd.randrange(3), height=odd.randrange(-1, 2**62))
            found.validator.address = odd.randbytes(odd.choice((0, 19, 20, 64)))
        if not hasattr(self, "blocks"):
            self.blocks: list[bytes] = []
        self.blocks.append(request.SerializeToString())
        return request


def _params(change: Callable[[Params], None]) -> Params:
    params = default_params("local")
    params.rewards.settle_per_block = 2
    params.rewards.min_inferences_measured = 3
    params.uptime.validate_throughput = True
    params.inference.validation_rate_bps = 10_000
    params.inference.validation_rate_min_bps = 5_000
    params.inference.false_positive_rate_bps = 2_000
    params.inference.invalidation_probability_millionths = 20_000
    params.maintenance.credit_per_good_epoch = 6
    params.maintenance.credit_max = 12
    params.maintenance.notice = 2
    change(params)
    return params


def _busy(_params: Params) -> None:
    """All validate all, every nonce counts, the bonus comes on top."""


def _committed(params: Params) -> None:
    """Roots beside claims, sampled validators, part of the nonces, a shared bonus under a low cap."""
    params.poc.committed_batches, params.poc.validation_slots, params.poc.acceptance_bps = True, 4, 5_000
    params.poc.max_nonces_per_batch, params.poc.max_nonces_per_node = 55, 150
    params.guardians.maturity_weight, params.guardians.multiplier_bps = 130, 5_000
    params.rewards.coverage_bonus_mode = params_pb2.COVERAGE_BONUS_MODE_SHARED
    params.rewards.reward_supply_cap = 3 * params.rewards.initial_epoch_reward // 2


def _strict(params: Params) -> None:
    """Gas costs and few messages are free; nodes serve at most half as long, nobody may be without a vote."""
    params.epoch.free_messages_per_epoch = 6
    behind = params.collateral
    behind.unbonding_epochs, behind.release_per_block, behind.base_weight_bps = 1, 2, 5_000
    behind.slash_invalid_bps, behind.slash_downtime_bps, behind.min_availability_bps = 2_000, 1_000, 9_000
    behind.collateral_per_weight, behind.grace_end_epoch = 50, 2
    params.uptime.serve_during_validation, params.uptime.poc_v_ram = True, 1_000
    params.guardians.maturity_weight, params.guardians.multiplier_bps = 10**6, 9_000
    params.epoch.max_extensions = 1
    params.uptime.max_consecutive_preserved_epochs = 2
    params.uptime.poc_slot_fraction_bps = 8_000
    params.rewards.miss_tolerance_bps = 0
    params.poc.inline_batches, params.poc.committed_batches = False, True


WORLDS: dict[str, Callable[[Params], None]] = {"busy": _busy, "committed": _committed, "strict": _strict}


# In millionths of a token per nonce: from demand that one node carries to demand that all together do not.
THROUGHPUTS = {"busy": 40_000_000, "committed": 2_000_000, "strict": 2_000_000}


def genesis(world: str) -> dict[str, object]:
    """Five participants of the genesis, one of them without a known account key; newcomers hold coins."""
    owners = [
        GenesisParticipant(
            name,
            0,
            (
                GenesisNode("n1", (MODELS[i % 2],), 40 + i),
                GenesisNode("n2", (MODELS[(i + 1) % 2], MODELS[i % 2]), 30),
            )[: 1 if i == 3 else 2],
        )
        for i, name in enumerate(NAMES)
    ]
    owners.append(GenesisParticipant(KEYLESS, 0, (GenesisNode("n1", (TINY,), 20),)))
    models = [a_model(model, THROUGHPUTS[world]) for model in MODELS] + [a_model(TINY, 1)]
    funded = (*CLIENTS, *NEWCOMERS, WARM, POOR)
    state = app_state(owners, models, _params(WORLDS[world]), funded=funded)
    keyless = key_of(KEYLESS).address
    for participant in state["hardware"]["participants"]:
        if participant["address"] == keyless:
            del participant["public_key"]
    for balance in state["bank"]["balances"]:
        if balance["address"] == key_of(POOR).address:
            balance["coins"][0]["amount"] = "5000"
    state["hardware"]["params"] = {"max_nodes_per_participant": 10, "evidence_age": 40}
    if world != "busy":
        state["guardians"] = {"guardians": [key_of("ann").address]}
    if world == "strict":
        state["auth"]["fees"]["minimum_gas_price_micro"] = "1"
    return state


def new_chain(world: str, store: Store | None = None) -> WildChain:
    """The chain of a world at its genesis."""
    return WildChain(genesis(world)) if store is None else WildChain(genesis(world), store)


@dataclass
class WildLife(FeeLife):
    """Every block: a few acts of each kind, and transactions that should never have been sent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.chain, WildChain):
            self.chain.oddity = random.Random(self.seed + 1)
        self.sent: list[bytes] = []
        self.branches = Branches()

    def check(self) -> None:
        """Every invariant of the chain, and the coins that this life counts itself."""
        super().check()
        assert broken(self.chain.context()) == []

    def misbehaving(self) -> list[bytes]:
        """As of its kind, but seldom: who is INVALID does little else."""
        return super().misbehaving() if self.random.random() < 0.3 else []

    def _messages(self) -> list[Act]:
        record = epochs.upcoming_record(self.chain.context())
        found = self.poc(record) if record is not None else []
        found += self.requests() + self.late_start() + self._judgements() + self.votes()
        often = (
            self.hardware,
            self.maintenance,
            self.collateral,
            self.propose,
            self.propose,
            self.execute,
            self.grant,
            self.meddle,
            self.meddle,
        )
        rarely = (self.join, self.send, self.revoke, self.deposit, self.cancel, self.price, self.usurp)
        found += [act() for act in often if self.random.random() < 0.12]
        found += [act() for act in (*rarely, self.blind) if self.random.random() < 0.06]
        found += [act() for act in (self._rotate, self._odd_node) if self.random.random() < 0.03]
        self.random.shuffle(found)
        found += [self.allow() for _ in range(2) if self.purse.random() < 0.15]
        return found + [act() for act in (self.disallow, self.clear) if self.purse.random() < 0.03]

    def block(self) -> None:
        """One block of acts of all kinds, with nonsense behind them."""
        acts = self._messages()
        noise = [self.nonsense()] if self.random.random() < 0.3 else []
        if self.random.random() < 0.02:
            noise.append(self.stranger())
        self.run(acts, noise, self.misbehaving())

    def run(self, acts: Sequence[Act], noise: Sequence[bytes], misbehaving: Sequence[bytes]) -> None:
        """One block of these, in which each sender has one transaction; then all is checked."""
        txs, labels, senders = [], [], set()
        for name, message in acts:
            if name not in senders:
                senders.add(name)
                txs.append(self.signed(name, message))
                labels.append(message.DESCRIPTOR.name)
        txs += noise
        labels += ["noise"] * len(noise)
        before = epochs.params(self.chain.context())
        results = self.chain.block(*txs, misbehaving=misbehaving)
        self.changes += epochs.params(self.chain.context()) != before
        for raw, label, result in zip(txs, labels, results, strict=True):
            self.kinds[label, result.code] += 1
            self.results.append(result.SerializeToString())
            self.sent.append(raw)
        del self.sent[:-50]
        self.branches.block(self.chain, txs)
        self.check()

    def signed(self, name: str, message: object) -> bytes:
        """A transaction, at times signed for what the chain does not know."""
        key, number, sequence = key_of(name), self.chain.account_number(name), self.chain.sequence(name)
        options: dict[str, object] = {}
        fee = Fee(GAS, self.random.choice(("", "", "7")), DENOM)
        if self.random.random() < 0.03:
            fault = self.random.randrange(6)
            sequence += fault == 0
            number += fault == 1
            fee = Fee(100, "", "") if fault == 2 else Fee(GAS, str(2 * FUNDS), DENOM) if fault == 3 else fee
            options = {"memo": "m" * 300} if fault == 4 else {"timeout_height": 1} if fault == 5 else {}
        fee = replace(fee, granter=self.granter_for(name))
        return build([message], [Signer(key, number, sequence)], self.chain.chain_id, fee, **options)  # type: ignore[list-item, arg-type]

    def stranger(self) -> bytes:
        """A transaction of one that has no account, or without gas."""
        name, gas = self.random.choice((("zed", GAS), ("wim", 0)))
        message = MsgSend(from_address=key_of(name).address, to_address=key_of("eve").address)
        return build([message], [Signer(key_of(name), 0, 0)], self.chain.chain_id, Fee(gas))

    def nonsense(self) -> bytes:
        """Bytes that are no transaction, or one that was sent before, with some bytes changed."""
        if not self.sent or self.random.random() < 0.3:
            return self.random.randbytes(self.random.randrange(80))
        raw = bytearray(self.random.choice(self.sent))
        for _ in range(self.random.randrange(4)):
            if raw:
                raw[self.random.randrange(len(raw))] = self.random.randrange(256)
        return bytes(raw[: self.random.randrange(len(raw) + 1)] if self.random.random() < 0.2 else raw)


def live(world: str, seed: int, blocks: int, store: Store | None = None) -> WildLife:
    """A whole life."""
    life = WildLife(seed, new_chain(world, store))
    for _ in range(blocks):
        life.block()
    return life


def facts(life: WildLife) -> dict[str, str]:
    """App hash, and digest of all results, in hex."""
    results = sha256(b"".join(sha256(raw).digest() for raw in life.results)).hexdigest()
    return {"app_hash": life.chain.store.app_hash.hex(), "results": results}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", choices=sorted(WORLDS), default="busy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=500)
    options = parser.parse_args(argv)
    sys.stdout.write(json.dumps(facts(live(options.world, options.seed, options.blocks))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
