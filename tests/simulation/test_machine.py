"""A state machine over the whole chain: hypothesis looks for the order of messages and blocks that breaks it.

`HYPOTHESIS_PROFILE=explore pytest tests/simulation/test_machine.py` looks for minutes instead of seconds.
"""

from __future__ import annotations

import os
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from abci_app.app import STORES
from abci_app.genesis import export_genesis
from abci_app.kernel.store import MemoryStore
from abci_app.modules import epochs
from protocol.gen.tendermint.abci import types_pb2 as abci
from tests.chain import Chain, validator_key_of
from tests.simulation.driver import NAMES
from tests.simulation.wild import WORLDS, WildChain, WildLife, new_chain
from tests.simulation.wild_work import CAST, Act

EXPLORE = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
SEEDS = st.integers(0, 2**32 - 1)


class ChainMachine(RuleBasedStateMachine):
    """Rules queue messages; others make blocks of what is queued. `WildLife.check` runs after every block."""

    @initialize(world=st.sampled_from(sorted(WORLDS)))
    def begin(self, world: str) -> None:
        """A chain of one of the worlds."""
        self.life = WildLife(0, new_chain(world))
        self.queue: list[Act] = []
        self.noise: list[bytes] = []
        self.accused: list[bytes] = []

    def _seeded(self, seed: int) -> WildLife:
        self.life.random = random.Random(seed)
        return self.life

    # messages, each kind valid at times and refused at others

    @rule(seed=SEEDS)
    def register(self, seed: int) -> None:
        """Somebody becomes a participant, or changes its keys."""
        life = self._seeded(seed)
        self.queue.append(life.join() if seed % 3 else life._rotate())

    @rule(seed=SEEDS)
    def hardware_diff(self, seed: int) -> None:
        """Nodes come, change, are turned off and on, go."""
        life = self._seeded(seed)
        self.queue.append(life.hardware() if seed % 3 else life._odd_node())

    @rule(seed=SEEDS)
    def batches(self, seed: int) -> None:
        """Everybody shows nonces, in either form."""
        record = epochs.upcoming_record(self.life.chain.context())
        if record is not None:
            life = self._seeded(seed)
            self.queue += [(name, life.batch(name, record)) for name in CAST]

    @rule(seed=SEEDS)
    def verdicts(self, seed: int) -> None:
        """Everybody judges."""
        record = epochs.upcoming_record(self.life.chain.context())
        if record is not None:
            life = self._seeded(seed)
            self.queue += [(name, life.verdicts(name, record)) for name in CAST]

    @rule(seed=SEEDS)
    def inferences(self, seed: int) -> None:
        """Starts and finishes, in either order."""
        life = self._seeded(seed)
        self.queue += life.requests() + life.late_start()

    @rule(seed=SEEDS)
    def judgements(self, seed: int) -> None:
        """Verdicts on inferences, and announcements."""
        life = self._seeded(seed)
        self.queue += life._judgements() if seed % 3 else [life.meddle()]

    @rule(seed=SEEDS)
    def prices_and_windows(self, seed: int) -> None:
        """A price is proposed, downtime announced."""
        life = self._seeded(seed)
        self.queue += [life.price(), life.maintenance()]

    @rule(seed=SEEDS)
    def propose(self, seed: int) -> None:
        """Params, models, limits, upgrades, the laws themselves."""
        self.queue.append(self._seeded(seed).propose())

    @rule(seed=SEEDS)
    def vote(self, seed: int) -> None:
        """Votes; deposits and withdrawals of proposals at times."""
        life = self._seeded(seed)
        self.queue += life.votes() if seed % 4 else [life.deposit(), life.cancel()]

    @rule(seed=SEEDS)
    def money(self, seed: int) -> None:
        """Coins move."""
        self.queue.append(self._seeded(seed).send())

    @rule(seed=SEEDS)
    def grants(self, seed: int) -> None:
        """Grants are given, used, taken back."""
        life = self._seeded(seed)
        self.queue.append((life.grant, life.execute, life.revoke)[seed % 3]())

    @rule(seed=SEEDS)
    def presume(self, seed: int) -> None:
        """What governance alone may send, and messages filled with whatever comes to hand."""
        life = self._seeded(seed)
        self.queue.append(life.usurp() if seed % 2 else life.blind())

    @rule(seed=SEEDS)
    def nonsense(self, seed: int) -> None:
        """Bytes that are no transaction, or no longer one."""
        life = self._seeded(seed)
        self.noise.append(life.nonsense() if seed % 4 else life.stranger())

    @precondition(lambda self: len(epochs.voting_powers(self.life.chain.context())) > 1)
    @rule(name=st.sampled_from(NAMES))
    def misbehave(self, name: str) -> None:
        """Somebody signs twice."""
        self.accused.append(validator_key_of(self.life.keys.get(name, name)))

    # blocks

    def _block(self) -> None:
        self.life.run(self.queue, self.noise, self.accused)
        self.queue, self.noise, self.accused = [], [], []

    @rule(count=st.integers(1, 4), seed=SEEDS)
    def blocks(self, count: int, seed: int) -> None:
        """A few blocks, with odd contents."""
        self._seeded(seed)
        self._chain().oddity = random.Random(seed)
        for _ in range(count):
            self._block()

    @rule()
    def to_the_next_stage(self) -> None:
        """Up to and with the block in which the next stage runs."""
        ctx = self.life.chain.context()
        record = epochs.upcoming_record(ctx)
        due = epochs.state(ctx).height_next_poc - 1
        if record is not None:
            at = epochs.stage_heights(record.params.epoch, record.height_start)
            ahead = (at.start, at.validation_start, at.validation_end, at.switch)
            due = next((height for height in ahead if height > ctx.height), due)
        while self.life.chain.height < min(due, ctx.height + 60):
            self._block()

    # what must hold of every run

    def _chain(self) -> WildChain:
        chain = self.life.chain
        assert isinstance(chain, WildChain)
        return chain

    def teardown(self) -> None:
        """An export builds the same state; the same blocks give the same app hash."""
        if not hasattr(self, "life"):
            return
        chain = self._chain()
        exported = export_genesis(chain.context())
        imported = Chain(exported, MemoryStore(STORES), initial_height=chain.height + 1)
        assert export_genesis(imported.context()) == exported

        again = Chain(chain.state, MemoryStore(STORES))
        for raw in chain.blocks:
            again.app.finalize_block(abci.RequestFinalizeBlock.FromString(raw))
            again.app.commit()
        assert again.store.app_hash == chain.store.app_hash


TestChainMachine = ChainMachine.TestCase
TestChainMachine.settings = settings(
    max_examples=300 if EXPLORE else 20, stateful_step_count=120 if EXPLORE else 40
)
