"""Compiles `proto/` into `protocol/gen/`: Python modules and type stubs on the private descriptor pool.

Run `python -m tools.protogen` to write, `python -m tools.protogen --check` to compare with what is committed.
"""

from __future__ import annotations

import filecmp
import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "proto"
TARGET = ROOT / "protocol" / "gen"
WELL_KNOWN = tuple(f"google/protobuf/{name}.proto" for name in ("any", "descriptor", "duration", "timestamp"))

FROM_IMPORT = re.compile(r"^from ((?:[a-z0-9_]+\.)*[a-z0-9_]+) import (\w+_pb2)\b", re.MULTILINE)
PLAIN_IMPORT = re.compile(r"^import ((?:[a-z0-9_]+\.)*\w+_pb2)\b", re.MULTILINE)
DEFAULT_POOL = "from google.protobuf import descriptor_pool as _descriptor_pool"


def compile_protos(out: Path) -> None:
    """Runs protoc over every declaration; raises RuntimeError with its exit code when one fails."""
    from grpc_tools import protoc  # noqa: PLC0415 - a tool of development, absent from a user's installation

    include = str(resources.files("grpc_tools") / "_proto")
    files = sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.proto"))
    out.mkdir(parents=True, exist_ok=True)
    code = protoc.main(
        [
            "protoc",
            f"-I{SOURCE}",
            f"-I{include}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            *WELL_KNOWN,
            *files,
        ]
    )
    if code:
        raise RuntimeError(f"protoc failed with exit code {code}")


def rewrite(text: str) -> str:
    """Moves the imports of one generated file into `protocol.gen`, its descriptors into the private pool."""

    def moved(match: re.Match[str]) -> str:
        package = match.group(1)
        if package == "google.protobuf" and match.group(2) not in {
            f"{name}_pb2" for name in ("any", "descriptor", "duration", "timestamp")
        }:
            return match.group(0)
        return f"from protocol.gen.{package} import {match.group(2)}"

    text = FROM_IMPORT.sub(moved, text)
    text = PLAIN_IMPORT.sub(r"import protocol.gen.\1", text)
    text = text.replace(DEFAULT_POOL, "from protocol.pool import POOL as _POOL")
    return text.replace("_descriptor_pool.Default()", "_POOL")


def generate(out: Path) -> None:
    """Writes the whole generated package into an empty folder."""
    compile_protos(out)
    for path in sorted([*out.rglob("*.py"), *out.rglob("*.pyi")]):
        path.write_text(rewrite(path.read_text()))
    folders = {path.parent for path in out.rglob("*_pb2.py")}
    parents = {parent for folder in folders for parent in folder.parents if out in (parent, *parent.parents)}
    for folder in sorted(folders | parents | {out}):
        (folder / "__init__.py").write_text("")


def differences(fresh: Path, committed: Path) -> list[str]:
    """The relative paths that are missing, surplus or different, sorted."""
    names = {
        str(path.relative_to(base))
        for base in (fresh, committed)
        for path in base.rglob("*")
        if path.suffix in {".py", ".pyi"}
    }
    return sorted(
        name
        for name in names
        if not (fresh / name).exists()
        or not (committed / name).exists()
        or not filecmp.cmp(fresh / name, committed / name, shallow=False)
    )


def install(fresh: Path, target: Path) -> list[str]:
    """Brings the target to the fresh state, touching only what differs; returns what it touched."""
    changed = differences(fresh, target)
    for name in changed:
        source, goal = fresh / name, target / name
        if not source.exists():
            goal.unlink()
            continue
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_text(source.read_text())
    return changed


def main(argv: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "gen"
        generate(fresh)
        if "--check" in argv:
            changed = differences(fresh, TARGET)
            for name in changed:
                print(f"protocol/gen/{name} differs: run python -m tools.protogen")
            return 1 if changed else 0
        for name in install(fresh, TARGET):
            print(f"protocol/gen/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
