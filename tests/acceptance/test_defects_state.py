"""Known defects of determinism, errors and registries elsewhere, which ours lacks; README.md has the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor

from abci_app.genesis import MODULES
from protocol.gen.evergrid.models.v1.models_pb2 import MsgRegisterModel
from tests.acceptance.network import X, a_diff, a_network, a_node, an_epoch, weights
from tests.chain import GOV, a_model, key_of
from tests.stages.test_governance import proposal_of

if TYPE_CHECKING:
    from google._upb._message import Descriptor as UpbDescriptor
    from google.protobuf.descriptor import Descriptor as PurePythonDescriptor

    Descriptor = PurePythonDescriptor | UpbDescriptor

FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


def reached(root: Descriptor, seen: dict[str, Descriptor]) -> dict[str, Descriptor]:
    """A message and all that it holds, by full name."""
    if root.full_name not in seen:
        seen[root.full_name] = root
        for field in root.fields:
            if field.message_type is not None:
                reached(field.message_type, seen)
    return seen


def test_nothing_that_state_or_messages_hold_is_a_binary_fraction() -> None:
    """Distances, values and thresholds were doubles, which machines round differently."""
    found: dict[str, Descriptor] = {}
    for module in MODULES:
        for message in module.genesis.DESCRIPTOR.file.message_types_by_name.values():
            reached(message, found)

    floats = [f"{name}.{f.name}" for name, each in found.items() for f in each.fields if f.type in FLOATS]
    assert len(found) > 100
    assert floats == []


def test_unknown_models_of_a_diff_are_all_named_with_their_nodes_and_nothing_is_stored() -> None:
    """A node with a model that is not in the registry was refused without a word on which it was."""
    chain = a_network()
    diff = a_diff("alice", a_node("gpu", X), a_node("n1", "model/b", X), a_node("n2", "model/a"))

    result = chain.deliver("alice", diff)

    assert result.codespace == "hardware"
    assert result.log.index("model/a") < result.log.index("model/b")
    assert all(text in result.log for text in ("model/a", "model/b", "n1", "n2"))
    an_epoch(chain)
    assert weights(chain)["alice"] == 10


def test_a_model_with_impossible_values_does_not_even_become_a_proposal() -> None:
    """A model without an id, a threshold or a throughput was accepted into the registry."""
    chain = a_network()
    model = a_model("", 0)
    model.units_of_compute_per_token = 0

    result = chain.deliver("alice", proposal_of(MsgRegisterModel(authority=GOV, model=model)))

    assert result.code != 0
    assert all(word in result.log for word in ("id", "throughput_per_nonce", "units_of_compute_per_token"))


def test_a_failing_message_never_answers_with_success() -> None:
    """A failure was told in a text beside code 0. Ours: a refusal has a codespace and a code of its own."""
    chain = a_network()
    wrong = a_diff("alice", removed=["none"])

    result = chain.deliver("alice", wrong)
    stranger = chain.deliver("client", a_diff("client", a_node("gpu")))

    assert (result.codespace, result.code > 0) == ("hardware", True)
    assert (stranger.codespace, stranger.code > 0) == ("hardware", True)
    assert key_of("client").address in stranger.log
