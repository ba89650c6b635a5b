"""The Python environment: `.venv` with uv, the pinned packages, and this project as an editable install."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path

from tools.setup.console import CACHE, ROOT, VENV, Command, SetupError, need_space, pip, run, say

TITLE = "Python environment"
COST = "about 1.5 GB in .venv (6 GB or more with CUDA), once"
SPACE_CPU_MB = 3_000
SPACE_CUDA_MB = 12_000
PAUSE_SECONDS = 5
TRIED = (3, 13)

PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
CONSTRAINTS = ROOT / "constraints.txt"
STAMP = VENV / ".evergrid-setup"
WHEELS = ROOT.parent / "shared" / "wheels"
PROJECT = ".[mlnode,dev]"


def fingerprint() -> str:
    """Changes whenever the environment would have to be filled anew."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    installed = {part: described[part] for part in ("build-system", "project")}
    parts = [sys.version, json.dumps(installed), CONSTRAINTS.read_text("utf-8")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def done() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text("ascii") == fingerprint()


def find_links(environ: Mapping[str, str], beside: Path = WHEELS) -> list[str]:
    """Where wheels lie besides the index: what the variables name, then the folder beside the checkout."""
    named = [*environ.get("UV_FIND_LINKS", "").split(","), *environ.get("PIP_FIND_LINKS", "").split()]
    links = [link.strip() for link in named if link.strip()]
    if beside.is_dir():
        links.append(str(beside))
    return list(dict.fromkeys(links))


def pip_settings(listing: str) -> dict[str, str]:
    """The settings of `pip config list` by their plain names; a variable wins over a file, as in pip."""
    settings: dict[str, str] = {}
    for line in listing.splitlines():
        key, separator, value = line.partition("=")
        if separator and key.startswith((":env:.", "global.", "install.")):
            settings.setdefault(key.rpartition(".")[2], str(ast.literal_eval(value)))
    return settings


def uv_environment(
    environ: Mapping[str, str], pip: Mapping[str, str], beside: Path = WHEELS
) -> dict[str, str]:
    """What uv has to be told so that it finds packages where pip would; its own variables stand."""
    told = {"VIRTUAL_ENV": str(VENV), "UV_CACHE_DIR": environ.get("UV_CACHE_DIR", str(CACHE / "uv"))}
    links = find_links({"PIP_FIND_LINKS": pip.get("find-links", ""), **environ}, beside)
    if links:
        told["UV_FIND_LINKS"] = ",".join(links)
    if not {"UV_INDEX_URL", "UV_DEFAULT_INDEX"} & environ.keys() and "index-url" in pip:
        told["UV_DEFAULT_INDEX"] = pip["index-url"]
    if not {"UV_EXTRA_INDEX_URL", "UV_INDEX"} & environ.keys() and "extra-index-url" in pip:
        told["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
    if "SSL_CERT_FILE" not in environ and "cert" in pip:
        told["SSL_CERT_FILE"] = pip["cert"]
    if "UV_HTTP_TIMEOUT" not in environ and "default-timeout" in pip:
        told["UV_HTTP_TIMEOUT"] = pip["default-timeout"]
    return told


def check_venv_module() -> None:
    """Raises SetupError where this Python cannot make environments, as on Debian without one package."""
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"Python {version} here has no venv module: install it (Debian, Ubuntu: apt install "
            f"python{version}-venv) and run make setup again."
        )


def same_python() -> bool:
    """Whether `.venv` works and holds the Python that runs now."""
    if not PYTHON.exists():
        return False
    answer = subprocess.run(
        [PYTHON, "-c", "import sys, pip; print(sys.version, end='')"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout == sys.version


def plan(env: Mapping[str, str]) -> list[str]:
    """The packages that an installation would add or change, as uv writes them."""
    output = run("resolving", [*install_command(), "--dry-run"], env)
    return [line.strip(" +").strip() for line in output.splitlines() if line.startswith(" + ")]


def install_command() -> Command:
    return [UV, "pip", "install", "--python", PYTHON, "-c", CONSTRAINTS, "-e", PROJECT]


def announce(packages: list[str]) -> None:
    """Says what comes; for CUDA builds also how to avoid them, and waits a moment; checks the space."""
    if not any(package.startswith("nvidia-cu") for package in packages):
        need_space(ROOT, SPACE_CPU_MB if len(packages) > 1 else 50)
        say(f"{len(packages)} packages to install, the CPU build of torch among them or there already")
        return
    need_space(ROOT, SPACE_CUDA_MB)
    say("torch comes as the CUDA build: a download of some 2.7 GB. Without an NVIDIA GPU, avoid it: stop now")
    say(
        "(Ctrl-C), put a CPU wheel of torch 2.13.0 (torch-2.13.0+cpu-...) for this Python into a folder, call"
    )
    say("PIP_FIND_LINKS=FOLDER make setup. A folder ../shared/wheels beside the checkout is found by itself.")
    time.sleep(PAUSE_SECONDS)


def make() -> None:
    """Creates or repairs `.venv`; raises SetupError with what to do."""
    check_venv_module()
    need_space(ROOT, 300)
    if sys.version_info[:2] > TRIED:
        say("This Python is newer than the newest that the pins were tried with (3.13)")
    if not same_python():
        run("making .venv", [sys.executable, "-m", "venv", "--clear", VENV])
    if not UV.exists():
        run("installing uv by pip", pip(PYTHON, "install", "-c", CONSTRAINTS, "uv"))
    listing = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    env = uv_environment(os.environ, pip_settings(listing))
    announce(plan(env))
    run("installing packages", install_command(), env)
    STAMP.write_text(fingerprint(), "ascii")
