"""Models from a hub, which here is a small server with the hub's interface: at one commit, hash by hash."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import HttpUrl, ValidationError

from mlnode.errors import RefusedError
from mlnode.fetch import wanted
from mlnode.metrics import Metrics
from mlnode.model_files import UnfitModelError, check
from mlnode.model_store import ModelStore
from mlnode.schemas import InferenceUp
from mlnode.settings import Settings
from mlnode.tiny import make_tiny_llama

REPO, COMMIT = "org/model", "a1" * 20
TOKEN = "hub-secret"


@dataclass
class Hub:
    """What the hub has; `lie` gives other bytes than those whose hashes it states."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    sha: str = COMMIT
    lie: str = ""
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    def info(self) -> dict[str, Any]:
        siblings = []
        for name, raw in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(raw), "blobId": blob}
            if name.endswith(".safetensors"):
                sha256 = hashlib.sha256(raw).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(raw), "pointerSize": 130}
            siblings.append(entry)
        return {"id": REPO, "modelId": REPO, "sha": self.sha, "siblings": siblings}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = make_tiny_llama(tmp_path / "source", seed=3)
    state = Hub(files={path.name: path.read_bytes() for path in folder.iterdir()})
    state.files |= {"pytorch_model.bin": b"pickle", "code.py": b"import os", "sub/model.safetensors": b"x"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.serve(with_body=False)

        def do_GET(self) -> None:
            self.serve(with_body=True)

        def serve(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            state.tokens.add(self.headers.get("Authorization"))
            state.asked.append(path)
            name = path.rpartition("/")[2]
            if path == f"/api/models/{REPO}/revision/{COMMIT}":
                raw = true = json.dumps(state.info()).encode()
            elif path == f"/{REPO}/resolve/{COMMIT}/{name}" and name in state.files:
                raw = true = state.files[name]
                raw = bytes([raw[0] ^ 1]) + raw[1:] if name == state.lie else raw
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("ETag", f'"{hashlib.sha256(true).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def store(tmp_path: Path, hub: Hub | None) -> tuple[ModelStore, Metrics]:
    models_dir, token = tmp_path / "models", tmp_path / "token"
    models_dir.mkdir(exist_ok=True)
    token.write_text(TOKEN)
    url = HttpUrl(hub.url) if hub else None
    metrics = Metrics()
    return ModelStore(Settings(models_dir=models_dir, hub_url=url, hub_token_file=token), metrics), metrics


def up(**changes: Any) -> InferenceUp:
    return InferenceUp(**{"model": "org/model-1", "hf_repo": REPO, "hf_commit": COMMIT} | changes)


def test_a_model_comes_at_its_commit_without_anything_that_could_run_and_is_verified_again(
    tmp_path: Path, hub: Hub
) -> None:
    models, metrics = store(tmp_path, hub)

    files = asyncio.run(models.get(up()))
    again = asyncio.run(models.get(up()))

    assert files.folder == tmp_path / "models" / f"org--model@{COMMIT}"
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "provenance.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert check(files.folder) is True
    assert set(files.phases) == {"download", "check"}
    assert set(again.phases) == {"check"}
    assert files.bytes == len(hub.files["model.safetensors"])
    assert not any(name in "".join(hub.asked) for name in ("pytorch_model.bin", "code.py", "sub/"))
    assert hub.tokens == {f"Bearer {TOKEN}"}
    text = metrics.render().decode()
    assert 'mlnode_model_artifact_verified{model="org/model-1"} 1.0' in text
    assert 'mlnode_model_download_bytes{kind="total",model="org/model-1"}' in text


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_is_not_the_one_of_the_commit_is_refused_and_no_folder_appears(
    tmp_path: Path, hub: Hub, name: str
) -> None:
    hub.lie = name
    models, _ = store(tmp_path, hub)

    with pytest.raises(RefusedError, match=f"{name} has the hash .* the commit says") as caught:
        asyncio.run(models.get(up()))

    assert caught.value.status == 502
    assert not any(path.name.startswith("org") for path in (tmp_path / "models").iterdir())
    hub.lie = ""
    assert check(asyncio.run(models.get(up())).folder)


def test_another_commit_an_absent_one_and_a_repository_of_pickles_are_refused(
    tmp_path: Path, hub: Hub
) -> None:
    models, _ = store(tmp_path, hub)

    with pytest.raises(RefusedError, match="could not be fetched") as absent:
        asyncio.run(models.get(up(hf_commit="b2" * 20)))
    hub.sha = "c3" * 20
    with pytest.raises(RefusedError, match="answers with commit c3"):
        asyncio.run(models.get(up()))
    hub.sha = COMMIT
    del hub.files["model.safetensors"]
    with pytest.raises(RefusedError, match=r"no \*.safetensors"):
        asyncio.run(models.get(up()))

    assert TOKEN not in absent.value.message


def test_a_local_folder_of_another_commit_is_not_served_for_this_one(tmp_path: Path) -> None:
    models, _ = store(tmp_path, None)
    folder = make_tiny_llama(tmp_path / "models" / "org--model-1")
    record = {"files": {}, "source": {"hf_commit": "d4" * 20}}
    (folder / "provenance.json").write_text(json.dumps(record))

    with pytest.raises(RefusedError, match=f"is of commit {'d4' * 20}, not {COMMIT}"):
        asyncio.run(models.get(up()))

    assert asyncio.run(models.get(up(hf_commit="d4" * 20))).folder == folder


def test_without_a_hub_only_local_models_are_served_and_the_refusal_says_so(tmp_path: Path) -> None:
    models, _ = store(tmp_path, None)

    with pytest.raises(RefusedError, match="no files of model org/model-1, and no hub is set") as caught:
        asyncio.run(models.get(up()))

    assert caught.value.status == 404


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "data.pkl", "run.py"])
def test_a_folder_with_a_pickle_or_with_code_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = make_tiny_llama(tmp_path / "model")
    (folder / name).write_bytes(b"\x80\x04.")

    with pytest.raises(UnfitModelError, match=f"{name} may hold code"):
        check(folder)


@pytest.mark.parametrize("where", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_asks_for_remote_code_is_refused(tmp_path: Path, where: str) -> None:
    folder = make_tiny_llama(tmp_path / "model")
    config = json.loads((folder / where).read_text())
    (folder / where).write_text(json.dumps(config | {"auto_map": {"AutoModel": "code.Model"}}))

    with pytest.raises(UnfitModelError, match=f"{where} asks for remote code"):
        check(folder)


def test_a_repository_that_is_none_is_not_asked_for(tmp_path: Path, hub: Hub) -> None:
    models, _ = store(tmp_path, hub)

    for wrong in ("../x", "a/b/c", "a b"):
        with pytest.raises(RefusedError, match="no repository and commit"):
            asyncio.run(models.get(up(hf_repo=wrong)))

    assert hub.asked == []


def test_only_whole_commits_and_files_that_cannot_run_are_asked_for() -> None:
    for wrong in ("main", "a1", "A1" * 20, "a1" * 33):
        with pytest.raises(ValidationError):
            up(hf_commit=wrong)
    assert wanted(["a.safetensors", "x/b.safetensors", "c.bin", "config.json", "d.py", "LICENSE"]) == [
        "LICENSE",
        "a.safetensors",
        "config.json",
    ]
