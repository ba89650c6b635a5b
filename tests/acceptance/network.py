"""A network through real blocks: fleets of nodes, whole PoCs, requests; on the in-memory harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abci_app.modules import bank, epochs, hardware, inference, rewards
from abci_app.modules.epochs.profiles import default_params
from protocol import address
from protocol.gen.evergrid.epochs.v1 import epochs_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.evergrid.rewards.v1 import rewards_pb2
from tests.chain import DENOM, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from google.protobuf.message import Message

    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params
    from protocol.gen.tendermint.abci import types_pb2 as abci

    # Of each participant its nodes, and the models that each declares.
    Fleet = Mapping[str, Mapping[str, Sequence[str]]]

X, Y = "model/x", "model/y"
PRICE = 10 * 100  # nevg per token: units of compute of `a_model`, times the unit price
HASH = "ab" * 32
WEIGHT = 10  # of every node that mines, unless a test says otherwise
NAMES = ("alice", "bob", "carol", "dan", "erin")
BY_ADDRESS = {key_of(name).address: name for name in NAMES}
ACCOUNT = address.module_account(inference.ACCOUNT)

ONE_EACH: Fleet = {name: {"gpu": (X,)} for name in ("alice", "bob", "carol")}


def a_network(
    fleet: Fleet = ONE_EACH,
    weight: int = WEIGHT,
    params: Params | None = None,
    models: Sequence[str] = (X, Y),
    voting_period_s: int = 10,
) -> Chain:
    """The local profile; every node has this weight in group 0; `client` is no participant and has coins."""
    owners = [
        GenesisParticipant(
            name, 0, tuple(GenesisNode(n, tuple(served), weight) for n, served in nodes.items())
        )
        for name, nodes in fleet.items()
    ]
    registry = [a_model(each) for each in models]
    state = app_state(owners, registry, params, funded=["client"], voting_period_s=voting_period_s)
    chain = Chain(state)
    chain.run_to(1)
    return chain


def local_params(**inference_fields: Any) -> Params:
    """The local profile with some numbers of inference changed."""
    params = default_params("local")
    for name, value in inference_fields.items():
        setattr(params.inference, name, value)
    return params


# epochs


def next_poc(chain: Chain) -> int:
    """S of the PoC that comes next or is under way."""
    record = epochs.upcoming_record(chain.context())
    return record.height_start if record is not None else epochs.state(chain.context()).height_next_poc


def epoch_of(chain: Chain) -> int:
    """The effective epoch."""
    return epochs.state(chain.context()).epoch_effective


def heights(chain: Chain) -> epochs.StageHeights:
    """Of the next PoC, by the params that it has or would have now."""
    record = epochs.upcoming_record(chain.context())
    params = record.params if record is not None else epochs.params(chain.context())
    return epochs.stage_heights(params.epoch, next_poc(chain))


def group(chain: Chain, model: str = "", epoch: int | None = None) -> epochs_pb2.EpochGroupData:
    """A group of an epoch, of the effective one unless named; model empty: the parent."""
    index = epoch_of(chain) if epoch is None else epoch
    request = epochs_pb2.QueryEpochGroupDataRequest(epoch_index=index, model_id=model)
    return chain.query(request, epochs_pb2.QueryEpochGroupDataResponse).epoch_group_data


def weights(chain: Chain, model: str = "") -> dict[str, int]:
    """By name, in the effective group."""
    return {BY_ADDRESS[m.member_address]: m.weight for m in group(chain, model).validation_weights}


def powers(chain: Chain) -> dict[str, int]:
    """Voting powers by name."""
    return {BY_ADDRESS[who]: power for who, power in epochs.voting_powers(chain.context()).items()}


def nodes(chain: Chain, model: str = X) -> dict[tuple[str, str], epochs_pb2.MLNodeInfo]:
    """The nodes of a subgroup of the effective epoch, by (participant's name, node_id)."""
    return {
        (BY_ADDRESS[member.member_address], node.node_id): node
        for member in group(chain, model).validation_weights
        for node in member.ml_nodes
    }


def serving(chain: Chain) -> set[tuple[str, str]]:
    """The nodes that hold POC_SLOT in the effective epoch."""
    models = group(chain).group.sub_group_models
    return {
        key
        for model in models
        for key, node in nodes(chain, model).items()
        if node.timeslot_allocation[epochs_pb2.POC_SLOT]
    }


def miners(chain: Chain) -> list[tuple[str, str]]:
    """The enabled nodes of the registry that do not serve, in order."""
    held = serving(chain)
    found = [
        (BY_ADDRESS[each.participant], each.node.node_id)
        for each in hardware.all_nodes(chain.context())
        if each.node.status != hardware_pb2.ML_NODE_STATUS_DISABLED
    ]
    return sorted(set(found) - held)


# messages


def a_batch(
    name: str, node_id: str, start: int, count: int = WEIGHT, first: int = 0
) -> poc_pb2.MsgSubmitPocBatch:
    return poc_pb2.MsgSubmitPocBatch(
        creator=key_of(name).address,
        poc_stage_start_height=start,
        node_id=node_id,
        batch_id=f"{node_id}-{first}",
        nonce_first=first,
        nonce_count=count,
        claims=bytes(4 * count),
    )


def verdicts(
    name: str, start: int, others: Iterable[str], frauds: Iterable[str] = ()
) -> poc_pb2.MsgSubmitPocValidations:
    return poc_pb2.MsgSubmitPocValidations(
        creator=key_of(name).address,
        poc_stage_start_height=start,
        verdicts=[
            poc_pb2.PocVerdict(
                participant=key_of(other).address,
                verdict=poc_pb2.VERDICT_FRAUD if other in frauds else poc_pb2.VERDICT_HONEST,
                sampled=5,
            )
            for other in others
        ],
    )


def a_node(node_id: str, *models: str, disabled: bool = False) -> hardware_pb2.MLNode:
    status = hardware_pb2.ML_NODE_STATUS_DISABLED if disabled else hardware_pb2.ML_NODE_STATUS_ENABLED
    return hardware_pb2.MLNode(
        node_id=node_id, models=models or (X,), host="127.0.0.1", port=8080, status=status
    )


def a_diff(
    name: str, *changed: hardware_pb2.MLNode, removed: Sequence[str] = ()
) -> hardware_pb2.MsgSubmitHardwareDiff:
    return hardware_pb2.MsgSubmitHardwareDiff(
        creator=key_of(name).address, new_or_modified=changed, removed=removed
    )


def a_start(inference_id: str, executor: str, **fields: Any) -> inference_pb2.MsgStartInference:
    """Of `client`, for 10 tokens of prompt and at most 32 of answer, unless a test says otherwise."""
    given: dict[str, Any] = {
        "creator": key_of("client").address,
        "inference_id": inference_id,
        "model_id": X,
        "executor": key_of(executor).address,
        "prompt_hash": HASH,
        "prompt_token_count": 10,
        "max_tokens": 32,
    }
    return inference_pb2.MsgStartInference(**(given | fields))


def a_finish(inference_id: str, executor: str, **fields: Any) -> inference_pb2.MsgFinishInference:
    """Of 10 and 20 tokens, unless a test says otherwise."""
    given: dict[str, Any] = {
        "creator": key_of(executor).address,
        "inference_id": inference_id,
        "model_id": X,
        "response_hash": HASH,
        "prompt_token_count": 10,
        "completion_token_count": 20,
    }
    return inference_pb2.MsgFinishInference(**(given | fields))


def a_verdict(name: str, inference_id: str, value_bps: int = 10_000) -> inference_pb2.MsgValidateInference:
    valid = value_bps >= 9_000  # the threshold of `a_model`
    result = inference_pb2.VALIDATION_RESULT_VALID if valid else inference_pb2.VALIDATION_RESULT_INVALID
    return inference_pb2.MsgValidateInference(
        creator=key_of(name).address, inference_id=inference_id, result=result, value_bps=value_bps
    )


# what happens


def together(chain: Chain, *signed: tuple[str, Message]) -> list[abci.ExecTxResult]:
    """All of them in one block; each has to succeed."""
    results = chain.block(*(chain.sign(name, message, gas=10**9) for name, message in signed))
    assert [r.log for r in results if r.code] == []
    return results


def mine(chain: Chain, counts: Mapping[tuple[str, str], int] | None = None) -> None:
    """From S to T of the next PoC: every node that may mine does; `counts` says where it is not WEIGHT."""
    start = next_poc(chain)
    chain.run_to(start)
    found = [(key, (counts or {}).get(key, WEIGHT)) for key in miners(chain)]
    together(chain, *((name, a_batch(name, node, start, n)) for (name, node), n in found if n))
    chain.run_to(heights(chain).validation_start)


def judge(chain: Chain, frauds: Iterable[str] = (), until: int = 0) -> None:
    """From T to V, or another height: every voter judges all others that mined, who is alone itself."""
    start, end = next_poc(chain), until or heights(chain).switch
    request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start)
    answer = chain.query(request, poc_pb2.QueryNodeNoncesResponse)
    mined = sorted({BY_ADDRESS[each.participant] for each in answer.nodes})
    voters = powers(chain)
    told = [(name, [other for other in mined if other != name or len(voters) == 1]) for name in voters]
    together(chain, *((name, verdicts(name, start, who, frauds)) for name, who in told if who))
    chain.run_to(end)


