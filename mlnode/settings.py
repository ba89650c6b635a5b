"""All that an operator may set for one MLNode, by argument, flag or environment variable."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, HttpUrl, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVICE = re.compile(r"cpu|mps|cuda(:(0|[1-9]\d{0,2}))?")
NODE_ID_PATTERN = r"^[!-~]{1,128}$"


def device_groups(text: str) -> list[str]:
    """One entry for each compute process; ValueError that names all that is wrong with the text."""
    groups = [group.strip() for group in text.split(",")]
    if groups == ["auto"]:
        return groups
    problems = []
    used: Counter[str] = Counter()
    for group in groups:
        names = group.split("+")
        unknown = [name for name in names if not DEVICE.fullmatch(name)]
        problems += [f"{name!r} is none of cpu, mps, cuda, cuda:N" for name in unknown]
        if len({name.partition(":")[0] for name in names if name not in unknown}) > 1:
            problems.append(f"{group} mixes kinds of devices")
        used.update("cuda:0" if name == "cuda" else name for name in names)
    # Processes share processors; a card has one of them.
    repeated = [
        name for name, count in used.items() if count > 1 and name != "cpu" and DEVICE.fullmatch(name)
    ]
    problems += [f"{name} is named more than once" for name in repeated]
    if problems:
        raise ValueError("; ".join(problems))
    return groups


def default_threads() -> int:
    """One core stays free: as many threads as cores is several times slower beside other processes."""
    return max(1, (os.cpu_count() or 1) - 1)


class Settings(BaseSettings):
    """Flags of `python -m mlnode.service`; the environment prefix is EVERGRID_MLNODE_."""

    model_config = SettingsConfigDict(
        env_prefix="EVERGRID_MLNODE_",
        cli_prog_name="mlnode",
        cli_kebab_case=True,
        protected_namespaces=(),
        extra="forbid",
    )

    host: str = Field(default="127.0.0.1", description="address to listen on; loopback unless a token is set")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on")
    inference_host: str = Field(default="127.0.0.1", description="address of the inference port")
    inference_port: int | None = Field(
        default=None, ge=0, le=65535, description="port of its own for /v1 and /tokenize; none: the same one"
    )
    node_id: str = Field(
        default="", pattern=r"^[!-~]{0,128}$", description="this node's id; other ids are refused"
    )
    models_dir: Path | None = Field(
        default=None, description="folder of models, '/' in an id written as '--'"
    )
    model_map: Path | None = Field(default=None, description="JSON file {model id: folder}")
    hub_url: HttpUrl | None = Field(
        default=None, description="hub to fetch models from, at their commit; none: only local files"
    )
    hub_token_file: Path | None = Field(default=None, description="file with the hub's token")
    download_timeout_s: float = Field(default=6 * 3600.0, gt=0, description="longest fetch of one model")
    engine: str = Field(default="transformers", description="who serves models: a file of mlnode/engines")
    engine_options: dict[str, Any] = Field(default={}, description="that engine's own options, as JSON")
    threads: int = Field(
        default_factory=default_threads,
        ge=1,
        le=1024,
        description="torch threads, shared out among processes",
    )
    device: str = Field(
        default="auto",
        description="auto, cpu, mps, cuda or cuda:N; cuda:0+cuda:1: one puzzle over both; "
        "cuda:0,cuda:1: a compute process each, of which the first serves models",
    )
    token_file: Path | None = Field(default=None, description="file with the bearer token of /api/v1")
    callback_token_file: Path | None = Field(
        default=None, description="file with the bearer token sent with callbacks (default: that of /api/v1)"
    )

    callback_interval_s: float = Field(
        default=0.5, ge=0, description="least time between two posts of nonces"
    )
    callback_timeout_s: float = Field(
        default=10.0, gt=0, description="longest wait for one callback's answer"
    )
    callback_grace_s: float = Field(
        default=60.0, ge=0, description="how long found nonces are still sent after their phase has ended"
    )
    compute_start_timeout_s: float = Field(
        default=120.0, gt=0, description="longest start of the compute process"
    )
    restart_wait_max_s: float = Field(
        default=30.0, gt=0, description="longest wait before a process that ended is started again"
    )
    load_timeout_s: float = Field(default=1200.0, gt=0, description="longest load of a model or a puzzle")
    drain_timeout_s: float = Field(
        default=10.0, ge=0, description="how long running answers may finish on a switch"
    )
    request_timeout_s: float = Field(default=600.0, gt=0, description="longest time for one whole answer")
    body_timeout_s: float = Field(
        default=20.0, gt=0, description="longest time for a request's head, and its body"
    )
    body_bytes_max: int = Field(default=16 * 2**20, gt=0, description="largest request body in bytes")
    connections_max: int = Field(default=256, gt=0, description="most connections at once")
    requests_active_max: int = Field(default=32, gt=0, description="most choices decoded side by side")
    requests_waiting_max: int = Field(default=64, ge=0, description="most answers that wait for their turn")
    max_tokens_default: int = Field(default=512, gt=0, description="max_tokens of a request that names none")

    @field_validator("device")
    @classmethod
    def known_devices(cls, text: str) -> str:
        return ",".join(device_groups(text))

    @property
    def device_groups(self) -> list[str]:
        """The devices of each compute process."""
        return device_groups(self.device)

    @property
    def threads_each(self) -> int:
        """torch threads of one compute process."""
        return max(1, self.threads // len(self.device_groups))

    @field_validator("models_dir", "model_map", "token_file", "callback_token_file", "hub_token_file")
    @classmethod
    def expand(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else path


def read_token(path: Path | None) -> str | None:
    """The token in a file, stripped; ValueError when the file is empty, OSError when it cannot be read."""
    if path is None:
        return None
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise ValueError(f"the token file {path} is empty")
    return token
