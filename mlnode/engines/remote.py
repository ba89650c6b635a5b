"""A model that another server serves: any OpenAI-compatible one, and through it a whole fleet."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, ClassVar

import structlog
from pydantic import Field, HttpUrl

from mlnode.engines.base import Asked, AskedText, Engine, ModelToServe, Options, Serving
from mlnode.engines.openai_server import OpenAIServer
from mlnode.errors import RefusedError
from mlnode.openai_schemas import ScoreRequest, TokenizeRequest
from mlnode.settings import read_token

log = structlog.get_logger("mlnode.engines.remote")


class RemoteOptions(Options):
    """`models` says what the server calls a model where that differs from its id here."""

    url: HttpUrl = Field(description="the server's base, with /v1")
    key_file: Path | None = Field(default=None, description="file with the key that it wants")
    models: dict[str, str] = Field(default={}, description="{model id: name at the server}")
    timeout_s: float = Field(default=30.0, gt=0, description="longest wait for its list of models")


class RemoteEngine(Engine):
    """Passes requests on. The model's files, arguments and its life are the server's own matter."""

    name: ClassVar[str] = "remote"
    needs_files: ClassVar[bool] = False
    options: ClassVar[type[Options]] = RemoteOptions
    given: RemoteOptions
    _server: OpenAIServer | None = None

    async def up(self, model: ModelToServe) -> Serving:
        started = time.monotonic()
        server = OpenAIServer(
            str(self.given.url),
            read_token(self.given.key_file),
            ours=model.model,
            theirs=self.given.models.get(model.model, model.model),
            timeout_s=self.host.settings.request_timeout_s,
        )
        try:
            context = await server.context(self.given.timeout_s)
        except RefusedError:
            await server.close()
            raise
        self._server = server
        if model.args:
            log.info("options are the server's own matter", model=model.model, options=model.args)
        return Serving(context, {"connect": time.monotonic() - started})

    async def down(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.close()

    async def complete(self, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
        async for each in self._up().complete(asked):
            yield each

    async def score(self, asked: Asked[ScoreRequest]) -> dict[str, Any]:
        return await self._up().score(asked)

    async def tokenize(self, asked: Asked[TokenizeRequest]) -> dict[str, Any]:
        return await self._up().tokenize(asked)

    def _up(self) -> OpenAIServer:
        if self._server is None:
            raise RefusedError(503, "no model is up", code="unavailable", retry_after_s=5)
        return self._server


ENGINE = RemoteEngine
