"""Tests with an API node run as those of the API node do."""

from __future__ import annotations

from tests.api_node.conftest import _no_settings_of_the_machine, anyio_backend

__all__ = ["_no_settings_of_the_machine", "anyio_backend"]
