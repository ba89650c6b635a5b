"""Requests made from the public API's own OpenAPI document: every answer is one that is documented."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from api_node.chat import TransferAgent
from api_node.execution import Executor
from api_node.orchestrator import Orchestrator
from api_node.payloads import PayloadDesk
from api_node.public import public_app
from api_node.settings import Settings
from tests.api_node.mlnodes import FakeMLNode
from tests.api_node.network import API_KEY
from tests.api_node.test_public import X, alone

CHECKED = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
# What a sound node never says, however it is asked.
BROKEN = (500, 502)


@dataclass
class Served:
    url: str
    document: Any


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    """Alice's API node in a thread with a loop of its own."""
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        with tempfile.TemporaryDirectory() as home:
            limits = {"requests_per_key_per_s": 0, "queries_per_address_per_s": 0}
            async with alone(Path(home), FakeMLNode(), queue_wait_s=0.1, **limits) as (_, node):
                found.append(node.url())
                ready.set()
                await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield Served(found[0], schemathesis.openapi.from_url(f"{found[0]}/openapi.json"))
    finally:
        over.set()
        thread.join(30)


def operations() -> list[tuple[str, str]]:
    """Every method and path of the document; nothing is asked, so no parts are needed."""
    with tempfile.TemporaryDirectory() as home:
        made = Settings(home=Path(home), node_config=Path(home) / "nodes.json")
        orchestrator = cast("Orchestrator", _Parts())
        app = public_app(
            made,
            orchestrator,
            cast("TransferAgent", None),
            cast("Executor", None),
            desk=cast("PayloadDesk", None),
            api_keys=[],
        )
    paths = app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in sorted(paths.items()) for method in sorted(methods)]


class _Parts:
    """As much of an orchestrator as routes are made of."""

    class reader:  # noqa: N801 - an attribute
        address = ""


@pytest.mark.parametrize(("method", "path"), operations())
def test_every_answer_to_made_up_requests_is_documented(api: Served, method: str, path: str) -> None:
    checks = [check for check in CHECKS.get_all() if check.__name__ in CHECKED]
    statuses = set()

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api.document[path][method].as_strategy())
    def ask(case: Any) -> None:
        if isinstance(case.body, dict) and "completions" in path:
            # A name that nobody would guess lets the rest of the request be read too.
            case.body["model"] = X
        with contextlib.suppress(KeyError):
            del case.headers["X-Requester-Address"]
        response = case.call(timeout=30, headers={"Authorization": f"Bearer {API_KEY}"})
        assert response.status_code not in BROKEN, response.text
        case.validate_response(response, checks=checks)
        statuses.add(response.status_code)

    ask()

    assert statuses


def test_the_document_names_every_public_route_and_no_answer_that_is_never_given() -> None:
    paths = {path for _, path in operations()}

    assert paths >= {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/pricing",
        "/v1/governance/models",
        "/v1/governance/pricing",
        "/v1/participants",
        "/v1/epochs/{epoch}",
        "/v1/epochs/{epoch}/participants",
        "/v1/poc-batches/{height}",
        "/v1/poc-artifacts",
        "/v1/status",
        "/v1/versions",
    }
    assert not any("admin" in path or "metrics" in path for path in paths)
