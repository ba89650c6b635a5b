"""Finds a model's files, on this machine or at the hub, and has them checked before anything loads them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from mlnode.errors import RefusedError
from mlnode.metrics import Metrics
from mlnode.model_files import (
    ID_PATTERN,
    UnfitModelError,
    UnknownModelError,
    check,
    commit_of,
    locate,
    weights_bytes,
)
from mlnode.schemas import InferenceUp
from mlnode.settings import Settings, read_token
from mlnode.supervisor import kept_environment

log = structlog.get_logger("mlnode.model_store")

LINE_BYTES_MAX = 2**16
PACKAGES = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True, slots=True)
class Files:
    """A model's checked files; `phases` are seconds by name."""

    folder: Path
    bytes: int
    phases: dict[str, float]


class ModelStore:
    """One fetch at a time; what a fetch has got is kept, and the next one goes on from there."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._fetching = asyncio.Lock()
        # What GET /state shows while files are fetched.
        self.progress: dict[str, object] | None = None

    async def get(self, request: InferenceUp) -> Files:
        """The model's files, fetched where need be; RefusedError names all that is wrong with them."""
        phases: dict[str, float] = {}
        try:
            folder = self._local(request)
            if folder is None:
                started = time.monotonic()
                folder = await self._fetch(request)
                phases["download"] = time.monotonic() - started
            started = time.monotonic()
            verified = await asyncio.to_thread(check, folder)
            self._check_commit(request, folder)
            phases["check"] = time.monotonic() - started
        except UnknownModelError as error:
            raise RefusedError(404, str(error), code="model_not_found") from error
        except (UnfitModelError, ValueError) as error:
            raise RefusedError(400, str(error)) from error
        except OSError as error:
            raise RefusedError(500, f"the model's files cannot be read: {error.strerror}") from error
        if verified:
            self._metrics.artifact_verified.labels(model=request.model).set(1)
        return Files(folder, weights_bytes(folder), phases)

    def _local(self, request: InferenceUp) -> Path | None:
        """The folder on this machine; None where the hub has to be asked."""
        at_commit = self._folder_of(request)
        if at_commit is not None and at_commit.is_dir():
            return at_commit
        try:
            return locate(request.model, self._settings.models_dir, self._settings.model_map)
        except UnknownModelError as error:
            if at_commit is None or self._settings.hub_url is None:
                why = (
                    "no hub is set"
                    if self._settings.hub_url is None
                    else "no repository and commit of a hub are given"
                )
                raise UnknownModelError(f"{error}, and {why}") from error
            return None

    def _folder_of(self, request: InferenceUp) -> Path | None:
        if self._settings.models_dir is None or not request.hf_repo or not request.hf_commit:
            return None
        if not ID_PATTERN.fullmatch(request.hf_repo):
            return None  # a local model may say whatever it is from
        return self._settings.models_dir / f"{request.hf_repo.replace('/', '--')}@{request.hf_commit}"

    @staticmethod
    def _check_commit(request: InferenceUp, folder: Path) -> None:
        """Files that say of which commit they are must be of the one that is asked for."""
        known = commit_of(folder)
        if request.hf_commit and known and known != request.hf_commit:
            raise UnfitModelError(f"the model's folder is of commit {known}, not {request.hf_commit}")

    async def _fetch(self, request: InferenceUp) -> Path:
        folder = self._folder_of(request)
        assert folder is not None
        async with self._fetching:
            if folder.is_dir():
                return folder
            self.progress = {"model": request.model, "bytes_done": 0, "bytes_total": None}
            try:
                await self._run_fetch(request, folder)
            finally:
                self.progress = None
        return folder

    async def _run_fetch(self, request: InferenceUp, folder: Path) -> None:
        settings = self._settings
        job = {"endpoint": str(settings.hub_url).rstrip("/"), "repo": request.hf_repo}
        job |= {"commit": request.hf_commit, "folder": str(folder)}
        environment = kept_environment() | {
            "PYTHONPATH": PACKAGES,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        if token := read_token(settings.hub_token_file):
            environment["HF_TOKEN"] = token
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mlnode.leash", str(os.getpid()), sys.executable, "-m", "mlnode.fetch"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            limit=LINE_BYTES_MAX,
        )
        error: str | None = "it ended without a word"
        try:
            async with asyncio.timeout(settings.download_timeout_s):
                assert process.stdin is not None
                process.stdin.write(json.dumps(job).encode())
                process.stdin.close()
                error = await self._follow(process, request.model)
        except TimeoutError:
            error = f"it took longer than {settings.download_timeout_s:g} s; what there is is kept"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if error is not None:
            raise RefusedError(502, f"{request.model} could not be fetched: {error}", code="download_failed")
        log.info("model fetched", model=request.model, commit=request.hf_commit)

    async def _follow(self, process: asyncio.subprocess.Process, model: str) -> str | None:
        """Reads the fetch's lines to their end; None when it is done, else why not."""
        assert process.stdout is not None
        assert self.progress is not None
        async for line in process.stdout:
            told = json.loads(line)
            if told.get("done"):
                return None
            if "error" in told:
                return str(told["error"])
            self.progress |= told
            for name in told.keys() & {"bytes_done", "bytes_total"}:
                self._metrics.download_bytes.labels(model, name.removeprefix("bytes_")).set(told[name])
        return "it ended without a word"
