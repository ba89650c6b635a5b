"""The REST gateway: every query at the path that its declaration gives, on an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog
import uvicorn
from starlette.middleware.cors import CORSMiddleware

from abci_app.kernel.errors import QueryError, invalid_argument
from abci_app.node.http_limits import BodyTooLargeError, limited_protocol, read_body
from abci_app.node.openapi import DOCUMENT_PATH, PAGE, PAGE_PATHS, document_bytes
from abci_app.node.rest_routes import RouteTable, as_json, error_json, request_of
from abci_app.node.services import HEIGHT_HEADER, INTERNAL_TEXT, Services, parse_height

log = structlog.get_logger(__name__)

THREADS: Final = 8
# Requests that may wait for a thread; the next one is told to come later.
WAITING_MAX: Final = 64
CONNECTIONS_MAX: Final = 256
ANSWER_SECONDS: Final = 15.0
REQUEST_SECONDS: Final = 20.0
KEEP_ALIVE_SECONDS: Final = 10
GRACE_SECONDS: Final = 3
CHUNK_BYTES: Final = 64 * 1024


class Gateway:
    """The ASGI application."""

    def __init__(self, services: Services, pool: ThreadPoolExecutor) -> None:
        self._services = services
        self._table = RouteTable(services.routes.values())
        self._document = document_bytes(services.routes.values())
        self._pool = pool
        self._open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http", scope["type"]
        if self._open >= WAITING_MAX + THREADS:
            await _send(send, *error_json(QueryError("ResourceExhausted", "too many requests; try again")))
            return
        if scope["method"] in {"GET", "HEAD"} and (page := self._page(scope["path"])) is not None:
            await _send(send, 200, page[1], kind=page[0])
            return
        self._open += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body, height = await self._answer(scope, receive)
        except TimeoutError:
            error = QueryError("DeadlineExceeded", f"no answer within {ANSWER_SECONDS:g} s")
            status, body, height = *error_json(error), 0
        except ConnectionError:
            return
        finally:
            self._open -= 1
        await _send(send, status, body, height)

    def _page(self, path: str) -> tuple[bytes, bytes] | None:
        """Content type and body of what describes the gateway, None where the path is another."""
        if path in PAGE_PATHS:
            return b"text/html; charset=utf-8", PAGE
        return (b"application/json", self._document) if path == DOCUMENT_PATH else None

    async def _answer(self, scope: Any, receive: Any) -> tuple[int, bytes, int]:
        try:
            verb = "GET" if scope["method"] == "HEAD" else scope["method"]
            # The target may be a whole URL; only its path counts, and that still percent-encoded.
            match = self._table.find(verb, scope["raw_path"].decode("ascii", "replace"))
            height = parse_height(_header(scope, HEIGHT_HEADER))
            body = await read_body(receive)
            request = request_of(match, scope["query_string"].decode("ascii", "replace"), body)
            loop = asyncio.get_running_loop()
            answer, held = await loop.run_in_executor(
                self._pool, self._ask, match.route.path, request.SerializeToString(), height
            )
        except QueryError as error:
            return *error_json(error), 0
        except BodyTooLargeError as error:
            return *error_json(invalid_argument(str(error))), 0
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            log.exception("the gateway failed", path=scope["path"])
            return *error_json(QueryError("Internal", INTERNAL_TEXT)), 0
        return 200, answer, held

    def _ask(self, path: str, data: bytes, height: int) -> tuple[bytes, int]:
        """Also the JSON is made on the pool's thread: of a long list it takes longer than the answer."""
        message, held = self._services.answer(path, data, height)
        return as_json(message), held


def _header(scope: Any, name: str) -> str | None:
    values = [value for key, value in scope["headers"] if key == name.encode()]
    return values[0].decode("latin-1") if values else None


async def _send(
    send: Any, status: int, body: bytes, height: int = 0, *, kind: bytes = b"application/json"
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if height:
        headers.append((HEIGHT_HEADER.encode(), str(height).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    # In pieces, so that a client that does not read is noticed.
    for start in range(0, len(body), CHUNK_BYTES):
        piece = body[start : start + CHUNK_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": start + len(piece) < len(body)})


class RestServer:
    """Listens from `start` to `stop`; port 0 takes a free one, which `port` then tells."""

    def __init__(
        self,
        services: Services,
        host: str,
        port: int,
        *,
        cors_origins: Sequence[str] = (),
        threads: int = THREADS,
        request_timeout_s: float = REQUEST_SECONDS,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self.host, self.port = host, port
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="rest")
        app: Any = Gateway(services, self._pool)
        if cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=list(cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["content-type", HEIGHT_HEADER],
                expose_headers=[HEIGHT_HEADER],
            )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=limited_protocol(request_timeout_s, connections_max),
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        # Connections inherit it; asyncio sets it only where a socket names its protocol. Without it
        # an answer's body waits 40 ms until the client has acknowledged the head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        # Uvicorn leaves the process's signals alone on a thread that is not the main one.
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="rest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Lets requests in hand finish for a moment, then ends them."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)
