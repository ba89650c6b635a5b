"""poc: why a batch or a verdict is refused. Pure; each function names all that is wrong, in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.claims import CLAIM_BYTES, decode_claims
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1 import reasons_pb2
from protocol.merkle import ROOT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from protocol.gen.evergrid.epochs.v1 import epochs_pb2, params_pb2

NONCE_LIMIT = 2**64 - 1  # the state holds the nonce after the last one in 64 bits
BATCH_ID_LENGTH_MAX = 64
EVERY_NONCE_BPS = 10_000
# More than a network has participants; each verdict costs a look at the state.
VERDICTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that is wrong: the reason's word, and a sentence for the sender."""

    reason: reasons_pb2.Reason
    text: str

    def __str__(self) -> str:
        word = reasons_pb2.Reason.Name(self.reason).removeprefix("REASON_").lower()
        return f"{word}: {self.text}"


def window_refusals(
    record: epochs_pb2.EpochRecord | None, height: int, window: tuple[int, int], height_start: int, what: str
) -> list[Refusal]:
    """What is wrong with a message's moment and the PoC that it names; `window` includes both ends."""
    if record is None:
        return [Refusal(reasons_pb2.REASON_OUTSIDE_WINDOW, f"no PoC is under way at height {height}")]
    refusals = []
    first, last = window
    if not first <= height <= last:
        text = f"{what} are taken from height {first} to {last}, this is {height}"
        refusals.append(Refusal(reasons_pb2.REASON_OUTSIDE_WINDOW, text))
    if height_start != record.height_start:
        text = f"the PoC under way began at height {record.height_start}, not {height_start}"
        refusals.append(Refusal(reasons_pb2.REASON_WRONG_START_HEIGHT, text))
    return refusals


# batches


@dataclass(frozen=True, slots=True)
class BatchSender:
    """Who sends a batch and for which node, as the state has them."""

    participant: hardware_pb2.Participant | None
    node: hardware_pb2.RegisteredNode | None
    barred: bool = False
    holds_poc_slot: bool = False
    # What the node submitted in this PoC so far.
    nonce_next: int = 0
    nonces_total: int = 0
    batches: int = 0
    committed: bool = False


def batch_refusals(
    msg: poc_pb2.MsgSubmitPocBatch, sender: BatchSender, height_start: int, params: params_pb2.PocParams
) -> list[Refusal]:
    """All that is wrong with a batch within an open window."""
    return [
        *_participant_refusals(msg, sender),
        *_node_refusals(msg, sender, height_start),
        *_form_refusals(msg, params),
        *_mix_refusals(msg, sender),
        *_nonce_refusals(msg, sender, params),
    ]


def _participant_refusals(msg: poc_pb2.MsgSubmitPocBatch, sender: BatchSender) -> Iterator[Refusal]:
    participant = sender.participant
    if participant is None:
        yield Refusal(reasons_pb2.REASON_UNKNOWN_PARTICIPANT, f"{msg.creator} is no participant")
        return
    if not participant.validator_key:
        yield Refusal(reasons_pb2.REASON_NO_CONSENSUS_KEY, f"{msg.creator} has no consensus key")
    if not participant.public_key:
        # Inputs are derived from it, so nobody could re-compute a nonce.
        yield Refusal(reasons_pb2.REASON_NO_PUBLIC_KEY, f"the account key of {msg.creator} is unknown")
    if sender.barred:
        yield Refusal(reasons_pb2.REASON_PARTICIPANT_INVALID, f"{msg.creator} is INVALID and in quarantine")


def _node_refusals(
    msg: poc_pb2.MsgSubmitPocBatch, sender: BatchSender, height_start: int
) -> Iterator[Refusal]:
    name = f"node {msg.node_id!r} of {msg.creator}"
    registered = sender.node
    if registered is None:
        yield Refusal(reasons_pb2.REASON_UNKNOWN_NODE, f"{name} is not in the registry")
        return
    if registered.height_registered > height_start:
        text = f"{name} was registered at height {registered.height_registered}, after {height_start}"
        yield Refusal(reasons_pb2.REASON_NODE_TOO_NEW, text)
    if registered.node.status == hardware_pb2.ML_NODE_STATUS_DISABLED:
        yield Refusal(reasons_pb2.REASON_NODE_DISABLED, f"{name} is disabled")
    if sender.holds_poc_slot:
        yield Refusal(reasons_pb2.REASON_HOLDS_POC_SLOT, f"{name} serves through this PoC")


