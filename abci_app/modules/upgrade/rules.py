"""What is wrong with a plan."""

from __future__ import annotations

import re
from typing import Final

from protocol.gen.cosmos.upgrade.v1beta1.upgrade_pb2 import Plan
from protocol.gen.evergrid.upgrade.v1.upgrade_pb2 import GenesisState

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
INFO_MAX: Final = 10_000


def plan_errors(plan: Plan, height: int, applied: bool) -> list[str]:  # noqa: FBT001 - a fact beside a number
    """All that is wrong with a plan that is made in a block of this height."""
    errors = name_errors(plan.name)
    if plan.height <= height:
        errors.append(f"height {plan.height} is not after {height}")
    if len(plan.info) > INFO_MAX:
        errors.append(f"info has {len(plan.info)} characters, more than {INFO_MAX}")
    if applied:
        errors.append(f"{plan.name} has been applied already")
    return errors


def name_errors(name: str) -> list[str]:
    """What is wrong with the name of an upgrade."""
    if NAME.fullmatch(name):
        return []
    return [f"name {name[:100]!r} is not 1 to 100 letters, digits, dots, hyphens or underscores"]


def genesis_errors(genesis: GenesisState) -> list[str]:
    """All that is wrong with the upgrades of a genesis."""
    names = [each.name for each in genesis.applied]
    errors = [f"applied[{i}]: {text}" for i, name in enumerate(names) for text in name_errors(name)]
    errors += (f"applied: {name} stands twice" for name in sorted(set(names)) if names.count(name) > 1)
    if genesis.HasField("plan"):
        found = plan_errors(genesis.plan, 0, genesis.plan.name in names)
        errors += (f"plan: {text}" for text in found)
    return errors
