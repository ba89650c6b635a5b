"""What the demo saw, as plain values: the input of its view and of its expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# (participant's address, node_id): the key of a node everywhere.
NodeKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node as the effective group froze it."""

    participant: str
    node_id: str
    model_id: str
    weight: int
    weight_source: str
    # Whether it serves through the next PoC.
    poc_slot: bool = False

    @property
    def key(self) -> NodeKey:
        return self.participant, self.node_id


@dataclass(frozen=True, slots=True)
class StageFact:
    """One row of the stage table of the PoC that comes or runs."""

    name: str
    height: int
    done: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The network after one block, with what the MLNodes say of themselves."""

    height: int
    epoch: int
    stage: str
    stages: tuple[StageFact, ...]
    slot_in_force: str
    # S of the PoC that comes or runs, its last height for batches, its switch.
    height_start: int
    height_switch: int
    poc_under_way: bool
    nodes: tuple[NodeFact, ...] = ()
    registered: tuple[NodeKey, ...] = ()
    governance_models: tuple[str, ...] = ()
    voting_powers: Mapping[str, int] = field(default_factory=dict)
    # By name of the validator; 0 where it does not answer.
    heights: Mapping[str, int] = field(default_factory=dict)
    # By node id.
    node_states: Mapping[str, str] = field(default_factory=dict)
    node_models: Mapping[str, str] = field(default_factory=dict)

    @property
    def next_stage(self) -> StageFact | None:
        """The stage that comes next; None once all are done."""
        return next((stage for stage in self.stages if not stage.done), None)


@dataclass(frozen=True, slots=True)
class ProposalFact:
    """A proposal and how it ended, or stands."""

    proposal_id: int
    title: str
    status: str
    voters: tuple[str, ...]
    yes_power: int = 0
    failed_reason: str = ""


@dataclass(frozen=True, slots=True)
class ExtensionFact:
    """A PoC after which the switch did not happen."""

    height_start: int
    reason: str
    # Nodes in the registry at S.
    nodes_registered: int


@dataclass(frozen=True, slots=True)
class VerdictFact:
    """What one participant said of another's nonces."""

    validator: str
    participant: str
    verdict: str
    sampled: int
    mismatches: int


@dataclass(slots=True)
class PocFact:
    """One PoC that led to a switch, by the index of the epoch that it formed."""

    epoch: int
    height_start: int
    height_switch: int
    # Of the group that was effective then.
    nodes: tuple[NodeFact, ...]
    # By model: why its draw ended.
    stops: dict[str, str] = field(default_factory=dict)
    verdicts: tuple[VerdictFact, ...] = ()
    # By participant: accepted, fraud, undecided.
    outcomes: dict[str, str] = field(default_factory=dict)
    # By node: how many nonces it submitted.
    nonces: dict[NodeKey, int] = field(default_factory=dict)

    def serving(self, model_id: str) -> list[NodeKey]:
        """The nodes of a model that held POC_SLOT."""
        return [node.key for node in self.nodes if node.model_id == model_id and node.poc_slot]


@dataclass(frozen=True, slots=True)
class EpochFact:
    """The group of an epoch, as it was when it became effective."""

    index: int
    height_switched: int
    nodes: tuple[NodeFact, ...]
    voting_powers: Mapping[str, int]

    def weight(self, participant: str) -> int:
        return sum(node.weight for node in self.nodes if node.participant == participant)


@dataclass(frozen=True, slots=True)
class AmountFact:
    """What an epoch brought to a participant, and what its balance gained when that was paid; in nevg."""

    participant: str
    base: int
    bonus: int
    fees: int
    total: int
    covered: bool
    availability_bps: int
    height_paid: int
    balance_gain: int


@dataclass(frozen=True, slots=True)
class SettlementFact:
    """How an epoch was settled, in nevg."""

    epoch: int
    height: int
    reward: int
    minted: int
    community_pool: int
    amounts: tuple[AmountFact, ...]


IN_POC, BETWEEN = "in_poc", "between"


@dataclass(slots=True)
class RequestFact:
    """A chat request: when and where it was sent, and what the chain and the nodes say of it."""

    number: int
    phase: str
    # Effective when it was sent.
    epoch: int
    model_id: str
    # Whose API node took it.
    sent_to: str
    # The node that has to answer; None where any may.
    node_expected: NodeKey | None
    text: str = ""
    seconds: float = 0.0
    error: str = ""
    inference_id: str = ""
    # Nodes whose own counter of finished answers rose meanwhile, and by how much.
    answered_by: dict[NodeKey, int] = field(default_factory=dict)
    executed_by: str = ""
    status: str = ""
    height_started: int = 0
    height_finished: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TargetFact:
    """A Prometheus target, and why it does not count as answering, if so."""

    job: str
    url: str
    problem: str = ""


@dataclass(slots=True)
class Cast:
    """Who plays: names for addresses, the contested model with its two nodes, all nodes."""

    # By address.
    participants: dict[str, str]
    model_a: str
    model_b: str
    # In the order 1, 2, 3: the first two serve model A.
    nodes: tuple[NodeKey, NodeKey, NodeKey]

    @property
    def rivals(self) -> tuple[NodeKey, NodeKey]:
        """The two nodes of model A."""
        return self.nodes[0], self.nodes[1]

    def letter(self, model_id: str) -> str:
        """A or B."""
        return {self.model_a: "A", self.model_b: "B"}.get(model_id, model_id)

    def name(self, address: str) -> str:
        return self.participants.get(address, address)


@dataclass(slots=True)
class Story:
    """All that happened so far."""

    proposals: dict[int, ProposalFact] = field(default_factory=dict)
    models_registered: tuple[str, ...] = ()
    nodes_declared: tuple[NodeKey, ...] = ()
    extensions: dict[int, ExtensionFact] = field(default_factory=dict)
    # By epoch index.
    pocs: dict[int, PocFact] = field(default_factory=dict)
    epochs: dict[int, EpochFact] = field(default_factory=dict)
    settlements: dict[int, SettlementFact] = field(default_factory=dict)
    # (epoch, model, participant): inferences finished while the epoch was effective.
    served: dict[tuple[int, str, str], int] = field(default_factory=dict)
    requests: list[RequestFact] = field(default_factory=list)
    targets: list[TargetFact] = field(default_factory=list)
    # By validator, at one height near the end.
    app_hashes: dict[str, str] = field(default_factory=dict)
    # Seconds between consecutive blocks, by height of the later one.
    block_seconds: dict[int, float] = field(default_factory=dict)
    # (height, sentence), in order.
    events: list[tuple[int, str]] = field(default_factory=list)

    def tell(self, height: int, sentence: str) -> None:
        self.events.append((height, sentence))
