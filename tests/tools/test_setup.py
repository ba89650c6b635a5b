from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.setup import __main__ as program
from tools.setup import comet, console, environment
from tools.setup.console import ROOT, SetupError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's cache of its own, so that a test's log and temporary files stay apart."""
    folder = tmp_path / ".cache"
    folder.mkdir()
    monkeypatch.setattr(console, "CACHE", folder)
    monkeypatch.setattr(console, "LOG", folder / "setup.log")
    monkeypatch.setattr(console, "TEMPORARY", folder / "tmp")
    monkeypatch.setattr(program, "CACHE", folder)
    return folder


def sentences(text: str) -> int:
    return text.count(". ") + 1


def test_wheels_are_looked_for_where_both_variables_and_the_neighbour_say(tmp_path: Path) -> None:
    environ = {"UV_FIND_LINKS": "/a,/b", "PIP_FIND_LINKS": "/c  /a"}

    links = environment.find_links(environ, tmp_path)

    assert links == ["/a", "/b", "/c", str(tmp_path)]


def test_a_neighbour_that_is_not_there_is_not_named(tmp_path: Path) -> None:
    assert environment.find_links({}, tmp_path / "absent") == []


def test_what_pip_was_told_reaches_uv(tmp_path: Path) -> None:
    listing = (
        ":env:.default-timeout='180'\n"
        "global.index-url='index-of-the-file'\n"
        ":env:.cert='/certificates'\n"
        ":env:.extra-index-url='first second'\n"
        "freeze.timeout='10'\n"
    )

    told = environment.uv_environment({}, environment.pip_settings(listing), tmp_path / "absent")

    assert told["UV_DEFAULT_INDEX"] == "index-of-the-file"
    assert told["UV_INDEX"] == "first second"
    assert told["SSL_CERT_FILE"] == "/certificates"
    assert told["UV_HTTP_TIMEOUT"] == "180"
    assert "UV_FIND_LINKS" not in told


def test_what_uv_was_told_stands(tmp_path: Path) -> None:
    environ = {"UV_INDEX_URL": "mine", "SSL_CERT_FILE": "mine", "UV_CACHE_DIR": "mine"}
    pip = {"index-url": "theirs", "cert": "theirs"}

    told = environment.uv_environment(environ, pip, tmp_path / "absent")

    assert "UV_DEFAULT_INDEX" not in told
    assert "SSL_CERT_FILE" not in told
    assert told["UV_CACHE_DIR"] == "mine"


def test_a_variable_wins_over_pips_file() -> None:
    settings = environment.pip_settings(":env:.index-url='variable'\nglobal.index-url='file'\n")

    assert settings == {"index-url": "variable"}


def test_a_cuda_build_is_announced_with_the_way_to_avoid_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(environment, "SPACE_CUDA_MB", 0)

    environment.announce(["torch==2.13.0", "nvidia-cublas==13.1.1.3"])

    told = capsys.readouterr().out
    assert "2.7 GB" in told
    assert "PIP_FIND_LINKS=FOLDER make setup" in told


def test_a_cpu_build_is_not_announced_as_cuda(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "SPACE_CPU_MB", 0)

    environment.announce(["torch==2.13.0+cpu", "nvidia-ml-py==13.615.71", "click==8.5.1"])

    assert "2.7 GB" not in capsys.readouterr().out


def test_a_full_disk_is_told_before_the_step_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 5 * 2**20))

    with pytest.raises(SetupError, match=r"5 MB free and this step needs 1,500 MB: make room") as failure:
        console.need_space(tmp_path, 1_500)

    assert sentences(str(failure.value)) == 1


def test_a_missing_venv_module_is_told_with_the_package_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else name)

    with pytest.raises(SetupError, match=r"apt install python3\.\d+-venv") as failure:
        environment.check_venv_module()

    assert sentences(str(failure.value)) == 1


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("dial tcp: lookup somewhere: no such host", "network cannot be reached"),
        ("Temporary failure in name resolution", "network cannot be reached"),
        ("error: error sending request for url", "network cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("error: no rule for that\nhint: see the manual", r"failed \(error: no rule for that\)"),
        ("", r"failed \(no output\)"),
    ],
)
def test_a_failure_is_one_sentence(output: str, expected: str) -> None:
    failure = console.why_it_failed("building", output.splitlines())

    assert sentences(str(failure)) == 1
    with pytest.raises(SetupError, match=expected):
        raise failure


def test_a_failing_command_is_told_and_logged(cache: Path) -> None:
    command = [sys.executable, "-c", "print('fatal: it broke'); raise SystemExit(3)"]

    with pytest.raises(SetupError, match=r"trying failed \(fatal: it broke\)"):
        console.run("trying", command)

    assert "fatal: it broke" in (cache / "setup.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.22 linux/arm64", (1, 22, 0)),
        ("go version devel go1.27-abcdef", (1, 27, 0)),
        ("", ()),
    ],
)
def test_gos_version_is_read(text: str, version: tuple[int, ...]) -> None:
    assert comet.go_version(text) == version


@pytest.mark.parametrize(("text", "taken"), [("1.22.11", True), ("1.22.10", False), ("1.21.13", False)])
def test_go_from_path_is_taken_from_1_22_11_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, taken: bool
) -> None:
    program_text = f"#!/bin/sh\necho go version go{text} linux/amd64\n"
    (tmp_path / "go").write_text(program_text, "utf-8")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert (comet.go_from_path() == tmp_path / "go") is taken


@pytest.mark.parametrize(("text", "taken"), [(comet.VERSION, True), ("0.38.25", False)])
def test_cometbft_from_path_is_linked_only_in_the_right_version(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, taken: bool
) -> None:
    (tmp_path / "cometbft").write_text(f"#!/bin/sh\necho {text}\n", "utf-8")
    (tmp_path / "cometbft").chmod(0o755)
    built: list[bool] = []
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(comet, "BINARY", cache / "bin" / "cometbft")
    monkeypatch.setattr(comet, "build", lambda: built.append(True))

    comet.make()

    assert comet.done() is taken
    assert built == ([] if taken else [True])


def test_every_cache_of_go_lies_in_the_folder_that_is_deleted(tmp_path: Path) -> None:
    told = comet.build_environment(tmp_path)

    folders = {"GOBIN", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTMPDIR"}
    assert all(Path(told[name]).is_relative_to(tmp_path) for name in folders)
    assert told["GOTOOLCHAIN"] == "local"
    assert told["CGO_ENABLED"] == "0"
    assert told["GOFLAGS"] == "-modcacherw"


class Recorded:
    """A step that is done once it was made."""

    TITLE = "A step"
    COST = "nothing"

    def __init__(self, *, made: bool) -> None:
        self.made = made
        self.times = 0

    def done(self) -> bool:
        return self.made

    def make(self) -> None:
        self.made = True
        self.times += 1


def test_only_what_is_missing_is_made(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, missing = Recorded(made=True), Recorded(made=False)
    monkeypatch.setattr(program, "STEPS", {"there": there, "missing": missing})

    assert program.main([]) == 0
    assert program.main([]) == 0

    assert (there.times, missing.times) == (0, 1)


def test_a_failed_step_ends_with_its_sentence_and_no_later_step(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SetupError("It rains: wait and run make setup again.")

    broken, later = Recorded(made=False), Recorded(made=False)
    monkeypatch.setattr(broken, "make", fail)
    monkeypatch.setattr(program, "STEPS", {"broken": broken, "later": later})

    code = program.main([])

    assert code == 1
    assert later.times == 0
    assert capsys.readouterr().err.strip() == "It rains: wait and run make setup again."


def test_an_unknown_step_is_named_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["modle"]) == 2

    assert capsys.readouterr().err == "Unknown: modle; there are environment, cometbft, model.\n"


def test_set_up_needs_nothing_but_the_standard_library() -> None:
    """-S leaves site-packages out, as on a machine where nothing is installed."""
    code = "import tools.setup.__main__"

    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True, timeout=60)


def test_the_pins_hold_no_host_and_no_path() -> None:
    pins = [
        line
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]

    assert [line for line in pins if "==" not in line or "/" in line or "@" in line] == []
    assert "cosmpy==0.12.2" in pins
    assert "torch==2.13.0" in pins
