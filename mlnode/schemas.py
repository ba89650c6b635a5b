"""The JSON of the MLNode's own endpoints; bad input gets one error that names all that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, model_validator

from mlnode.settings import NODE_ID_PATTERN

NONCES_MAX = 100_000
UINT64_MAX = 2**64 - 1

NodeId = Annotated[str, StringConstraints(pattern=NODE_ID_PATTERN)]
Seed = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
PublicKey = Annotated[str, StringConstraints(pattern=r"^0[23][0-9a-fA-F]{64}$")]
Height = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
Nonce = Annotated[int, Field(ge=0, le=UINT64_MAX, strict=True)]
Claim = Annotated[int, Field(ge=-(2**63), le=2**63 - 1, strict=True)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Wire(BaseModel):
    # Fields of other dialects of this interface are ignored: r_target, node_count and the like.
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class InitRequest(Wire):
    """A stage's puzzle, who computes it, and where the results go."""

    node_id: NodeId
    block_hash: Seed
    block_height: Height
    public_key: PublicKey
    params: dict[str, Any]
    url: HttpUrl
    batch_size: Annotated[int, Field(ge=1, le=NONCES_MAX)] | None = None
    first_nonce: Nonce = 0

    @property
    def callback(self) -> str:
        return str(self.url).rstrip("/")

    def generation_key(self) -> tuple[object, ...]:
        """Equal for requests that ask for the same nonces at the same place."""
        whose = (self.block_hash.lower(), self.block_height, self.public_key.lower(), self.node_id)
        return (*whose, self.first_nonce, self.callback, repr(sorted(self.params.items())))


class ProofBatch(Wire):
    """Claims (`dist`, in 1e-6) of one node's nonces."""

    public_key: PublicKey
    block_hash: Seed
    block_height: Height
    nonces: Annotated[list[Nonce], Field(min_length=1, max_length=NONCES_MAX)]
    dist: Annotated[list[Claim], Field(min_length=1, max_length=NONCES_MAX)]
    node_id: NodeId
    request_id: Annotated[str, StringConstraints(max_length=200)] | None = None

    @model_validator(mode="after")
    def each_nonce_has_one_claim(self) -> Self:
        problems = []
        if len(self.nonces) != len(self.dist):
            problems.append(f"{len(self.nonces)} nonces have {len(self.dist)} claims")
        if len(set(self.nonces)) != len(self.nonces):
            problems.append("nonces repeat")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class InferenceUp(Wire):
    model: ModelName
    dtype: Annotated[str, StringConstraints(pattern=r"^(auto|half|float16|bfloat16|float|float32)$")] = "auto"
    additional_args: list[str] = []
    # Where the registry of models says that the files are; a tag or a branch is no commit.
    hf_repo: Annotated[str, StringConstraints(max_length=200)] | None = None
    hf_commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")] | None = None


def _is_kind(part: int | str) -> bool:
    """Whether a part of an error's place is no field, but which of several types was tried."""
    return isinstance(part, str) and (part == "str" or not part.replace("_", "").isalnum())


def name_all(errors: Sequence[Any]) -> str:
    """One sentence of all that a request has wrong."""
    parts = []
    for error in errors:
        if error["type"] == "json_invalid":
            parts.append(f"the body is no JSON: {error['ctx']['error']} at character {error['loc'][-1]}")
            continue
        if error["type"] == "model_attributes_type" and error["loc"] == ("body",):
            parts.append("the body is no JSON object, or Content-Type does not say application/json")
            continue
        place = ".".join(str(part) for part in error["loc"] if part != "body" and not _is_kind(part))
        parts.append(f"{place}: {error['msg']}" if place else str(error["msg"]))
    return "; ".join(parts[:20]) + (f"; and {len(parts) - 20} more" if len(parts) > 20 else "")
