"""The versions of the modules' state, as the queries about upgrades tell them."""

from __future__ import annotations

import pytest

from abci_app.genesis import MODULES
from abci_app.kernel.errors import QueryError
from protocol.gen.cosmos.upgrade.v1beta1 import query_pb2 as pb
from tests.chain import Chain, app_state


@pytest.fixture
def chain() -> Chain:
    chain = Chain(app_state([]))
    chain.block()
    return chain


def versions(chain: Chain, name: str = "") -> dict[str, int]:
    request = pb.QueryModuleVersionsRequest(module_name=name)
    answer = chain.query(request, pb.QueryModuleVersionsResponse)
    return {each.name: each.version for each in answer.module_versions}


def test_every_module_has_a_version_and_they_come_by_name(chain: Chain) -> None:
    found = versions(chain)

    assert list(found) == sorted(module.name for module in MODULES)
    assert set(found.values()) == {1}
    assert versions(chain, "bank") == {"bank": 1}


def test_a_module_that_is_not_there_is_not_found(chain: Chain) -> None:
    with pytest.raises(QueryError, match="module mint not found") as caught:
        versions(chain, "mint")

    assert caught.value.status == "NotFound"
