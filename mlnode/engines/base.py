"""What every engine promises to the node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mlnode.metrics import Metrics
from mlnode.openai_schemas import ChatRequest, CompletionRequest, ScoreRequest, TokenizeRequest
from mlnode.schemas import name_all
from mlnode.settings import Settings
from mlnode.supervisor import Compute


@dataclass(frozen=True, slots=True)
class Host:
    """What an engine gets of the node. The compute process belongs to the node; an engine may use it."""

    settings: Settings
    metrics: Metrics
    compute: Compute


@dataclass(frozen=True, slots=True)
class ModelToServe:
    """A model whose files were checked, and its allowed arguments in their canonical words."""

    model: str
    dtype: str
    args: tuple[str, ...]
    # None where the engine said that it needs no files.
    folder: Path | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Serving:
    """What is known once a model answers; `phases` are seconds by name."""

    context: int | None = None
    phases: dict[str, float] = field(default_factory=dict)


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Whether the next model lies in memory, and if not, why."""

    loaded: bool
    reason: str | None = None
    phases: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """One request: `raw` is its body as it came, `request` the same, checked."""

    request: R
    raw: dict[str, Any]


AskedText = Asked[ChatRequest] | Asked[CompletionRequest]


class Options(BaseModel):
    """An engine's own options; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Engine(ABC):
    """One way to serve one model at a time. What cannot be done raises RefusedError or ComputeError."""

    name: ClassVar[str]
    needs_files: ClassVar[bool] = True
    options: ClassVar[type[Options]] = Options

    def __init__(self, host: Host, options: Any) -> None:
        self.host = host
        self.given = options

    @classmethod
    def create(cls, host: Host) -> Self:
        """The engine with its options from the settings; ValueError names all that is wrong with them."""
        try:
            return cls(host, cls.options.model_validate(host.settings.engine_options))
        except ValidationError as error:
            raise ValueError(f"engine_options of {cls.name}: {name_all(error.errors())}") from error

    async def check(self, model: ModelToServe) -> None:  # noqa: B027 - most engines learn it as they start
        """Refuses what the engine can never serve, before anything that runs is touched."""

    @abstractmethod
    async def up(self, model: ModelToServe) -> Serving:
        """Returns when the model answers."""

    @abstractmethod
    async def down(self) -> None:
        """Stops serving and gives the memory back; nothing is served before `up` has returned again."""

    @abstractmethod
    def complete(self, asked: AskedText) -> AsyncGenerator[dict[str, Any]]:
        """One whole object, or chunks of which the last has the usage; who leaves early cancels the rest."""

    @abstractmethod
    async def score(self, asked: Asked[ScoreRequest]) -> dict[str, Any]:
        """How the model judges a given answer."""

    @abstractmethod
    async def tokenize(self, asked: Asked[TokenizeRequest]) -> dict[str, Any]:
        """{count, max_model_len, tokens} of a prompt."""

    async def prepare(self, model: ModelToServe) -> Prepared:
        """Does ahead of `up` what the memory beside the running model allows."""
        return Prepared(
            loaded=False, reason=f"the engine {self.name} loads {model.model} when it is its turn"
        )

    async def forget(self) -> None:  # noqa: B027 - most engines prepare nothing
        """Gives back the memory of what was prepared."""

    async def close(self) -> None:
        """The node ends."""
        await self.down()

    def describe(self) -> dict[str, Any]:
        """What GET /state says of the engine."""
        return {"name": self.name, "status": "ready"}
