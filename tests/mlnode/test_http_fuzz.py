"""Requests made from the service's own OpenAPI document: every answer is one that is documented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis.checks import CHECKS

from mlnode.service import create_apps
from mlnode.settings import Settings
from tests.mlnode.service_harness import TINY, Service

CHECKED = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
# What a sound node never says, however it is asked.
BROKEN = (500, 502)


@pytest.fixture(scope="module")
def fuzzed(start_service: Callable[..., Service], models_dir: Path) -> Service:
    flags = ("--models-dir", str(models_dir), "--max-tokens-default", "4", "--request-timeout-s", "5")
    service = start_service(*flags, "--drain-timeout-s", "1", "--callback-timeout-s", "0.2")
    service.wait_ready()
    args = ["--max-model-len", "96"]
    service.ok("/api/v1/inference/up", {"model": TINY, "additional_args": args})
    return service


@pytest.fixture(scope="module")
def document(fuzzed: Service) -> Any:
    return schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")


def operations() -> list[tuple[str, str]]:
    """Every method and path that the service has."""
    paths = create_apps(Settings())[0].openapi()["paths"]
    return [(method.upper(), path) for path, methods in sorted(paths.items()) for method in sorted(methods)]


@pytest.mark.parametrize(("method", "path"), operations())
def test_every_answer_to_made_up_requests_is_documented_and_the_service_stays_up(
    fuzzed: Service, document: Any, method: str, path: str
) -> None:
    checks = [check for check in CHECKS.get_all() if check.__name__ in CHECKED]
    statuses = set()

    @settings(max_examples=12, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(case=document[path][method].as_strategy())
    def ask(case: Any) -> None:
        if isinstance(case.body, dict) and path.startswith("/v1"):
            # A name that nobody would guess lets the rest of the request be read too.
            case.body["model"] = TINY
        response = case.call(timeout=30)
        assert response.status_code not in BROKEN, response.text
        case.validate_response(response, checks=checks)
        statuses.add(response.status_code)

    ask()

    assert statuses
    if fuzzed.state()["model"] != TINY:
        fuzzed.ok("/api/v1/stop")
        fuzzed.ok("/api/v1/inference/up", {"model": TINY, "additional_args": ["--max-model-len", "96"]})
    assert fuzzed.client.get("/health").status_code == 200
