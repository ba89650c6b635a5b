"""Options of services are read as their environment variables are."""

from __future__ import annotations

import json

import click
import pytest

from cli.settings_options import make_settings
from mlnode.settings import Settings

REMOTE = {"url": "http://127.0.0.1:8000/v1", "models": {"a": "b"}}


def test_a_setting_with_parts_is_json() -> None:
    settings = make_settings(
        Settings, {"engine": "remote", "engine_options": json.dumps(REMOTE), "port": "1"}
    )

    assert settings.engine_options == REMOTE
    assert settings.port == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{url", "--engine-options: it is no JSON"), ("[1]", "--engine-options: Input should")],
)
def test_what_is_no_json_or_of_another_kind_is_named(text: str, problem: str) -> None:
    with pytest.raises(click.UsageError, match=problem):
        make_settings(Settings, {"engine_options": text})