def _form_refusals(msg: poc_pb2.MsgSubmitPocBatch, params: params_pb2.PocParams) -> Iterator[Refusal]:
    explicit = params.acceptance_bps < EVERY_NONCE_BPS
    if msg.root:
        if not params.committed_batches:
            yield Refusal(reasons_pb2.REASON_BATCH_FORM_CLOSED, "the committed form (root) is not open")
        if len(msg.root) != ROOT_BYTES:
            text = f"a root has {ROOT_BYTES} bytes, this one {len(msg.root)}"
            yield Refusal(reasons_pb2.REASON_MALFORMED_BATCH, text)
        if msg.claims:
            text = "a batch holds claims or their root, not both"
            yield Refusal(reasons_pb2.REASON_MALFORMED_BATCH, text)
    elif not params.inline_batches:
        yield Refusal(reasons_pb2.REASON_BATCH_FORM_CLOSED, "the inline form (claims) is not open")
    if msg.nonces and not explicit:
        text = "every nonce counts, so give nonce_first and nonce_count instead of nonces"
        yield Refusal(reasons_pb2.REASON_BATCH_FORM_CLOSED, text)
    if explicit and (msg.nonce_first or msg.nonce_count):
        text = "not every nonce counts, so give nonces instead of nonce_first and nonce_count"
        yield Refusal(reasons_pb2.REASON_BATCH_FORM_CLOSED, text)
    if len(msg.batch_id.encode()) > BATCH_ID_LENGTH_MAX:
        text = f"batch_id is longer than {BATCH_ID_LENGTH_MAX} bytes"
        yield Refusal(reasons_pb2.REASON_MALFORMED_BATCH, text)


def _mix_refusals(msg: poc_pb2.MsgSubmitPocBatch, sender: BatchSender) -> Iterator[Refusal]:
    if sender.committed:
        text = f"node {msg.node_id!r} has committed to its nonces of this PoC, all in one batch"
        yield Refusal(reasons_pb2.REASON_MALFORMED_BATCH, text)
    elif msg.root and sender.batches:
        text = f"node {msg.node_id!r} has inline batches in this PoC, a commitment stands alone"
        yield Refusal(reasons_pb2.REASON_MALFORMED_BATCH, text)


def nonce_span(msg: poc_pb2.MsgSubmitPocBatch) -> tuple[int, int, int]:
    """(first nonce, how many, the nonce after the last one), in either way of naming them."""
    if msg.nonces:
        return msg.nonces[0], len(msg.nonces), msg.nonces[-1] + 1
    return msg.nonce_first, msg.nonce_count, msg.nonce_first + msg.nonce_count


def _nonce_refusals(
    msg: poc_pb2.MsgSubmitPocBatch, sender: BatchSender, params: params_pb2.PocParams
) -> Iterator[Refusal]:
    first, count, after = nonce_span(msg)
    if not count:
        yield Refusal(reasons_pb2.REASON_MALFORMED_BATCH, "the batch has no nonces")
        return
    # A root is 32 bytes for any number of nonces.
    if count > params.max_nonces_per_batch and not msg.root:
        text = f"a batch has at most {params.max_nonces_per_batch} nonces, this one {count}"
        yield Refusal(reasons_pb2.REASON_TOO_MANY_NONCES, text)
    total = sender.nonces_total + count
    if total > params.max_nonces_per_node:
        text = f"a node has at most {params.max_nonces_per_node} nonces, with these {total}"
        yield Refusal(reasons_pb2.REASON_TOO_MANY_NONCES, text)
    if after > NONCE_LIMIT:
        yield Refusal(
            reasons_pb2.REASON_MALFORMED_BATCH, f"nonces end below {NONCE_LIMIT}, not at {after - 1}"
        )
    rising = all(low < high for low, high in zip(msg.nonces, msg.nonces[1:], strict=False))
    if first < sender.nonce_next or not rising:
        text = f"nonces rise strictly, and the next one is at least {sender.nonce_next}"
        yield Refusal(reasons_pb2.REASON_NONCES_NOT_RISING, text)
    yield from _claim_refusals(msg, count, params)


