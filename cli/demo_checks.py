"""What the demo promises to show, each a pure function of what it saw: no problem means that it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cli.demo_facts import BETWEEN, IN_POC, Cast, NodeKey, RequestFact, SettlementFact, Story

PASSED, HONEST, ACCEPTED, EMPTY_GROUP = "passed", "honest", "accepted", "empty_group"
MINED, PRESERVED = "mined", "preserved"
FINAL = ("finished", "final")


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and what spoke against it."""

    promise: str
    problems: tuple[str, ...]

    @property
    def kept(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Expected:
    """How much was asked for: full epochs with weight, and who takes part."""

    cast: Cast
    epochs: int

    @property
    def epochs_full(self) -> range:
        return range(1, self.epochs + 1)

    @property
    def pocs_with_slots(self) -> range:
        """PoCs from the second with nodes on, by the epoch that they form."""
        return range(2, self.epochs + 2)


Promise = Callable[[Story, Expected], Iterable[str]]


def proposals_pass(story: Story, expected: Expected) -> Iterator[str]:
    if len(story.proposals) != 2:
        yield f"{len(story.proposals)} proposals were submitted, not 2"
    for proposal in story.proposals.values():
        reason = f" ({proposal.failed_reason})" if proposal.failed_reason else ""
        if proposal.status != PASSED:
            yield f"proposal {proposal.proposal_id} ({proposal.title}) is {proposal.status}{reason}"
        if missing := sorted(set(expected.cast.participants) - set(proposal.voters)):
            names = ", ".join(map(expected.cast.name, missing))
            yield f"no vote of {names} on proposal {proposal.proposal_id}"
    for model_id in (expected.cast.model_a, expected.cast.model_b):
        if model_id not in story.models_registered:
            yield f"{model_id} is not in the registry"


def empty_epoch_is_extended(story: Story, _expected: Expected) -> Iterator[str]:
    if not story.extensions:
        yield "no epoch was extended, though no node was there at the first PoC"
        return
    first = story.extensions[min(story.extensions)]
    if first.reason != EMPTY_GROUP:
        yield f"the first epoch was extended because of {first.reason}, not {EMPTY_GROUP}"
    for each in list(story.extensions.values())[1:]:
        yield f"the PoC of height {each.height_start} was extended as well: {each.reason}"


def hardware_is_declared(story: Story, expected: Expected) -> Iterator[str]:
    for key in expected.cast.nodes:
        if key not in story.nodes_declared:
            yield f"{key[1]} was not declared by the API node of {expected.cast.name(key[0])}"


def epochs_have_weight(story: Story, expected: Expected) -> Iterator[str]:
    for index in expected.epochs_full:
        epoch = story.epochs.get(index)
        if epoch is None:
            yield f"epoch {index} did not begin"
            continue
        if index not in story.settlements:
            yield f"epoch {index} did not end"
        weights = {node.key: node.weight for node in epoch.nodes}
        for key in expected.cast.nodes:
            if weights.get(key, 0) <= 0:
                yield f"{key[1]} has no weight in epoch {index}"


def first_poc_is_mined_by_all(story: Story, expected: Expected) -> Iterator[str]:
    epoch = story.epochs.get(1)
    sources = {node.key: node.weight_source for node in epoch.nodes} if epoch else {}
    for key in expected.cast.nodes:
        if sources.get(key) != MINED:
            yield f"the weight of {key[1]} in epoch 1 is {sources.get(key, 'missing')}, not {MINED}"
    poc = story.pocs.get(1)
    for node in poc.nodes if poc else ():
        if node.poc_slot:
            yield f"{node.node_id} held POC_SLOT though it was not proved"


def one_serves_the_other_mines(story: Story, expected: Expected) -> Iterator[str]:
    last: NodeKey | None = None
    for index in expected.pocs_with_slots:
        poc = story.pocs.get(index)
        if poc is None:
            yield f"the PoC before epoch {index} was not seen"
            continue
        serving = [key for key in poc.serving(expected.cast.model_a) if key in expected.cast.rivals]
        if len(serving) != 1:
            yield f"{len(serving)} of the two nodes of model A held POC_SLOT before epoch {index}, not one"
            continue
        if serving[0] == last:
            yield f"{last[1]} held POC_SLOT twice in a row, before epoch {index} again"
        last = serving[0]
        yield from _sources_fit(story, expected, index, serving[0])


def _sources_fit(story: Story, expected: Expected, index: int, server: NodeKey) -> Iterator[str]:
    epoch, poc = story.epochs.get(index), story.pocs[index]
    sources = {node.key: node.weight_source for node in epoch.nodes} if epoch else {}
    for key in expected.cast.rivals:
        wanted = PRESERVED if key == server else MINED
        if sources.get(key) != wanted:
            yield f"the weight of {key[1]} in epoch {index} is {sources.get(key, 'missing')}, not {wanted}"
        if (poc.nonces.get(key, 0) > 0) == (key == server):
            yield f"{key[1]} submitted {poc.nonces.get(key, 0)} nonces before epoch {index}"


def chat_during_poc(story: Story, expected: Expected) -> Iterator[str]:
    for index in expected.pocs_with_slots:
        poc = story.pocs.get(index)
        sent = [r for r in story.requests if r.phase == IN_POC and r.epoch == index - 1]
        if poc is None or not sent:
            yield f"no chat request was sent during the PoC before epoch {index}"
            continue
        for request in sent:
            yield from _answered(request)
            yield from _answered_by_holder(request, expected)
            heights = (request.height_started, request.height_finished)
            if not all(poc.height_start <= height < poc.height_switch for height in heights):
                yield (
                    f"request {request.number} ran from height {heights[0]} to {heights[1]}, outside "
                    f"[{poc.height_start}, {poc.height_switch})"
                )


def _answered(request: RequestFact) -> Iterator[str]:
    where = f"request {request.number}"
    if request.error:
        yield f"{where} failed: {request.error}"
    elif not request.text:
        yield f"{where} got an empty answer"
    elif request.status not in FINAL:
        yield f"{where} is {request.status or 'unknown'} on the chain"


def _answered_by_holder(request: RequestFact, expected: Expected) -> Iterator[str]:
    holder = request.node_expected
    if holder is None or request.error:
        return
    if request.executed_by != holder[0]:
        name = expected.cast.name(request.executed_by)
        yield f"request {request.number} was executed by {name or 'no one'}, not by the holder of POC_SLOT"
    if list(request.answered_by) != [holder]:
        nodes = ", ".join(key[1] for key in request.answered_by) or "no node"
        yield f"request {request.number} was answered by {nodes} by their own counters, not by {holder[1]}"


def both_serve_between_pocs(story: Story, expected: Expected) -> Iterator[str]:
    for index in expected.epochs_full:
        sent = [r for r in story.requests if r.phase == BETWEEN and r.epoch == index]
        for request in sent:
            yield from _answered(request)
        for key in expected.cast.rivals:
            if not any(key in request.answered_by for request in sent):
                yield f"{key[1]} answered no request between the PoCs of epoch {index}"
            if story.served.get((index, expected.cast.model_a, key[0]), 0) < 1:
                name = expected.cast.name(key[0])
                yield f"the chain counts no served inference of {name} on model A in epoch {index}"


def participants_validate_each_other(story: Story, expected: Expected) -> Iterator[str]:
    for index in range(1, expected.epochs + 2):
        poc = story.pocs.get(index)
        if poc is None:
            yield f"the PoC before epoch {index} was not seen"
            continue
        for judged in expected.cast.participants:
            name = expected.cast.name(judged)
            others = [v for v in poc.verdicts if v.participant == judged and v.validator != judged]
            if not poc.nonces or not any(key[0] == judged and poc.nonces[key] for key in poc.nonces):
                continue
            if not others:
                yield f"no verdict on {name} before epoch {index}"
            for verdict in others:
                if verdict.verdict != HONEST or verdict.sampled == 0:
                    yield (
                        f"{expected.cast.name(verdict.validator)} says {verdict.verdict} of {name} before "
                        f"epoch {index} ({verdict.mismatches} of {verdict.sampled} differ)"
                    )
            if poc.outcomes.get(judged) != ACCEPTED:
                yield f"the vote on {name} before epoch {index} is {poc.outcomes.get(judged, 'missing')}"


def rewards_are_paid(story: Story, expected: Expected) -> Iterator[str]:
    for index in expected.epochs_full:
        settlement = story.settlements.get(index)
        if settlement is None:
            yield f"epoch {index} was not settled"
            continue
        if settlement.minted <= 0:
            yield f"epoch {index} minted nothing"
        yield from _amounts_fit(settlement, expected)


def _amounts_fit(settlement: SettlementFact, expected: Expected) -> Iterator[str]:
    epoch, paid = settlement.epoch, sum(each.base + each.bonus for each in settlement.amounts)
    if paid + settlement.community_pool != settlement.minted:
        yield f"epoch {epoch} minted {settlement.minted} and gave out {paid + settlement.community_pool} nevg"
    amounts = {each.participant: each for each in settlement.amounts}
    for address, name in expected.cast.participants.items():
        amount = amounts.get(address)
        if amount is None or amount.base <= 0:
            yield f"{name} got no reward for epoch {epoch}"
        elif amount.height_paid == 0:
            yield f"{name} was not paid for epoch {epoch}"
        elif amount.balance_gain != amount.total:
            yield (
                f"the balance of {name} rose by {amount.balance_gain} at height {amount.height_paid}, "
                f"not by the {amount.total} nevg of epoch {epoch}"
            )


def targets_answer(story: Story, _expected: Expected) -> Iterator[str]:
    if not story.targets:
        yield "no Prometheus target was asked"
    for target in story.targets:
        if target.problem:
            yield f"{target.job} at {target.url}: {target.problem}"


def validators_agree(story: Story, _expected: Expected) -> Iterator[str]:
    if len(story.app_hashes) < 2:
        yield "the app hashes of the two validators were not compared"
    elif len(set(story.app_hashes.values())) > 1:
        yield f"the validators have different app hashes: {story.app_hashes}"


PROMISES: tuple[tuple[str, Promise], ...] = (
    ("both models are registered by proposals that passed", proposals_pass),
    ("the first, empty epoch is extended", empty_epoch_is_extended),
    ("the API nodes declare the hardware", hardware_is_declared),
    ("whole epochs in which every node has weight", epochs_have_weight),
    ("in the first PoC with nodes all of them mine", first_poc_is_mined_by_all),
    ("then one node of model A serves, the other mines, and they alternate", one_serves_the_other_mines),
    ("a chat request during PoC is answered by the node that holds POC_SLOT", chat_during_poc),
    ("between PoCs both nodes of model A answer requests", both_serve_between_pocs),
    ("the participants validate each other", participants_validate_each_other),
    ("rewards are paid as they were settled", rewards_are_paid),
    ("every Prometheus target answers", targets_answer),
    ("both validators have the same state", validators_agree),
)


def check(story: Story, expected: Expected) -> list[Check]:
    """Every promise with what spoke against it, in the order in which they come true."""
    return [Check(promise, tuple(problems(story, expected))) for promise, problems in PROMISES]
