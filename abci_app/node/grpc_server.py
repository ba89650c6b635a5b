"""The gRPC server: one handler for every query, chosen by path, and reflection over our descriptors.

It runs in an event loop on a thread of its own, so that a stream that nobody reads holds no thread.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection, reflection_pb2

from abci_app.kernel.errors import QueryError
from abci_app.node.services import HEIGHT_HEADER, Services, parse_height
from protocol.pool import POOL

REQUEST_BYTES_MAX: Final = 16 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
THREADS: Final = 8
# What comes beyond it is refused at once, before anything is read.
CALLS_MAX: Final = 256
GRACE_SECONDS: Final = 3.0
REFLECTION_V1: Final = "grpc.reflection.v1.ServerReflection"
START_SECONDS: Final = 10.0
OPTIONS: Final = (
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
    ("grpc.max_connection_idle_ms", 300_000),
    # A connection ends some day, whatever streams it holds open; clients make a new one by themselves.
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    # Two processes on one port would each get half of the callers.
    ("grpc.so_reuseport", 0),
)


def status_code(name: str) -> grpc.StatusCode:
    """The gRPC status of a name such as "NotFound"."""
    return grpc.StatusCode[re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()]


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg] # generic in the stubs alone
    def __init__(self, services: Services, pool: ThreadPoolExecutor) -> None:
        self._services = services
        self._pool = pool
        self._handlers = {
            path: grpc.unary_unary_rpc_method_handler(
                self._unary(path), request_deserializer=None, response_serializer=_encoded
            )
            for path in services.routes
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)

    def _unary(self, path: str) -> Callable[[bytes, Any], Any]:
        async def answer(data: bytes, context: Any) -> Message:
            loop = asyncio.get_running_loop()
            try:
                height = _height(context)
                message, held = await loop.run_in_executor(
                    self._pool, self._services.answer, path, data, height
                )
            except QueryError as error:
                await context.abort(status_code(error.status), str(error))
            await context.send_initial_metadata(((HEIGHT_HEADER, str(held)),))
            return message

        return answer


def _reflect(names: tuple[str, ...], server: Any) -> None:
    """Describes the services under both names of reflection: their messages are the same on the wire."""
    # The stubs do not know of the asynchronous one.
    servicer = reflection.aio.ReflectionServicer(names, pool=POOL)  # type: ignore[attr-defined]
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = [
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        for name in (reflection.SERVICE_NAME, REFLECTION_V1)
    ]
    server.add_generic_rpc_handlers(handlers)


def _encoded(message: Message) -> bytes:
    return message.SerializeToString()


def _height(context: Any) -> int:
    for key, value in context.invocation_metadata() or ():
        if key == HEIGHT_HEADER:
            return parse_height(value if isinstance(value, str) else value.decode("ascii", "replace"))
    return 0


class GrpcServer:
    """Listens from `start` to `stop`; port 0 takes a free one, which `port` then tells."""

    def __init__(self, services: Services, host: str, port: int, *, threads: int = THREADS) -> None:
        self.host, self.port = host, port
        self._services = services
        self._threads = threads
        self._thread = threading.Thread(target=self._run, name="grpc", daemon=True)
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        self._thread.start()
        self._ready.wait(START_SECONDS)
        if self._failure is not None:
            where = f"{self.host}:{self.port}"
            raise OSError(f"gRPC cannot listen on {where}: {self._failure}") from self._failure

    def stop(self) -> None:
        """Lets calls in hand finish for a moment, then ends them."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="grpc") as pool:
            server = grpc.aio.server(
                handlers=(_Handlers(self._services, pool),),
                options=OPTIONS,
                maximum_concurrent_rpcs=CALLS_MAX,
            )
            names = sorted({route.service for route in self._services.routes.values()})
            _reflect((*names, reflection.SERVICE_NAME, REFLECTION_V1), server)
            host = f"[{self.host}]" if ":" in self.host else self.host
            try:
                self.port = server.add_insecure_port(f"{host}:{self.port}")
                await server.start()
            except Exception as error:  # noqa: BLE001 - the thread that asked for the start tells it
                self._failure = error
                return
            finally:
                self._ready.set()
            await self._stop.wait()
            await server.stop(GRACE_SECONDS)
