"""`evergrid doctor`: everything that is wrong with a machine's set-up, at once, with the fix of each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from api_node.settings import Settings
from cli.api_start import SHARED_FIELDS
from cli.options import KEYRING, shared
from cli.settings_options import fall_back, make_settings, settings_options

if TYPE_CHECKING:
    from cli.doctor_checks import Finding
    from cli.session import Session


def _doctor(session: Session, api_home: str | None, **values: Any) -> None:
    r"""Check keys, ports, clocks, disk, CometBFT, account, grants, API node and MLNodes; change nothing.

    Takes the options of `evergrid api start`, so that it looks at what that would use. Exit code 0: all is
    well, 1: there are warnings, 2: there are errors.

    \b
    evergrid doctor --key-name alice
    evergrid doctor -o json | jq '.findings[] | select(.level != "ok")'
    """
    from cli.doctor_checks import exit_code  # noqa: PLC0415 - only when it runs
    from cli.doctor_gather import Patient  # noqa: PLC0415

    patient = Patient(session, _settings(session, api_home, values))
    examine(patient)
    code = exit_code(patient.findings)
    words = {0: "ok", 1: "warnings", 2: "errors"}
    shown = {"result": words[code], "findings": [asdict(each) for each in patient.findings]}
    session.emit(shown, as_text(patient.findings))
    click.get_current_context().exit(code)


def _settings(session: Session, api_home: str | None, values: dict[str, Any]) -> Settings:
    """The settings that `api start` would have."""
    config = session.home / "config"
    validator_key = config / "priv_validator_key.json"
    values |= {"home": api_home, "keyring_home": session.home}
    fall_back(Settings, values, "home", session.home / "api")
    fall_back(Settings, values, "node_config", config / "node-config.json")
    fall_back(Settings, values, "validator_key_file", validator_key if validator_key.exists() else None)
    return make_settings(Settings, values)


def examine(patient: Any) -> None:
    """Every look, in the order in which findings are shown."""
    from cli import doctor_gather as gather  # noqa: PLC0415 - only when it runs
    from cli.doctor_nodes import look_at_api_node, look_at_mlnodes  # noqa: PLC0415

    gather.look_at_keys(patient)
    gather.look_at_node_config(patient)
    gather.look_at_ports(patient)
    gather.look_at_disk(patient)
    gather.look_at_chain(patient)
    look_at_api_node(patient)
    look_at_mlnodes(patient)


def as_text(findings: list[Finding]) -> str:
    """What is wrong first, worst first, then what is well."""
    from cli.doctor_checks import Level  # noqa: PLC0415 - only for text

    lines = []
    for level in (Level.ERROR, Level.WARNING, Level.OK):
        for each in findings:
            if each.level == level:
                lines.append(f"{level:<8}{each.check}: {each.text}")
                lines += [f"        fix: {each.fix}"] if each.fix else []
    counts = [
        sum(each.level == level for each in findings) for level in (Level.ERROR, Level.WARNING, Level.OK)
    ]
    return "\n".join([*lines, "", "{} errors, {} warnings, {} well".format(*counts)])


_doctor.__click_params__ = list(  # type: ignore[attr-defined]
    reversed(
        [
            click.Option(["--api-home"], metavar="DIR", help="The API node's files (default: HOME/api)."),
            *settings_options(Settings, without=SHARED_FIELDS),
        ]
    )
)
doctor = click.command("doctor", help=_doctor.__doc__)(shared("node", *KEYRING)(_doctor))
