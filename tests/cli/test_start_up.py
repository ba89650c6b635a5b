"""What the command line costs before it does anything, and what it says of itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import protocol.gen
from cli.docs import pages, walk
from cli.elsewhere import ELSEWHERE
from cli.generate import kebab
from cli.main import cli
from cli.query import MODULES, query
from cli.query_help import HELP
from protocol.descriptors import routes_of
from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]
HEAVY = ("cosmpy", "fastapi", "google.protobuf", "httpx2", "numpy", "pydantic", "rich", "torch", "yaml")


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "EVERGRID_HOME": "/nonexistent", **env}
    command = [sys.executable, "-m", "cli.main", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=settings, cwd=ROOT, timeout=60, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["tx", "--help"], ["query", "--help"], ["keys", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys, atexit, json\n"
        f"atexit.register(lambda: sys.stderr.write(json.dumps([m for m in {HEAVY!r} if m in sys.modules])))\n"
        f"from cli.main import cli\ncli.main({words!r}, prog_name='evergrid')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )

    assert done.returncode == 0
    assert "Usage: evergrid" in done.stdout
    assert json.loads(done.stderr) == []


def test_a_process_ends_with_0_1_or_2_and_one_sentence() -> None:
    fine, refused, wrong = run("version"), run("keys", "show", "nobody"), run("keys", "show")

    assert (fine.returncode, fine.stderr) == (0, "")
    assert refused.returncode == 1
    assert refused.stderr == "Error: no key 'nobody' in /nonexistent/keyring-test\n"
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("Error: Missing argument 'NAME_OR_ADDRESS'")
    assert refused.stdout == wrong.stdout == ""


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    # It is gone before the first line comes.
    command = f"{sys.executable} -m cli.main completion bash | true; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )

    assert done.stderr == ""
    assert done.stdout != "0\n"


def every_command() -> list[tuple[click.Command, click.Context]]:
    return list(walk(cli, click.Context(cli, info_name="evergrid")))


def test_every_command_that_is_no_group_takes_output_json() -> None:
    without = [
        ctx.command_path
        for command, ctx in every_command()
        if not isinstance(command, click.Group) and not {"--output", "--json"} & set(_flags(command))
    ]

    # A live view on a terminal.
    assert set(without) <= {"evergrid demo"}


def test_every_command_says_what_it_does() -> None:
    silent = [ctx.command_path for command, ctx in every_command() if not command.get_short_help_str()]

    assert silent == []


def _flags(command: click.Command) -> list[str]:
    return [flag for param in command.params for flag in param.opts]


def query_services() -> Iterator[tuple[str, str]]:
    """Every method of every Query service in the generated code, as (service, method)."""
    for found in pkgutil.walk_packages(protocol.gen.__path__, "protocol.gen."):
        if found.name.endswith("_pb2"):
            for route in routes_of(importlib.import_module(found.name).DESCRIPTOR):
                if route.service.endswith(".Query"):
                    yield route.service, route.method


def test_every_query_of_every_module_is_a_command_under_its_own_name() -> None:
    ctx = click.Context(query)
    missing = []
    for service, method in query_services():
        module = service.split(".")[1]
        group = query.get_command(ctx, module)
        if not isinstance(group, click.Group) or group.get_command(ctx, kebab(method)) is None:
            missing.append(f"{service}/{method}")

    assert missing == []


def test_the_help_of_queries_names_each_of_them_and_nothing_else() -> None:
    ctx = click.Context(query)
    names = []
    for module in MODULES:
        group = query.get_command(ctx, module)
        assert isinstance(group, click.Group)
        names += [f"{module} {name}" for name in group.commands]

    assert sorted(HELP) == sorted(names)


def test_the_reference_is_what_the_commands_say() -> None:
    folder = ROOT / "docs" / "reference"
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}

    assert pages(cli) == written, "evergrid docs docs/reference"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_this_command(evergrid: Command, shell: str) -> None:
    script = evergrid.json("completion", shell)["script"]

    assert "_EVERGRID_COMPLETE" in script
    assert "evergrid" in script


@pytest.mark.parametrize(("shell", "option"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_a_shell_can_read_its_completion_script(
    evergrid: Command, tmp_path: Path, shell: str, option: str
) -> None:
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(evergrid.json("completion", shell)["script"])

    done = subprocess.run(
        [program, option, str(script)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_what_has_been_typed(evergrid: Command, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "evergrid"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from cli.main import main; main()" "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(evergrid.json("completion", "bash")["script"])
    typed = "COMP_WORDS=(evergrid tx bank se); COMP_CWORD=3"
    function = "$(complete -p evergrid | sed 's/.*-F \\([^ ]*\\).*/\\1/')"

    done = subprocess.run(
        ["bash", "-c", f'source {script}; {typed}; {function} evergrid se bank; echo "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        timeout=60,
        check=False,
    )

    assert done.stdout == "send\n", done.stderr


def test_commands_of_other_binaries_point_to_what_is_in_their_place(evergrid: Command) -> None:
    ctx = click.Context(cli, info_name="evergrid")
    known = {inner.command_path for _, inner in walk(cli, ctx)}
    for words, text in ELSEWHERE.items():
        said = evergrid.fails(*words.split(), code=2)

        assert said == f"there is no command {words.split()[-1]!r}: {text}"
        for named in re.findall(r"`(evergrid [^`]+)`", text):
            found = re.match(r"[a-z -]*[a-z](?= |$)", named)
            assert found is not None
            assert found[0].split(" --")[0] in known, text

    assert evergrid.fails("tendermint", "bootstrap-state", code=2) == evergrid.fails(
        "comet", "bootstrap-state", code=2
    )
    assert "No such command 'nonsense'" in evergrid.fails("genesis", "nonsense", code=2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("evergrid qu", "query"),
        ("evergrid query gov prop", "proposal"),
        ("evergrid tx bank send --dry", "--dry-run"),
    ],
)
def test_a_shell_completes_groups_queries_and_options(words: str, expected: str) -> None:
    env = {"_EVERGRID_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "from cli.main import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        cwd=ROOT,
        timeout=60,
        check=False,
    )

    assert f"plain,{expected}" in done.stdout.splitlines()


def test_the_version_is_that_of_the_distribution(evergrid: Command) -> None:
    assert evergrid.json("version") | {"python": ""} == {"name": "evergrid", "version": "0.1.0", "python": ""}


def test_the_long_version_names_the_commit_and_all_that_it_stands_on(
    evergrid: Command, tmp_path: Path
) -> None:
    comet = tmp_path / "cometbft"
    comet.write_text("#!/bin/sh\necho 0.38.26\n")
    comet.chmod(0o755)

    shown = evergrid.json("version", "--long", EVERGRID_COMETBFT=str(comet))
    without = evergrid.json("version", "--long", EVERGRID_COMETBFT=str(tmp_path / "missing"))

    assert (shown["cometbft"], without["cometbft"]) == ("0.38.26", "")
    assert f"click@{importlib.metadata.version('click')}" in shown["build_deps"]
    if (ROOT / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", shown["commit"])


def test_examples_keep_their_lines_in_the_help_and_are_code_in_the_reference() -> None:
    shown = run("node", "--help").stdout
    written = pages(cli)["evergrid-node.md"]

    assert "  evergrid node list\n  evergrid node add" in shown
    assert "```\nevergrid node list\nevergrid node add" in written
    assert "\\b\n" not in shown + written
    assert "\b" not in shown + written
