"""The registry through its messages: governance alone writes it, and a retired model counts once more."""

from __future__ import annotations

import pytest

from abci_app.kernel.context import Context
from abci_app.kernel.errors import QueryError, Unauthorized
from abci_app.modules import models
from protocol.gen.evergrid.models.v1.models_pb2 import (
    MsgRegisterModel,
    MsgRetireModel,
    QueryGovernanceModelRequest,
    QueryGovernanceModelsRequest,
)
from tests.fleet import GOV, X, Y, a_model, a_state, ask, contents, deliver, events, who


def ids(ctx: Context) -> list[str]:
    return [model.id for model in models.get_governance_models(ctx)]


def test_a_registered_model_is_stored_whole_and_announced() -> None:
    ctx = a_state()
    model = a_model(model_args=["--max-model-len", "4096"], hf_repo=X, hf_commit="ab" * 20)

    error = deliver(ctx, MsgRegisterModel(authority=GOV, model=model))

    assert error is None
    stored = models.get_governance_model(ctx, X)
    assert stored is not None
    assert stored.proposed_by == GOV
    assert (stored.hf_commit, list(stored.model_args)) == ("ab" * 20, ["--max-model-len", "4096"])
    assert events(ctx) == [("model_registered", {"model_id": X, "proposed_by": GOV, "updated": "false"})]


def test_registering_again_replaces_the_model() -> None:
    ctx = a_state([a_model()])

    deliver(
        ctx, MsgRegisterModel(authority=GOV, model=a_model(throughput_per_nonce=7, proposed_by=who("dev")))
    )

    stored = models.get_governance_model(ctx, X)
    assert stored is not None
    assert (stored.throughput_per_nonce, stored.proposed_by) == (7, who("dev"))
    assert events(ctx)[0][1]["updated"] == "true"


@pytest.mark.parametrize("msg", [MsgRegisterModel(model=a_model()), MsgRetireModel(model_id=X)])
def test_nobody_but_governance_writes_the_registry(msg: MsgRegisterModel | MsgRetireModel) -> None:
    ctx = a_state([a_model(), a_model(Y)])
    before = contents(ctx)
    msg.authority = who("mallory")

    error = deliver(ctx, msg)

    assert isinstance(error, Unauthorized)
    assert str(error) == f"invalid authority; expected {GOV}, got {who('mallory')}: unauthorized"
    assert contents(ctx) == before


def test_a_broken_model_is_refused_with_all_its_faults_and_nothing_is_written() -> None:
    ctx = a_state()
    before = contents(ctx)
    model = a_model(throughput_per_nonce=0, model_args=["--host", "0.0.0.0"], proposed_by="evergrid1nobody")

    error = deliver(ctx, MsgRegisterModel(authority=GOV, model=model))

    assert error is not None
    assert (error.codespace, error.code) == ("models", 2)
    assert str(error) == (
        "model_args: --host is not allowed; throughput_per_nonce must be 1 to 1000000000000; "
        "proposed_by: decoding bech32 failed: invalid character or separator: invalid model"
    )
    assert (contents(ctx), ctx.events) == (before, [])


def test_a_retired_model_counts_at_the_next_formation_and_not_at_the_one_after() -> None:
    ctx = a_state([a_model(X), a_model(Y)])

    assert deliver(ctx, MsgRetireModel(authority=GOV, model_id=X)) is None

    assert [model.id for model in models.models_for_formation(ctx)] == [X, Y]
    models.on_formation(ctx)
    assert [model.id for model in models.models_for_formation(ctx)] == [Y]
    assert not models.is_valid_governance_model(ctx, X)
    assert [kind for kind, _ in events(ctx)] == ["model_retiring", "model_retired"]


def test_registering_a_model_that_is_being_retired_keeps_it() -> None:
    ctx = a_state([a_model(X), a_model(Y)])
    deliver(ctx, MsgRetireModel(authority=GOV, model_id=X))

    deliver(ctx, MsgRegisterModel(authority=GOV, model=a_model(X)))
    models.on_formation(ctx)

    assert ids(ctx) == [X, Y]


@pytest.mark.parametrize("model_id", ["", "unknown", "a\0b"])
def test_a_model_that_is_not_there_cannot_be_retired(model_id: str) -> None:
    ctx = a_state([a_model(X), a_model(Y)])
    before = contents(ctx)

    error = deliver(ctx, MsgRetireModel(authority=GOV, model_id=model_id))

    assert error is not None
    assert (error.codespace, error.code) == ("models", 3)
    assert contents(ctx) == before


def test_the_last_model_that_would_stay_cannot_be_retired() -> None:
    ctx = a_state([a_model(X), a_model(Y)])
    deliver(ctx, MsgRetireModel(authority=GOV, model_id=X))

    error = deliver(ctx, MsgRetireModel(authority=GOV, model_id=Y))

    assert str(error) == f"{Y} is the last model: model cannot be retired"


def test_queries_answer_models_by_id_in_pages() -> None:
    ctx = a_state([a_model("c"), a_model("a"), a_model("b")])

    first = ask(ctx, QueryGovernanceModelsRequest(pagination={"limit": 2}))
    second = ask(ctx, QueryGovernanceModelsRequest(pagination={"key": first.pagination.next_key}))

    assert [model.id for model in first.models] == ["a", "b"]
    assert [model.id for model in second.models] == ["c"]
    assert ask(ctx, QueryGovernanceModelRequest(model_id="b")).model.id == "b"


def test_the_query_of_a_retiring_model_says_how_long_it_counts() -> None:
    ctx = a_state([a_model(X), a_model(Y)])
    deliver(ctx, MsgRetireModel(authority=GOV, model_id=X))

    answer = ask(ctx, QueryGovernanceModelRequest(model_id=X))

    assert (answer.retiring, answer.formations_left) == (True, 1)
    with pytest.raises(QueryError, match="model nope is not in the registry"):
        ask(ctx, QueryGovernanceModelRequest(model_id="nope"))


def test_export_and_import_are_inverses() -> None:
    ctx = a_state([a_model(X), a_model(Y)])
    deliver(ctx, MsgRetireModel(authority=GOV, model_id=X))
    exported = models.MODULE.export_genesis(ctx)
    other = a_state()

    models.MODULE.init_genesis(other, exported)

    assert models.MODULE.validate_genesis(exported) == []
    assert models.MODULE.export_genesis(other) == exported


def test_a_genesis_names_all_that_is_wrong_with_its_models() -> None:
    state = models.MODULE.genesis(
        models=[a_model(X), a_model(X), a_model(Y, throughput_per_nonce=0)], retiring=[{"model_id": "z"}]
    )

    assert models.MODULE.validate_genesis(state) == [
        f"model {X} stands twice",
        f"model {Y}: throughput_per_nonce must be 1 to 1000000000000",
        "retiring model z is not in the registry",
    ]
