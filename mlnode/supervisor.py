"""The HTTP process's view of the compute process: start it, ask it, notice its end, start it again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import structlog

from mlnode.settings import Settings
from mlnode.wire import FrameError, Message, encode, read_frame

log = structlog.get_logger("mlnode.supervisor")

BACKOFF_FIRST_S = 0.5
STABLE_AFTER_S = 60.0
STOP_GRACE_S = 5.0

# What the compute process may see of our environment: no secrets, nothing that fetches or runs remote code.
ENVIRONMENT_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
)
ENVIRONMENT_KEPT_PREFIXES = ("CUDA_", "NVIDIA_", "PYTORCH_")


class ComputeError(Exception):
    """What was refused (`invalid`, `full`, `unavailable`) or not possible (`failed`, `down`, `timeout`)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def kept_environment() -> dict[str, str]:
    """What a child process may see of our own environment."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in ENVIRONMENT_KEPT or name.startswith(ENVIRONMENT_KEPT_PREFIXES)
    }


def environment(threads: int) -> dict[str, str]:
    """The compute process's environment: an allowlist, no hub, and threads that wait without spinning."""
    return kept_environment() | {
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "KMP_BLOCKTIME": "0",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def describe_exit(returncode: int) -> str:
    """A sentence's end that says how a process ended."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    name = signal.Signals(-returncode).name
    hint = " (the system's way when memory runs out)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


class Compute:
    """One compute process at a time, restarted with back-off; requests wait until it is ready."""

    def __init__(
        self,
        settings: Settings,
        on_event: Callable[[Message], None],
        on_down: Callable[[str], None],
        on_ready: Callable[[], None] = lambda: None,
        device: str | None = None,
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._on_down = on_down
        self._on_ready = on_ready
        self.device = device or settings.device_groups[0]
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Queue[Message]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._fatal: str | None = None
        self.status = "starting"
        self.reason: str | None = None
        self.restarts = 0
        self.ready_info: Message = {}

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._supervise())

    def describe(self) -> dict[str, Any]:
        """The process as the node's state shows it."""
        return {
            "status": self.status,
            "pid": self.pid,
            "reason": self.reason,
            "restarts": self.restarts,
            "device": self.ready_info.get("device"),
        }

    async def close(self) -> None:
        """Ends the process: politely by closing the connection, by force after a grace."""
        self._closing = True
        if self._writer:
            self._writer.close()
        if not self.is_ready:
            self.kill()  # In the middle of its imports it would not notice for seconds.
        if self._process and self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), STOP_GRACE_S)
            except TimeoutError:
                self.kill()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def kill(self) -> None:
        """Ends the process at once; the supervisor starts another one."""
        with contextlib.suppress(ProcessLookupError):
            if self._process and self._process.returncode is None:
                self._process.kill()

    async def request(self, op: str, *, timeout_s: float | None = None, **fields: Any) -> Message:
        """The one answer to `op`; ComputeError if it fails.

        A process that exceeds the time is taken for stuck: it is ended and replaced.
        """
        try:
            async with asyncio.timeout(timeout_s), contextlib.aclosing(self.stream(op, **fields)) as replies:
                return await anext(replies)
        except TimeoutError as error:
            self.kill()
            raise ComputeError("timeout", f"{op} took longer than {timeout_s:g} s") from error

    def tell(self, op: str, **fields: Any) -> None:
        """A command without an answer; ComputeError when there is no process to tell it to."""
        self._send({"id": 0, "op": op} | fields)

    async def stream(self, op: str, **fields: Any) -> AsyncGenerator[Message]:
        """All answers to `op`; whoever leaves early cancels what is left of it."""
        await self._wait_ready()
        request_id = next(self._ids)
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._replies[request_id] = queue
        ended = False
        try:
            self._send({"id": request_id, "op": op} | fields)
            while not ended:
                message = await queue.get()
                if error := message.get("error"):
                    ended = True
                    raise ComputeError(error["kind"], error["message"])
                ended = message["last"]
                yield message["ok"]
        finally:
            self._replies.pop(request_id, None)
            if not ended and self.is_ready:
                self._send({"id": 0, "op": "cancel", "target": request_id})

    async def _wait_ready(self) -> None:
        try:
            await asyncio.wait_for(self._ready.wait(), self._settings.compute_start_timeout_s)
        except TimeoutError:
            raise ComputeError(
                "down", f"the compute process is not ready: {self.reason or self.status}"
            ) from None

    def _send(self, message: Message) -> None:
        if self._writer is None:
            raise ComputeError("down", f"the compute process is not ready: {self.reason or self.status}")
        self._writer.write(encode(message))

    async def _supervise(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while True:
            started = time.monotonic()
            reason = await self._run_once()
            if self._closing:
                return
            if time.monotonic() - started > STABLE_AFTER_S:
                backoff_s = BACKOFF_FIRST_S
            self._went_down(f"{reason}; it is started again after {backoff_s:g} s")
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, self._settings.restart_wait_max_s)
            self.status = "starting"

    async def _run_once(self) -> str:
        """Lives through one compute process; returns why it ended."""
        ours, theirs = socket.socketpair()
        options = {"threads": self._settings.threads_each, "device": self.device}
        options["requests_active_max"] = self._settings.requests_active_max
        options["requests_waiting_max"] = self._settings.requests_waiting_max
        command = [sys.executable, "-m", "mlnode.compute", str(theirs.fileno())]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment(self._settings.threads_each),
            )
        except OSError as error:
            ours.close()
            return f"the compute process cannot be started: {error}"
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(encode({"id": 0, "op": "start"} | options))
        fault = await self._read_all(reader)
        self._ready.clear()
        self._writer.close()
        self._writer = None
        if fault or self._closing is False:
            # A process that has closed its end, or talks nonsense, is of no use any more.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1.0)
            self.kill()
        ending = describe_exit(await self._process.wait())
        detail, self._fatal = fault or self._fatal, None
        return f"the compute process {ending}" + (f": {detail}" if detail else "")

    async def _read_all(self, reader: asyncio.StreamReader) -> str | None:
        try:
            while (message := await read_frame(reader)) is not None:
                self._dispatch(message)
        except (FrameError, ValueError) as error:
            return f"it sent what is no message: {error}"
        return None

    def _dispatch(self, message: Message) -> None:
        if "id" in message:
            # A reply to a request whose asker has left is of no interest.
            if queue := self._replies.get(message["id"]):
                queue.put_nowait(message)
        elif message["event"] == "ready":
            self.ready_info = message
            self.status, self.reason = "ready", None
            self._ready.set()
            log.info("compute ready", pid=self.pid, device=message["device"], threads=message["threads"])
            self._on_ready()
        elif message["event"] == "fatal":
            self._fatal = message["message"]
        else:
            self._on_event(message)

    def _went_down(self, reason: str) -> None:
        self.status, self.reason = "down", reason
        self.restarts += 1
        log.error("compute down", device=self.device, reason=reason, restarts=self.restarts)
        for queue in list(self._replies.values()):
            queue.put_nowait({"error": {"kind": "down", "message": reason}})
        self._on_down(reason)
