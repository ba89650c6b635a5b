"""Reads the chain and the MLNodes into the plain values of the demo."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import httpx2

from cli.demo_facts import (
    AmountFact,
    EpochFact,
    NodeFact,
    NodeKey,
    ProposalFact,
    SettlementFact,
    Snapshot,
    StageFact,
    VerdictFact,
)
from client.chain import ChainClient, ChainError
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import query_pb2 as gov_query
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.reasons.v1.reasons_pb2 import Reason
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from protocol.gen.evergrid.uptime.v1 import uptime_pb2

NODE_TIMEOUT_S = 1.0
REQUESTS_METRIC = "mlnode_inference_requests_total"
# The finish reasons of an answer that was given to its end.
ANSWERED = ("stop", "length")
UNREACHABLE = "unreachable"


def word(reason: int) -> str:
    """A reason as everyone says it."""
    return Reason.Name(reason).removeprefix("REASON_").lower()


class ChainReader:
    """Answers about the chain at a height (0: the latest), through one validator's RPC."""

    def __init__(self, client: ChainClient) -> None:
        self.client = client

    def epoch_info(self, height: int = 0) -> epochs_pb2.QueryEpochInfoResponse:
        return self.client.query(
            epochs_pb2.QueryEpochInfoRequest(), epochs_pb2.QueryEpochInfoResponse, height
        )

    def group(self, epoch: int, model_id: str = "", height: int = 0) -> epochs_pb2.EpochGroupData:
        request = epochs_pb2.QueryEpochGroupDataRequest(epoch_index=epoch, model_id=model_id)
        return self.client.query(request, epochs_pb2.QueryEpochGroupDataResponse, height).epoch_group_data

    def nodes(self, epoch: int, height: int = 0) -> tuple[tuple[NodeFact, ...], dict[str, int]]:
        """The nodes where they serve, in the order of participant and id, and the voting powers."""
        parent = self.group(epoch, height=height)
        nodes = [
            _node_fact(model_id, member.member_address, info)
            for model_id in parent.group.sub_group_models
            for member in self.group(epoch, model_id, height).validation_weights
            for info in member.ml_nodes
            if info.timeslot_allocation and info.timeslot_allocation[epochs_pb2.PRE_POC_SLOT]
        ]
        powers = {each.member_address: each.voting_power for each in parent.validation_weights}
        return tuple(sorted(nodes, key=lambda node: node.key)), powers

    def registered(self, addresses: Iterable[str], height: int = 0) -> tuple[NodeKey, ...]:
        """Every declared node."""
        found: list[NodeKey] = []
        for address in addresses:
            request = hardware_pb2.QueryHardwareNodesRequest(participant=address)
            reply = self.client.query(request, hardware_pb2.QueryHardwareNodesResponse, height)
            found += ((each.participant, each.node.node_id) for each in reply.nodes)
        return tuple(found)

    def governance_models(self, height: int = 0) -> tuple[str, ...]:
        reply = self.client.query(
            models_pb2.QueryGovernanceModelsRequest(), models_pb2.QueryGovernanceModelsResponse, height
        )
        return tuple(model.id for model in reply.models)

    def epoch_fact(self, index: int, height: int) -> EpochFact:
        nodes, powers = self.nodes(index, height)
        return EpochFact(index, height, nodes, powers)

    def stops(self, epoch: int) -> dict[str, str]:
        """By model: why the draw before the PoC of this epoch ended."""
        request = uptime_pb2.QuerySlotAllocationsRequest(epoch_index=epoch)
        reply = self.client.query(request, uptime_pb2.QuerySlotAllocationsResponse)
        return {each.model_id: word(each.stop) for each in reply.allocations}

    def verdicts(self, height_start: int) -> tuple[tuple[VerdictFact, ...], dict[str, str]]:
        """The verdicts of a PoC, and by participant how the vote ended."""
        request = poc_pb2.QueryPocValidationsRequest(poc_stage_start_height=height_start)
        reply = self.client.query(request, poc_pb2.QueryPocValidationsResponse)
        verdicts = tuple(
            VerdictFact(
                each.validator,
                each.participant,
                poc_pb2.Verdict.Name(each.verdict).removeprefix("VERDICT_").lower(),
                each.sampled,
                each.mismatches,
            )
            for each in reply.validations
        )
        return verdicts, {each.participant: word(each.outcome) for each in reply.outcomes}

    def nonces(self, height_start: int) -> dict[NodeKey, int]:
        """By node: how many nonces it submitted in a PoC."""
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=height_start)
        reply = self.client.query(request, poc_pb2.QueryNodeNoncesResponse)
        return {(each.participant, each.node_id): each.nonces_total for each in reply.nodes}

    def served(self, epoch: int) -> dict[tuple[int, str, str], int]:
        request = inference_pb2.QueryStatisticsRequest(epoch_index=epoch)
        reply = self.client.query(request, inference_pb2.QueryStatisticsResponse)
        return {(epoch, each.model_id, each.participant): each.finished for each in reply.served}

    def settlement(self, epoch: int, denom: str) -> SettlementFact | None:
        """How an epoch was settled; None until all of it is paid."""
        request = rewards_pb2.QuerySettleAmountsRequest(epoch_index=epoch)
        try:
            reply = self.client.query(request, rewards_pb2.QuerySettleAmountsResponse)
        except ChainError:
            return None
        if any(each.total and not each.height_paid for each in reply.amounts):
            return None
        amounts = tuple(self._amount(each, denom) for each in reply.amounts)
        head = reply.settlement
        return SettlementFact(epoch, head.height, head.reward, head.minted, head.community_pool, amounts)

    def _amount(self, amount: rewards_pb2.SettleAmount, denom: str) -> AmountFact:
        paid = amount.height_paid
        gain = 0
        if paid:
            after, before = (self.balance(amount.participant, denom, at) for at in (paid, paid - 1))
            gain = after - before
        return AmountFact(
            participant=amount.participant,
            base=amount.base,
            bonus=amount.bonus,
            fees=amount.fees,
            total=amount.total,
            covered=amount.covered,
            availability_bps=amount.availability_bps,
            height_paid=paid,
            balance_gain=gain,
        )

    def balance(self, address: str, denom: str, height: int = 0) -> int:
        request = bank_query.QueryBalanceRequest(address=address, denom=denom)
        return int(self.client.query(request, bank_query.QueryBalanceResponse, height).balance.amount)

    def proposals(self) -> list[ProposalFact]:
        reply = self.client.query(gov_query.QueryProposalsRequest(), gov_query.QueryProposalsResponse)
        return [_proposal_fact(each) for each in reply.proposals]

    def inference(self, inference_id: str) -> inference_pb2.Inference | None:
        request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
        try:
            return self.client.query(request, inference_pb2.QueryInferenceResponse).inference
        except ChainError:
            return None