def _claim_refusals(
    msg: poc_pb2.MsgSubmitPocBatch, count: int, params: params_pb2.PocParams
) -> Iterator[Refusal]:
    if msg.root:
        return
    if len(msg.claims) != CLAIM_BYTES * count:
        text = f"{count} nonces need {CLAIM_BYTES * count} bytes of claims, there are {len(msg.claims)}"
        yield Refusal(reasons_pb2.REASON_CLAIMS_MISMATCH, text)
    elif params.acceptance_bps < EVERY_NONCE_BPS:
        below = [index for index, claim in enumerate(decode_claims(msg.claims)) if claim < params.z_target]
        if below:
            at = f", the first of them at place {below[0]}"
            text = f"{len(below)} of {count} claims are below {params.z_target}{at}"
            yield Refusal(reasons_pb2.REASON_CLAIM_BELOW_TARGET, text)


# verdicts


@dataclass(frozen=True, slots=True)
class Judged:
    """What the state says of one participant that a validator judges."""

    has_nonces: bool
    judged_before: bool = False
    # Drawn by the validator; None where all validate all.
    slots: int | None = None


def verdict_count(msg: poc_pb2.MsgSubmitPocValidations) -> int:
    """How many verdicts a message has; a group that names nobody says nothing, but it is walked."""
    return max(len(msg.verdicts) + sum(len(group.places) for group in msg.groups), len(msg.groups))


def size_refusals(msg: poc_pb2.MsgSubmitPocValidations) -> list[Refusal]:
    """Whether a message has more verdicts than it is worth to look at one by one."""
    count = verdict_count(msg)
    if count <= VERDICTS_MAX:
        return []
    text = f"{count} verdicts in one message, at most {VERDICTS_MAX} are taken"
    return [Refusal(reasons_pb2.REASON_MALFORMED_VERDICT, text)]


def voter_refusals(creator: str, *, member: bool, power: int) -> list[Refusal]:
    """What is wrong with the sender of verdicts."""
    if not member:
        return [Refusal(reasons_pb2.REASON_NOT_A_MEMBER, f"{creator} is no member of the effective group")]
    if not power:
        return [Refusal(reasons_pb2.REASON_NO_VOTING_POWER, f"{creator} has no voting power")]
    return []


def place_refusals(unknown: Sequence[int]) -> list[Refusal]:
    """What is wrong with places that nobody has in this PoC."""
    text = "nobody has the place {} in this PoC"
    return [Refusal(reasons_pb2.REASON_NO_NONCES, text.format(place)) for place in unknown]


def verdict_refusals(
    creator: str, said: Sequence[poc_pb2.PocVerdict], judged: Mapping[str, Judged], *, alone: bool
) -> list[Refusal]:
    """All that is wrong with the verdicts of one message, in their order."""
    if not said:
        return [Refusal(reasons_pb2.REASON_MALFORMED_VERDICT, "the message has no verdicts")]
    refusals: list[Refusal] = []
    seen: set[str] = set()
    for verdict in said:
        repeated = verdict.participant in seen
        seen.add(verdict.participant)
        refusals += _one_verdict(
            creator, verdict, judged[verdict.participant], repeated=repeated, alone=alone
        )
    return refusals


def _one_verdict(
    creator: str, verdict: poc_pb2.PocVerdict, judged: Judged, *, repeated: bool, alone: bool
) -> Iterator[Refusal]:
    name = verdict.participant
    known = (poc_pb2.VERDICT_HONEST, poc_pb2.VERDICT_FRAUD, poc_pb2.VERDICT_ABSTAIN)
    if verdict.verdict not in known:
        yield Refusal(reasons_pb2.REASON_MALFORMED_VERDICT, f"on {name}: neither honest, fraud nor abstain")
    if verdict.mismatches > verdict.sampled:
        text = f"on {name}: {verdict.mismatches} mismatches among {verdict.sampled} samples"
        yield Refusal(reasons_pb2.REASON_MALFORMED_VERDICT, text)
    if name == creator and not alone:
        yield Refusal(reasons_pb2.REASON_SELF_VERDICT, f"{name} judges itself")
    if not judged.has_nonces:
        yield Refusal(reasons_pb2.REASON_NO_NONCES, f"{name} submitted no nonces in this PoC")
    if repeated or judged.judged_before:
        yield Refusal(reasons_pb2.REASON_REPEATED_VERDICT, f"a second verdict on {name}")
    if judged.slots == 0:
        yield Refusal(reasons_pb2.REASON_NOT_SAMPLED, f"{creator} drew no slot to judge {name}")
