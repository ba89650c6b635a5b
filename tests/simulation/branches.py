"""Which branches of the chain a life has been through, and which there are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import abci_app
from abci_app.block_ends import PRUNED
from abci_app.kernel.errors import TxError
from abci_app.kernel.module import MESSAGES
from abci_app.kernel.tx import decode
from abci_app.modules import epochs
from abci_app.modules.collateral import state as collateral_state
from abci_app.modules.epochs.state import MEMBERS, RECORDS
from abci_app.modules.gov import state as gov_state
from abci_app.modules.gov.rules import Verdict
from abci_app.modules.guardians import state as guardians_state
from abci_app.modules.hardware import state as hardware_state
from abci_app.modules.inference import state as inference_state
from abci_app.modules.poc import state as poc_state
from abci_app.modules.rewards import state as rewards_state
from abci_app.modules.uptime import state as uptime_state
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.evergrid.epochs.v1.params_pb2 import CoverageBonusMode
from protocol.gen.evergrid.inference.v1.inference_pb2 import InferenceStatus
from protocol.gen.evergrid.poc.v1.poc_pb2 import Verdict as PocVerdict
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason
from protocol.slots import serves_validation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from tests.chain import Chain

# What each place of the chain may say, of the closed list of reasons.
REASONS: dict[str, tuple[int, ...]] = {
    "stop": (1, 2, 3),
    "validation period": (14, 15, 16),
    "turn": (10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 26, 27, 28),
    "weight": (24, 30, 31, 32, 33, 34, 35, 36, 37),
    "outcome": (34, 35, 40),
    "batch": (23, 24, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 65, 67),
    "verdict": (33, 50, 51, 62, 63, 64, 66, 68, 69),
    "inference refused": (24, 50, 56, 62, 63, 64, 68, 69, 92),
    "inference": (90, 91, 93),
    "maintenance refused": (52, 56),
    "extension": (70, 71),
    "reward": (24, 80, 81, 82, 83, 84),
    "participant": (100, 101),
    "collateral": (115,),
    "guardians": (110, 111, 112, 113, 114),
}
# What only API nodes and MLNodes say; tests/api_node and tests/mlnode reach them.
OFF_CHAIN = tuple(range(120, 140))
STATUS_OF_REASON = {"FINAL": "finished", "EXPIRED": "expired", "INVALIDATED": "invalidated"}
REFUSALS = {("poc", 2): "batch", ("poc", 3): "verdict"}
REFUSALS |= {("inference", code): "inference refused" for code in (4, 8, 9)}
REFUSALS |= {("maintenance", 2): "maintenance refused"}
GOV_RESULTS = (
    "proposal_passed",
    "proposal_rejected",
    "proposal_failed",
    "proposal_dropped",
    "expedited_proposal_rejected",
)
# A message within a proposal that its handler refused.
WITHIN = re.compile(r"message \d+, (/[\w.]+):")
EVENTS = re.compile(r"""\.emit\(\s*["']([a-z_]+)["']""")


def word(reason: int) -> str:
    """A reason as events and logs say it."""
    return Reason.Name(reason).removeprefix("REASON_").lower()


@cache
def all_branches() -> tuple[str, ...]:
    """Every branch by name: reasons by place, messages by outcome, errors, events, and the rest."""
    found = [f"{place}: {word(reason)}" for place, reasons in REASONS.items() for reason in reasons]
    found += [f"message: {url} {end}" for url in MESSAGES for end in ("accepted", "refused")]
    found += [f"error: {kind.codespace} {kind.code}" for kind in _errors()]
    found += [f"event: {name}" for name in sorted(_event_names())]
    found += [f"prune: {name}" for name, _ in PRUNED]
    found += [f"vote: {verdict.value}" for verdict in Verdict]
    found += [f"proposal: {result}" for result in GOV_RESULTS]
    found += [f"settlement: {mode}" for mode in ("additional", "shared")]
    found += [f"batch form: {form}" for form in ("claims", "nonces", "root")]
    found += [f"poc verdict: {kind}" for kind in ("honest", "fraud", "abstain")]
    found += [f"throughput: {kind}" for kind in ("short", "enough")]
    found += ["weight scaled", "switch at the limit of extensions", "fee: paid", "fee: waived"]
    return tuple(dict.fromkeys(found))


@cache
def _errors() -> tuple[type[TxError], ...]:
    """Those that some code raises: the SDK's list has more than this chain needs."""
    names = Counter(re.findall(r"\w+", _source()))
    return tuple(each for each in _subclasses(TxError) if hasattr(each, "code") and names[each.__name__] > 1)


def _subclasses(kind: type[TxError]) -> Iterator[type[TxError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _event_names() -> set[str]:
    return {*EVENTS.findall(_source())}


@cache
def _source() -> str:
    files = sorted(Path(abci_app.__file__).parent.rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@dataclass
class Branches:
    """Counts branches by name; what stays in the state counts once for its key."""

    counts: Counter[str] = field(default_factory=Counter)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def block(self, chain: Chain, txs: list[bytes]) -> None:
        """Looks at the last block, and every fifth time, or where an epoch turned, at the whole state."""
        last = chain.last
        for raw, result in zip(txs, last.tx_results, strict=True):
            self._transaction(raw, result)
        events = [*last.events, *(event for result in last.tx_results for event in result.events)]
        for event in events:
            self._event(event.type, {each.key: each.value for each in event.attributes})
        for name, count in chain.reports[-1].pruned:
            self.counts[f"prune: {name}"] += count
        turned = {"epoch_extended", "epoch_started", "next_epoch_ready", "poc_slots_allocated"}
        if chain.height % 5 == 0 or turned & {event.type for event in events}:
            self.state(chain.context())

    def missing(self) -> list[str]:
        """The branches never reached, in the order of the lists."""
        return [name for name in all_branches() if not self.counts[name]]

    def _transaction(self, raw: bytes, result: Any) -> None:
        if result.code:
            self._refused(result)
        try:
            tx = decode(raw)
        except TxError:
            return
        end = "refused" if result.code else "accepted"
        for route, message in tx.messages:
            self.counts[f"message: {route.type_url} {end}"] += 1
            if not result.code:
                self._accepted(message)
        if not result.code:
            told = [each for event in result.events if event.type == "tx" for each in event.attributes]
            paid = any(each.key == "fee" and each.value for each in told)
            self.counts["fee: paid" if paid else "fee: waived"] += 1

    def _refused(self, result: Any) -> None:
        self.counts[f"error: {result.codespace} {result.code}"] += 1
        place = REFUSALS.get((result.codespace, result.code))
        for reason in REASONS[place] if place is not None else ():
            self.counts[f"{place}: {word(reason)}"] += f"{word(reason)}: " in result.log
        if (result.codespace, result.code) == ("gov", 12):
            for url in WITHIN.findall(result.log):
                self.counts[f"message: {url} refused"] += 1
                self._refused_within(url, result.log)

    def _accepted(self, message: Any) -> None:
        if message.DESCRIPTOR.name == "MsgSubmitPocValidations":
            for each in message.verdicts:
                kind = PocVerdict.Name(each.verdict).removeprefix("VERDICT_").lower()
                self.counts[f"poc verdict: {kind}"] += 1
        if message.DESCRIPTOR.name != "MsgSubmitPocBatch":
            return
        self.counts["batch form: root"] += bool(message.root)
        self.counts["batch form: claims"] += bool(message.claims)
        self.counts["batch form: nonces"] += bool(message.nonces)

    def _event(self, kind: str, told: dict[str, str]) -> None:
        self.counts[f"event: {kind}"] += 1
        if "proposal_result" in told:
            self.counts[f"proposal: {told['proposal_result']}"] += 1
            if kind == "active_proposal":
                self.counts[f"vote: {told['proposal_log']}"] += 1
        if kind == "proposal_failed" or told.get("proposal_result") == "proposal_failed":
            self.counts["vote: passed"] += 1

    # what the state tells

    def state(self, ctx: Context) -> None:
        """Counts what the state keeps of decisions."""
        for key, allocation in uptime_state.ALLOCATIONS.walk(ctx):
            self._once("stop", (*key, allocation.block_hash), allocation.stop)
            for turn in allocation.turns:
                place = (*key, allocation.block_hash, turn.participant, turn.node_id)
                self._once("turn", place, turn.reason)
        for weight_key, node in poc_state.WEIGHTS.walk(ctx):
            self._once("weight", weight_key, node.weight_source)
            self._name("weight scaled", weight_key, holds=bool(node.scale_old))
        for outcome_key, outcome in poc_state.OUTCOMES.walk(ctx):
            self._once("outcome", outcome_key, outcome.outcome)
        for check_key, check in uptime_state.THROUGHPUT_VALIDATIONS.walk(ctx):
            self._name("throughput: short" if check.short else "throughput: enough", check_key)
        for participant in hardware_state.PARTICIPANTS.values(ctx):
            self._once(
                "participant", (participant.address, participant.epoch_invalid), participant.status_reason
            )
        for collateral_key, bounded in collateral_state.WEIGHTS.walk(ctx):
            if bounded.weight < bounded.proved:
                self._name("collateral: collateral_short", collateral_key)
        for epoch, decision in guardians_state.DECISIONS.walk(ctx):
            self._once("guardians", (epoch,), decision.reason)
        self._rewards(ctx)
        self._epochs(ctx)
        self._inferences(ctx)
        self._proposals(ctx)

    def _rewards(self, ctx: Context) -> None:
        for key, amount in rewards_state.AMOUNTS.walk(ctx):
            for reason in amount.reasons:
                self._once("reward", key, reason)
        for epoch, settlement in rewards_state.SETTLEMENTS.walk(ctx):
            record = epochs.record(ctx, epoch)
            if record is not None and settlement.minted:
                mode = CoverageBonusMode.Name(record.params.rewards.coverage_bonus_mode)
                mode = mode.removeprefix("COVERAGE_BONUS_MODE_").lower()
                self._name(f"settlement: {mode}", (epoch,))

    def _epochs(self, ctx: Context) -> None:
        for (epoch, model_id, _), member in MEMBERS.walk(ctx):
            frozen, model = epochs.record(ctx, epoch), epochs.get_epoch_model(ctx, epoch, model_id)
            for node in member.ml_nodes:
                if frozen is not None and model is not None:
                    why = serves_validation(node.memory_mib, model.v_ram, frozen.params.uptime)
                    self._once("validation period", (epoch, member.member_address, node.node_id), why)
                self._once("weight", ("group", member.member_address, node.node_id), node.weight_source)
        dropped = epochs.dropped_record(ctx)
        if dropped is not None:
            self._once("extension", (dropped.index, dropped.height_start), dropped.extension_reason)
        for record in RECORDS.values(ctx):
            most = record.params.epoch.max_extensions
            limit = record.height_switched > 0 and record.extensions >= max(1, most)
            self._name("switch at the limit of extensions", (record.index,), holds=limit)

    def _inferences(self, ctx: Context) -> None:
        for inference in inference_state.INFERENCES.values(ctx):
            status = InferenceStatus.Name(inference.status).removeprefix("INFERENCE_STATUS_")
            if status in STATUS_OF_REASON:
                self._name(f"inference: {STATUS_OF_REASON[status]}", (inference.inference_id,))

    def _proposals(self, ctx: Context) -> None:
        """Messages that governance alone can send count where their proposal passed, or failed."""
        for number, proposal in gov_state.PROPOSALS.walk(ctx):
            passed = proposal.status == gov_pb2.PROPOSAL_STATUS_PASSED
            failed = proposal.status == gov_pb2.PROPOSAL_STATUS_FAILED
            for packed in proposal.messages if passed or failed else ():
                self._name(f"message: {packed.type_url} {'accepted' if passed else 'refused'}", (number,))
            if failed and (number, "failed") not in self._seen:
                self._seen.add((number, "failed"))
                for url in (*(each.type_url for each in proposal.messages), "/cosmos.gov.v1"):
                    self._refused_within(url, proposal.failed_reason)

    def _refused_within(self, url: str, log: str) -> None:
        """A message within a proposal was refused; its module's error tells itself by its text."""
        module = url.split(".")[1]
        for kind in _errors():
            if kind.codespace == module and kind.text and kind.text in log:
                self.counts[f"error: {kind.codespace} {kind.code}"] += 1

    def _once(self, place: str, key: tuple[object, ...], reason: int) -> None:
        if reason:
            self._name(f"{place}: {word(reason)}", key)

    def _name(self, name: str, key: tuple[object, ...], *, holds: bool = True) -> None:
        if holds and (name, *key) not in self._seen:
            self._seen.add((name, *key))
            self.counts[name] += 1
