"""The HTTP process of an MLNode: it never imports torch, and outlives every compute process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Generator, Sequence
from typing import Any

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from mlnode.api_routes import api_routes
from mlnode.errors import RefusedError
from mlnode.http_limits import Limits, LimitsMiddleware, error_body, limited_protocol
from mlnode.metrics import package_version
from mlnode.node import Node
from mlnode.openai_routes import openai_routes, tokenize_routes
from mlnode.schemas import name_all
from mlnode.settings import Settings

KEEP_ALIVE_S = 30
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def create_apps(settings: Settings) -> tuple[FastAPI, FastAPI | None]:
    """The service, whose lifespan starts and ends the compute process; and the app of the inference port.

    With a port of its own OpenAI's side is reachable there alone, and what steers the node is not.
    """
    node = Node(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await node.start()
        yield
        await node.close()

    main = _new_app(node, "Evergrid MLNode", lifespan)
    main.include_router(api_routes(node))
    inference = main
    if settings.inference_port is not None:
        inference = _new_app(node, "Evergrid MLNode: inference", None)
        inference.include_router(health_routes(node))
    inference.include_router(openai_routes(node))
    inference.include_router(tokenize_routes(node))
    main.include_router(health_routes(node))
    main.include_router(metrics_routes(node))
    return main, None if inference is main else inference


def _new_app(node: Node, title: str, lifespan: Any) -> FastAPI:
    app = FastAPI(title=title, version=package_version(), lifespan=lifespan)
    _add_errors(app)
    settings = node.settings
    switch_timeout_s = 2 * (
        settings.load_timeout_s + settings.drain_timeout_s + settings.compute_start_timeout_s
    )
    if settings.hub_url is not None:
        switch_timeout_s += settings.download_timeout_s
    limits = Limits(
        body_bytes_max=settings.body_bytes_max,
        body_timeout_s=settings.body_timeout_s,
        answer_timeout_s=settings.request_timeout_s,
        switch_timeout_s=switch_timeout_s,
        token=node.token,
    )
    app.add_middleware(LimitsMiddleware, limits=limits)
    return app


def health_routes(node: Node) -> APIRouter:
    """Whether the compute process is ready, for whoever balances load."""
    router = APIRouter()
    waiting: dict[int | str, dict[str, Any]] = {
        503: {"description": "the compute process is not ready; the reason says why"}
    }

    @router.get("/health", responses=waiting)
    async def health() -> Response:
        if node.compute.is_ready:
            return JSONResponse({"status": "ok", "state": node.state})
        body = {"status": node.compute.status, "reason": node.compute.reason}
        return JSONResponse(body, status_code=503, headers={"Retry-After": "5"})

    return router


def metrics_routes(node: Node) -> APIRouter:
    """What Prometheus scrapes."""
    router = APIRouter()

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(await node.render_metrics(), media_type=CONTENT_TYPE_LATEST)

    return router


def _add_errors(app: FastAPI) -> None:
    def answer(request: Request, status: int, message: str, code: str, headers: Any) -> Response:
        body = error_body(request.url.path, status, message, code)
        return JSONResponse(body, status_code=status, headers=headers)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return answer(request, error.status, error.message, error.code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        status = 400 if request.url.path.startswith(("/v1/", "/tokenize")) else 422
        return answer(request, status, name_all(error.errors()), "invalid", None)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(request, error.status_code, str(error.detail), "", error.headers)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        # The server logs the traceback; the client learns no more than the kind.
        return answer(request, 500, f"internal error: {type(error).__name__}", "internal", None)


def run(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM; ValueError or OSError when the settings cannot be served."""
    if settings.inference_host not in LOOPBACK and settings.inference_port is not None:
        structlog.get_logger("mlnode").warning(
            "anyone who reaches this address may ask the model", host=settings.inference_host
        )
    if settings.host not in LOOPBACK and settings.token_file is None:
        structlog.get_logger("mlnode").warning(
            "anyone who reaches this address may steer the node", host=settings.host
        )
    main, inference = create_apps(settings)
    servers = [_server(main, settings, settings.host, settings.port)]
    if inference is not None and settings.inference_port is not None:
        servers.append(_server(inference, settings, settings.inference_host, settings.inference_port))
    asyncio.run(_serve(servers))


def _server(app: FastAPI, settings: Settings, host: str, port: int) -> Server:
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=limited_protocol(settings.body_timeout_s),
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=settings.connections_max,
        timeout_graceful_shutdown=int(settings.drain_timeout_s) + 1,
        server_header=False,
    )
    return Server(config)


class Server(uvicorn.Server):
    """A uvicorn server among several of one process, which handles the signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _serve(servers: Sequence[Server]) -> None:
    """Until a signal; whichever ends first, by a port that is taken too, takes the others along."""

    def end() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        end()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def main() -> None:
    try:
        settings = Settings(_cli_parse_args=sys.argv[1:])  # type: ignore[call-arg]
        run(settings)
    except ValidationError as error:
        sys.exit(f"mlnode: {name_all(error.errors())}")
    except (OSError, ValueError) as error:
        sys.exit(f"mlnode: {error}")


if __name__ == "__main__":
    main()
