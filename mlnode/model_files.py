"""Where a model lies, and whether its files may be loaded: decided before torch sees them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

HEADER_BYTES_MAX = 100 * 2**20
ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?", re.ASCII)
REFUSED_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".so")
PROVENANCE = "provenance.json"


class UnknownModelError(Exception):
    """The node has no folder for this model."""


class UnfitModelError(Exception):
    """The model's folder holds what must not or cannot be loaded."""


def locate(model: str, models_dir: Path | None, model_map: Path | None) -> Path:
    """The folder of a model id: by the map first, else `models_dir` with '/' written as '--'.

    Raises UnknownModelError.
    """
    if not ID_PATTERN.fullmatch(model) or len(model) > 200:
        raise UnknownModelError(f"{model[:200]!r} is no model id")
    if model_map and (mapped := _mapped(model, model_map)):
        if mapped.is_dir():
            return mapped
        raise UnknownModelError(f"the model map's folder for {model} does not exist")
    if models_dir and (folder := models_dir / model.replace("/", "--")).is_dir():
        return folder
    raise UnknownModelError(f"this node has no files of model {model}")


def _mapped(model: str, model_map: Path) -> Path | None:
    try:
        folders = json.loads(model_map.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownModelError(f"the model map cannot be read: {error}") from error
    folder = folders.get(model) if isinstance(folders, dict) else None
    return (model_map.parent / folder) if isinstance(folder, str) else None


def check(folder: Path) -> bool:
    """Whether checksums were verified (false: there are none); UnfitModelError names all that is wrong."""
    problems = [
        f"{path.name} may hold code" for path in sorted(folder.iterdir()) if path.suffix in REFUSED_SUFFIXES
    ]
    problems += _config_problems(folder / "config.json")
    problems += _remote_code(folder / "tokenizer_config.json")
    if not (folder / "tokenizer.json").is_file():
        problems.append("tokenizer.json is missing")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        hint = (
            "; `python -m tools.convert_gguf` makes them of the *.gguf" if any(folder.glob("*.gguf")) else ""
        )
        problems.append(f"there are no *.safetensors{hint}")
    for path in weights:
        problems += _safetensors_problems(path)
    provenance = folder / PROVENANCE
    if provenance.is_file():
        problems += _provenance_problems(provenance)
    if problems:
        raise UnfitModelError(f"the model's folder is unfit: {'; '.join(problems)}")
    return provenance.is_file()


def weights_bytes(folder: Path) -> int:
    """The size of a model's weights on disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def commit_of(folder: Path) -> str | None:
    """The hub's commit that the files are of, where their record says it."""
    try:
        source = json.loads((folder / PROVENANCE).read_text(encoding="utf-8")).get("source")
    except (OSError, ValueError, AttributeError):
        return None
    commit = source.get("hf_commit") if isinstance(source, dict) else None
    return commit if isinstance(commit, str) else None


def _config_problems(path: Path) -> list[str]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"config.json cannot be read ({type(error).__name__})"]
    if not isinstance(config, dict):
        return ["config.json is no object"]
    return _remote_code(path)


def _remote_code(path: Path) -> list[str]:
    """Whether a configuration names code that its repository would bring along."""
    try:
        asks = "auto_map" in json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        return [f"{path.name} cannot be read ({type(error).__name__})"]
    return [f"{path.name} asks for remote code (auto_map)"] if asks else []


def _safetensors_problems(path: Path) -> list[str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(HEADER_BYTES_MAX, size - 8):
            return [f"{path.name} has a header of {length} bytes in a file of {size}"]
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return [f"{path.name} has no valid header"]
    if not all(isinstance(end, int) for end in ends) or max(ends, default=0) != size - 8 - length:
        return [f"{path.name} is cut off or has bytes that belong to no tensor"]
    return []


def _provenance_problems(provenance: Path) -> list[str]:
    """What differs from the SHA-256 of each file that stands under `files`, as set-up writes them."""
    try:
        files = json.loads(provenance.read_text(encoding="utf-8"))["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{PROVENANCE} cannot be read ({type(error).__name__})"]
    problems = []
    for name, digest in files:
        path = provenance.parent / name
        if Path(name).name != name or not path.is_file():
            problems.append(f"{PROVENANCE} names {name!r}, which is not here")
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                problems.append(f"{name} does not match its checksum")
    return problems
