"""vLLM as a process of its own in an environment of its own, on loopback; it is never imported here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, ClassVar

import structlog
from pydantic import Field

from mlnode.engines.base import Asked, AskedText, Engine, ModelToServe, Options, Serving
from mlnode.engines.openai_server import OpenAIServer
from mlnode.engines.vllm_scores import LISTED, Vocabulary, score
from mlnode.errors import RefusedError
from mlnode.openai_schemas import ScoreRequest, TokenizeRequest
from mlnode.supervisor import BACKOFF_FIRST_S, ComputeError, describe_exit, kept_environment
from protocol.model_args import parse

log = structlog.get_logger("mlnode.engines.vllm")

HEALTH_FAILURES_MAX = 3
LAST_LINES = 5
LINE_BYTES_MAX = 2**16
LEASH = str(Path(__file__).resolve().parents[1] / "leash.py")


class VllmOptions(Options):
    """How vLLM is started and watched."""

    executable: str = Field(default="vllm", description="vLLM's program, in its own environment")
    health_interval_s: float = Field(default=5.0, gt=0, description="time between two looks at its health")
    stop_grace_s: float = Field(default=10.0, ge=0, description="how long it may take to end in order")


def command_line(executable: str, port: int, model: ModelToServe) -> list[str]:
    """vLLM's words. What is the node's own stands last, where the last of a repeated flag holds."""
    dtype = ["--dtype", model.dtype] if model.dtype != "auto" and "--dtype" not in model.args else []
    governed = int(dict(parse(model.args)).get("--max-logprobs") or 0)
    own = ["--max-logprobs", str(max(LISTED, governed)), "--host", "127.0.0.1", "--port", str(port)]
    own += ["--served-model-name", model.model]
    return [executable, "serve", str(model.folder), *dtype, *model.args, *own]


def environment(key: str) -> dict[str, str]:
    """What vLLM sees of our environment: an allow-list, no hub, no reports home; its key is no argument."""
    return kept_environment() | {
        "VLLM_API_KEY": key,
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_HOST_IP": "127.0.0.1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


class VllmEngine(Engine):
    """Starts the process for a model, watches it, and starts it again with back-off when it ends."""

    name: ClassVar[str] = "vllm"
    options: ClassVar[type[Options]] = VllmOptions
    given: VllmOptions

    def __init__(self, host: Any, options: Any) -> None:
        super().__init__(host, options)
        self._process: asyncio.subprocess.Process | None = None
        self._server: OpenAIServer | None = None
        self._task: asyncio.Task[None] | None = None
        self._healthy = asyncio.Event()
        self._tail: deque[str] = deque(maxlen=LAST_LINES)
        self._status = "stopped"
        self._reason: str | None = None
        self._restarts = 0
        self._context: int | None = None
        self._vocabulary: Vocabulary | None = None

    async def up(self, model: ModelToServe) -> Serving:
        await self.down()
        assert model.folder is not None
        self._vocabulary = await asyncio.to_thread(_vocabulary, model.folder)
        started = time.monotonic()
        first_end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._restarts, self._reason = 0, None
        self._task = asyncio.create_task(self._supervise(model, first_end))
        healthy = asyncio.create_task(self._healthy.wait())
        either: list[asyncio.Future[Any]] = [healthy, first_end]
        load_timeout_s = self.host.settings.load_timeout_s
        await asyncio.wait(either, timeout=load_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        healthy.cancel()
        if not self._healthy.is_set():
            ended = first_end.result() if first_end.done() else "it is not healthy in time"
            await self.down()
            raise ComputeError("failed" if first_end.done() else "timeout", f"vLLM did not start: {ended}")
        assert self._server is not None
        try:
            context = await self._server.context(self.host.settings.body_timeout_s)
        except RefusedError:
            await self.down()
            raise
        self._context = context
        return Serving(context, {"weights": time.monotonic() - started})

    async def down(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._status, self._reason = "stopped", None

    async def complete(self, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
        async for each in self._ready().complete(asked):
            yield each

    async def score(self, asked: Asked[ScoreRequest]) -> dict[str, Any]:
        server = self._ready()
        if self._vocabulary is None:
            text = "given answers cannot be judged: the model's vocabulary cannot be read here"
            raise RefusedError(501, text, code="unsupported")
        return await score(
            server,
            self._vocabulary,
            asked,
            context=self._context,
            tokens_default=self.host.settings.max_tokens_default,
        )

    async def tokenize(self, asked: Asked[TokenizeRequest]) -> dict[str, Any]:
        return await self._ready().tokenize(asked)

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self._status,
            "reason": self._reason,
            "restarts": self._restarts,
            "pid": self._process.pid if self._process and self._process.returncode is None else None,
        }

    def _ready(self) -> OpenAIServer:
        if self._server is None or not self._healthy.is_set():
            reason = self._reason or self._status
            raise RefusedError(503, f"vLLM is not ready: {reason}", code="unavailable", retry_after_s=5)
        return self._server

    # the process

    async def _supervise(self, model: ModelToServe, first_end: asyncio.Future[str]) -> None:
        backoff_s = BACKOFF_FIRST_S
        while True:
            was_healthy, reason = await self._run_once(model)
            if not first_end.done():
                first_end.set_result(reason)
            if was_healthy:
                backoff_s = BACKOFF_FIRST_S
            self._restarts += 1
            self.host.metrics.engine_restarts.labels(self.name).inc()
            self._status, self._reason = "down", f"{reason}; it is started again after {backoff_s:g} s"
            log.error("engine down", engine=self.name, reason=self._reason, restarts=self._restarts)
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, self.host.settings.restart_wait_max_s)

    async def _run_once(self, model: ModelToServe) -> tuple[bool, str]:
        """Lives through one process; returns whether it was ever healthy, and why it ended."""
        port, key = _free_port(), secrets.token_hex(16)
        self._status = "starting"
        self._tail.clear()
        self._server = OpenAIServer(
            f"http://127.0.0.1:{port}/v1",
            key,
            ours=model.model,
            theirs=model.model,
            timeout_s=self.host.settings.request_timeout_s,
        )
        words = command_line(self.given.executable, port, model)
        log.info("engine starts", engine=self.name, command=words)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, LEASH, str(os.getpid()), *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment(key),
                cwd="/",
                start_new_session=True,
                limit=LINE_BYTES_MAX,
            )
            return await self._watch(self._process, self._server)
        except OSError as error:
            return False, f"it cannot be started: {error.strerror}"
        finally:
            self._healthy.clear()
            if self._process is not None:
                await self._end(self._process)
            await self._server.close()

    async def _watch(self, process: asyncio.subprocess.Process, server: OpenAIServer) -> tuple[bool, str]:
        """Until the process ends or stays unhealthy."""
        lines = asyncio.create_task(self._read_lines(process))
        ended = asyncio.create_task(process.wait())
        failures, was_healthy = 0, False
        try:
            while not ended.done():
                interval_s = self.given.health_interval_s
                if await server.is_healthy(interval_s):
                    failures, was_healthy = 0, True
                    self._status, self._reason = "ready", None
                    self._healthy.set()
                elif was_healthy:
                    failures += 1
                if failures >= HEALTH_FAILURES_MAX:
                    return was_healthy, f"it was not healthy {failures} times in a row"
                await asyncio.wait([ended], timeout=interval_s if was_healthy else min(0.2, interval_s))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(lines), 1)
            # What it says once it has served may hold prompts, and a reason is logged.
            said = f": {' | '.join(self._tail)}" if self._tail and not was_healthy else ""
            return was_healthy, f"it {describe_exit(ended.result())}{said}"
        finally:
            lines.cancel()
            ended.cancel()

    async def _read_lines(self, process: asyncio.subprocess.Process) -> None:
        """Keeps the last lines for the reason of an end; they are not logged, they may hold prompts."""
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit; what follows it is read
                continue
            if not line:
                return
            self._tail.append(line.decode(errors="replace").strip()[:200])

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Ends the process and those that it started: in order within the grace, else by force."""
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), self.given.stop_grace_s)
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _vocabulary(folder: Path) -> Vocabulary | None:
    """None where it cannot be read: vLLM may serve what this node cannot judge."""
    try:
        return Vocabulary.read(folder)
    except Exception as error:  # noqa: BLE001 - the library raises no kind of its own
        log.warning("answers cannot be judged", reason=f"{type(error).__name__}: {error}")
        return None


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


ENGINE = VllmEngine
