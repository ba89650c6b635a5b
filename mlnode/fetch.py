"""Fetches a model from a hub at exactly one commit: `python -m mlnode.fetch`, its job on stdin as JSON.

It runs as a process of its own, so that it can be ended, and only it sees the hub's token. Nothing is fetched
that could hold code; each file is compared with the hash that the hub states for it at that commit. Lines of
JSON on stdout tell how far it is: {bytes_total}, {bytes_done}, at last {done} or {error}.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoSibling

PATTERNS = (".safetensors", ".json", ".jinja", ".model")
LICENSES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")
PROGRESS_INTERVAL_S = 0.5
CHUNK_BYTES = 2**20


def say(**fields: Any) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def fail(message: str) -> NoReturn:
    """Says why there is no model, and ends."""
    say(error=message)
    sys.exit(1)


def wanted(names: Iterable[str]) -> list[str]:
    """The files that a model consists of: those at the top, of kinds that cannot run."""
    return sorted(name for name in names if "/" not in name and (name.endswith(PATTERNS) or name in LICENSES))


def digests(path: Path) -> tuple[str, str]:
    """(SHA-256, git's id of a blob with these bytes), in hex."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def verify(path: Path, stated: RepoSibling) -> str:
    """The file's SHA-256; ends where the file is not the one that the commit names."""
    sha256, blob = digests(path)
    expected, found = (stated.lfs.sha256, sha256) if stated.lfs else (stated.blob_id, blob)
    if expected != found:
        path.unlink()  # the library would take it for whole at the next try
        fail(f"{stated.rfilename} has the hash {found}, the commit says {expected}")
    return sha256


def list_files(api: HfApi, repo: str, commit: str) -> dict[str, RepoSibling]:
    """The wanted files of the commit, by name."""
    info = api.model_info(repo, revision=commit, files_metadata=True)
    if info.sha != commit:
        fail(f"the hub answers with commit {info.sha} instead of {commit}")
    files = {each.rfilename: each for each in info.siblings or ()}
    chosen = wanted(files)
    if not any(name.endswith(".safetensors") for name in chosen):
        fail(f"{repo} has no *.safetensors at this commit; other kinds of weights are not loaded")
    return {name: files[name] for name in chosen}


def watch(folder: Path, ended: threading.Event) -> None:
    """Tells now and then how much there is."""
    while not ended.wait(PROGRESS_INTERVAL_S):
        say(bytes_done=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def fetch(job: dict[str, Any], token: str | None) -> None:
    """Fetches into a folder beside the final one, which appears whole or not at all."""
    from huggingface_hub import HfApi  # noqa: PLC0415 - only this process pays for it

    final = Path(job["folder"])
    staging = final.with_name(f".{final.name}.partial")
    staging.mkdir(parents=True, exist_ok=True)
    api = HfApi(endpoint=job["endpoint"], token=token or False)
    files = list_files(api, job["repo"], job["commit"])
    total = sum(each.size or 0 for each in files.values())
    free = shutil.disk_usage(staging).free
    if total > free:
        fail(f"the files have {total} bytes, the disk has room for {free}")
    say(bytes_total=total)
    ended = threading.Event()
    threading.Thread(target=watch, args=(staging, ended), daemon=True).start()
    sums = {}
    for name, stated in files.items():
        path = api.hf_hub_download(job["repo"], name, revision=job["commit"], local_dir=staging)
        sums[name] = verify(Path(path), stated)
    ended.set()
    shutil.rmtree(staging / ".cache", ignore_errors=True)
    source = {"hf_repo": job["repo"], "hf_commit": job["commit"]}
    record = json.dumps({"files": sums, "source": source}, indent=2, sort_keys=True)
    (staging / "provenance.json").write_text(record + "\n", encoding="utf-8")
    staging.rename(final)
    say(done=True, bytes_done=total)


def main() -> None:
    token = os.environ.pop("HF_TOKEN", None)
    try:
        fetch(json.load(sys.stdin), token)
    except Exception as error:  # noqa: BLE001 - whatever the library says, the parent must hear it
        text = " ".join(str(error).split())[:400]
        fail(f"{type(error).__name__}: {text.replace(token, '***') if token else text}")


if __name__ == "__main__":
    main()
