"""Units and compose files say what the programs understand, and forbid nothing that they do."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from mlnode.tiny import make_tiny_llama
from tests.mlnode.service_harness import ROOT, Service, free_port, wait_for

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
COMPOSE = ROOT / "deploy/compose"
PROGRAM = "/opt/evergrid/.venv/bin/evergrid"
EXPOSURE_MAX = 20  # in tenths; 100 is a service without any restriction
KERNELS_OWN = {"restart_syscall", "exit", "exit_group", "rt_sigreturn"}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def settings(unit: Path, name: str) -> list[str]:
    """All values of one setting, with the lines that go on put together."""
    text = unit.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def command(unit: Path) -> list[str]:
    (line,) = settings(unit, "ExecStart")
    return shlex.split(line)


def compose() -> Any:
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["mlnode"]


def allowed_calls(unit: Path) -> set[str]:
    """The system calls that the unit's filters leave, each line of them taken after the one before."""
    sets: dict[str, set[str]] = {}
    listed = subprocess.run(
        [tool("systemd-analyze"), "syscall-filter"], capture_output=True, text=True, check=True, timeout=30
    )
    for line in listed.stdout.splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.split()[0], set())
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.add(line.strip())

    def whole(word: str) -> set[str]:
        if not word.startswith("@"):
            return {word}
        return set().union(*(whole(each) for each in sets[word]))

    allowed: set[str] = set()
    for value in settings(unit, "SystemCallFilter"):
        calls = set().union(*(whole(word) for word in value.removeprefix("~").split()))
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed | whole("@default")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line_of_a_unit_and_finds_little_exposed(
    unit: Path, tmp_path: Path
) -> None:
    analyze = tool("systemd-analyze")
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace(PROGRAM, sys.executable))

    verified = subprocess.run(
        [analyze, "verify", str(here)], capture_output=True, text=True, check=False, timeout=60
    )
    words = ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(here)]
    exposed = subprocess.run([analyze, *words], capture_output=True, text=True, check=False, timeout=60)

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert exposed.returncode == 0, exposed.stdout


def help_of(words: list[str]) -> str | None:
    """The help of the command that these words call, if it knows them all; it does nothing else."""
    shown = subprocess.run(
        [sys.executable, "-m", "cli.main", *words, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    is_command = shown.returncode == 0 and "COMMAND [ARGS]" not in shown.stdout.partition("\n")[0]
    return shown.stdout if is_command else None


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_command_line_knows_every_word_of_a_unit(unit: Path) -> None:
    program, *words = command(unit)

    assert program == PROGRAM
    assert help_of(words)
    assert not help_of([*words, "--no-such-option", "x"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_variables_of_the_environment_files_in_the_guide_are_options(unit: Path) -> None:
    guide = (ROOT / "docs/deploying.md").read_text()
    named = set(re.findall(r"\bEVERGRID_[A-Z_]+\b", guide))
    helps = [help_of(words) for words in (["mlnode", "start"], ["api", "start"], ["start"])]
    texts = [*(shown or "" for shown in helps), (COMPOSE / "compose.yaml").read_text()]
    known = {name for text in texts for name in re.findall(r"\bEVERGRID_[A-Z_]+\b", text)}

    assert unit.name in guide
    assert named - known == set()


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Service, Path]]:
    """The MLNode's unit as it stands, its paths moved, under strace."""
    strace, unit = tool("strace"), ROOT / "deploy/systemd/evergrid-mlnode.service"
    make_tiny_llama(tmp_path / "models" / "tiny")
    (tmp_path / "token").write_text("secret")
    moved = {"/var/lib/evergrid-mlnode": str(tmp_path), "%d": str(tmp_path)}
    words = command(unit)[1:]
    for old, new in moved.items():
        words = [word.replace(old, new) for word in words]
    port, counts = free_port(), tmp_path / "calls"
    started = [sys.executable, "-m", "cli.main", *words, "--port", str(port), "--threads", "1"]
    process = subprocess.Popen([strace, "-f", "-c", "-S", "name", "-o", str(counts), *started], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    client = httpx2.Client(
        base_url=url, timeout=60, trust_env=False, headers={"Authorization": "Bearer secret"}
    )
    try:
        yield Service(url, process, client), counts
    finally:
        process.kill()
        process.wait()


def test_the_mlnodes_unit_forbids_no_system_call_that_serving_and_mining_need(
    traced: tuple[Service, Path],
) -> None:
    service, counts = traced
    allowed = allowed_calls(ROOT / "deploy/systemd/evergrid-mlnode.service")
    init = {
        "node_id": "n",
        "block_hash": "ab" * 32,
        "block_height": 1,
        "public_key": "02" + "11" * 32,
        "params": {"preset": "tiny"},
        "url": "http://127.0.0.1:9",
    }
    from mlnode.pow import PRESETS

    init["params"] = PRESETS["tiny"].to_json()
    service.wait_ready()

    service.up("tiny")
    service.ok("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "a"}]})
    service.ok("/api/v1/inference/prepare", {"model": "tiny", "additional_args": ["--max-model-len", "64"]})
    service.ok("/api/v1/stop")
    service.ok("/api/v1/pow/init/generate", init)
    wait_for(lambda: service.metric('mlnode_poc_nonces_total{model="",result="generated"}'), 60)
    assert service.client.get("/metrics").status_code == 200
    # strace hands no signal on to what it follows.
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    for pid in children:
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", pid], check=True)
    service.process.wait(60)

    used = {line.split()[-1] for line in counts.read_text().splitlines()[2:-2] if line.split()}
    assert {"mmap", "setpriority", "socketpair", "execve"} <= used
    assert used - allowed - KERNELS_OWN == set()


def test_the_compose_files_keep_to_the_specification() -> None:
    checker = tool(str(Path(sys.executable).with_name("check-jsonschema")))
    files = [str(COMPOSE / name) for name in ("compose.yaml", "gpu.yaml")]

    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_container_runs_a_command_that_is_known_and_asks_a_path_that_is_served() -> None:
    service = compose()
    words = service["command"]
    health = service["healthcheck"]["test"]
    port = words[words.index("--port") + 1]

    assert help_of(words)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert health[:3] == ["CMD", "python", "-c"]
    compile(health[3], "healthcheck", "exec")
    assert f"http://127.0.0.1:{port}/health" in health[3]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    gpu = yaml.safe_load((COMPOSE / "gpu.yaml").read_text())["services"]["mlnode"]
    devices = gpu["deploy"]["resources"]["reservations"]["devices"]
    # Without `compute` the container would see the card and have no CUDA.
    assert set(devices[0]["capabilities"]) == {"gpu", "compute", "utility"}


def test_the_image_holds_all_that_is_installed_and_nothing_else_of_the_checkout() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    lines = (COMPOSE / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied >= {*packages, "constraints.txt", "pyproject.toml", project["project"]["readme"]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    assert any(line == "USER 10001:10001" for line in lines)