def an_epoch(chain: Chain, counts: Mapping[tuple[str, str], int] | None = None) -> None:
    """The next PoC as a whole, up to and with the switch."""
    mine(chain, counts)
    judge(chain)


def served(chain: Chain, executor: str, *ids: str, model: str = X) -> None:
    """Requests of `client` that an executor answers, in two blocks."""
    together(chain, *(("client", a_start(each, executor, model_id=model)) for each in ids))
    together(chain, *((executor, a_finish(each, executor, model_id=model)) for each in ids))


def inference_of(chain: Chain, inference_id: str) -> inference_pb2.Inference:
    request = inference_pb2.QueryInferenceRequest(inference_id=inference_id)
    return chain.query(request, inference_pb2.QueryInferenceResponse).inference


def drawn(chain: Chain, inference_id: str) -> list[str]:
    """Who has to validate an inference."""
    request = inference_pb2.QueryInferenceValidatorsRequest(inference_id=inference_id)
    found = chain.query(request, inference_pb2.QueryInferenceValidatorsResponse)
    return [BY_ADDRESS[draw.validator] for draw in found.draws if draw.sampled]


def statistics(chain: Chain, name: str, epoch: int | None = None) -> inference_pb2.InferenceStatistics:
    """What became final for a participant in an epoch, the effective one unless named."""
    index = epoch_of(chain) if epoch is None else epoch
    found = {each.participant: each for each in inference.statistics(chain.context(), index)}
    return found.get(key_of(name).address, inference_pb2.InferenceStatistics())


def settled(chain: Chain, epoch: int) -> rewards_pb2.QuerySettleAmountsResponse:
    """The settlement of an epoch with its amounts."""
    request = rewards_pb2.QuerySettleAmountsRequest(epoch_index=epoch)
    return chain.query(request, rewards_pb2.QuerySettleAmountsResponse)


def amounts(chain: Chain, epoch: int) -> dict[str, rewards_pb2.SettleAmount]:
    """What an epoch brought, by name."""
    return {BY_ADDRESS[each.participant]: each for each in settled(chain, epoch).amounts}


def supply(chain: Chain) -> int:
    """nevg of everyone together."""
    return bank.supply(chain.context(), DENOM)


def check_account(chain: Chain) -> None:
    """The module's account holds exactly what is owed."""
    ctx = chain.context()
    assert chain.balance(ACCOUNT) == inference.obligations(ctx) + rewards.unpaid_total(ctx)