def _node_fact(model_id: str, participant: str, info: epochs_pb2.MLNodeInfo) -> NodeFact:
    slots = list(info.timeslot_allocation)
    return NodeFact(
        participant=participant,
        node_id=info.node_id,
        model_id=model_id,
        weight=info.poc_weight,
        weight_source=word(info.weight_source),
        poc_slot=len(slots) > epochs_pb2.POC_SLOT and slots[epochs_pb2.POC_SLOT],
    )


def _proposal_fact(proposal: gov_pb2.Proposal) -> ProposalFact:
    status = gov_pb2.ProposalStatus.Name(proposal.status).removeprefix("PROPOSAL_STATUS_").lower()
    return ProposalFact(
        proposal_id=proposal.id,
        title=proposal.title,
        status=status,
        voters=(),
        yes_power=int(proposal.final_tally_result.yes_count or 0),
        failed_reason=proposal.failed_reason,
    )


def snapshot(
    reader: ChainReader,
    height: int,
    addresses: Iterable[str],
    heights: Mapping[str, int],
    states: Mapping[str, Mapping[str, Any]],
) -> Snapshot:
    """The network after the block of a height; `states` are the MLNodes' own words, by node id."""
    info = reader.epoch_info(height)
    nodes, powers = reader.nodes(info.state.epoch_effective, height)
    upcoming = info.upcoming if info.HasField("upcoming") else None
    stages = tuple(StageFact(each.stage, each.height, each.done) for each in info.stages)
    return Snapshot(
        height=height,
        epoch=info.state.epoch_effective,
        stage=info.stage,
        stages=stages,
        slot_in_force=epochs_pb2.TimeSlot.Name(info.slot_in_force),
        height_start=upcoming.height_start if upcoming else info.state.height_next_poc,
        height_switch=max((stage.height for stage in stages), default=0),
        poc_under_way=upcoming is not None and height >= upcoming.height_start,
        nodes=nodes,
        registered=reader.registered(addresses, height),
        governance_models=reader.governance_models(height),
        voting_powers=powers,
        heights=dict(heights),
        node_states={node_id: state_of(state) for node_id, state in states.items()},
        node_models={node_id: str(state.get("model") or "") for node_id, state in states.items()},
    )


def state_of(state: Mapping[str, Any]) -> str:
    """An MLNode's state in one word, from the body of its /api/v1/state."""
    if not state:
        return UNREACHABLE
    if switching := state.get("switching_to"):
        return f"-> {str(switching).lower()}"
    name = str(state.get("state", "")).lower()
    if name == "pow":
        return str(state.get("pow_status", {}).get("status", name)).lower()
    return "serving" if name == "inference" else name


def node_state(url: str) -> dict[str, Any]:
    """What an MLNode says of itself; empty where it does not answer."""
    with contextlib.suppress(httpx2.HTTPError, ValueError):
        reply = httpx2.get(f"{url}/api/v1/state", timeout=NODE_TIMEOUT_S, trust_env=False)
        body = reply.json()
        return body if isinstance(body, dict) else {}
    return {}


def finished_answers(metrics: str) -> int:
    """How many answers an MLNode has finished, from the text of its /metrics."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - only the demo needs it

    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == REQUESTS_METRIC and sample.labels.get("outcome") in ANSWERED
    )
