"""Scenarios: a TOML file that says who takes part, what is asked for, what fails and who attacks.

`docs/simulator.md` describes the format. Whatever is wrong with a file is named at once.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from abci_app.modules import epochs
from abci_app.modules.epochs.profiles import PROFILES
from abci_app.params_file import merge_errors, read_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

SHIPPED = Path(__file__).parent / "scenarios"
T = TypeVar("T")

Verdict = Literal["honest", "silent", "fraud", "abstain"]
Trick = Literal[
    "repeat_batch", "overlap_batch", "others_node", "forged_creator", "early_batch", "serving_node"
]
FaultKind = Literal["offline", "no_mining", "no_serving", "silent"]


class ScenarioError(ValueError):
    """The scenario cannot be run; the text names all that is wrong."""


@dataclass(frozen=True)
class ModelSpec:
    """A governance model of the genesis. throughput_per_nonce: millionths of a token."""

    id: str
    throughput_per_nonce: int = 40_000_000
    units_of_compute_per_token: int = 10


@dataclass(frozen=True)
class GroupSpec:
    """Participants that are alike; `label` is how reports name them.

    nonces: what each node finds in a PoC, one number for all nodes or one for each. models: one for each
    node, again from the first when there are fewer. memory_mib: what each node declares. committed: batches
    are a root. makes_up_bps: chance that an answer is not the model's. re_executes: whether it judges others'
    answers. attacker: judged against the others in the summary.
    """

    label: str
    count: int = 1
    nodes: int = 1
    nonces: list[int] = field(default_factory=lambda: [100])
    models: list[str] = field(default_factory=list)
    noise_bps: int = 0
    join_epoch: int = 0
    mines_bps: int = 10_000
    serves_bps: int = 10_000
    verdict: Verdict = "honest"
    forged_claims: bool = False
    tricks: list[Trick] = field(default_factory=list)
    committed: bool = False
    makes_up_bps: int = 0
    re_executes: bool = True
    collateral_nevg: int = 0
    memory_mib: int = 0
    node_prefix: str = "n"
    address_prefix: str = ""
    attacker: bool = False

    def nonces_of(self, node: int) -> int:
        """What the n-th node finds in a PoC."""
        return self.nonces[node % len(self.nonces)]

    def model_of(self, node: int) -> str:
        """The model that the n-th node declares."""
        return self.models[node % len(self.models)]

    def name_of(self, index: int) -> str:
        """The name of the n-th participant."""
        return f"{self.label}-{index + 1}" if self.count > 1 else self.label


@dataclass(frozen=True)
class TrafficSpec:
    """Demand for a model: load_bps of the tokens that all nodes of it could serve, in equal requests a block.

    only_before_poc: it comes in this many blocks before a PoC alone; 0: always. every: in each n-th block,
    the tokens of all n at once.
    """

    model: str
    load_bps: int = 5_000
    requests: int = 4
    epoch_from: int = 0
    epoch_to: int = 1 << 62
    only_before_poc: int = 0
    every: int = 1


@dataclass(frozen=True)
class FaultSpec:
    """What the participants of a group do not do in these epochs (both ends included)."""

    label: str
    kind: FaultKind = "offline"
    epoch_from: int = 0
    epoch_to: int = 1 << 62


@dataclass(frozen=True)
class ProposalSpec:
    """A change of params, proposed so many blocks after S of an epoch's PoC; all members vote for it."""

    epoch: int
    after_start: int
    params: dict[str, Any]


@dataclass(frozen=True)
class MaintenanceSpec:
    """In each of these epochs a group is down for so many blocks, from the first that may be announced on."""

    label: str
    blocks: int
    announced: bool = True
    epoch_from: int = 1
    epoch_to: int = 1 << 62


@dataclass(frozen=True)
class Scenario:
    """All that a run is made of but its seed and its length."""

    name: str
    about: str
    params: Params
    models: tuple[ModelSpec, ...]
    groups: tuple[GroupSpec, ...]
    traffic: tuple[TrafficSpec, ...] = ()
    faults: tuple[FaultSpec, ...] = ()
    proposals: tuple[ProposalSpec, ...] = ()
    gateways: int = 5
    maintenance: tuple[MaintenanceSpec, ...] = ()
    guardians: tuple[str, ...] = ()

    @property
    def re_executes(self) -> bool:
        """Whether anybody judges answers: where none is made up, none has to."""
        return any(group.makes_up_bps for group in self.groups)


def shipped() -> list[str]:
    """The names of the scenarios that come with the program."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load(name: str, overrides: Sequence[str] = ()) -> Scenario:
    """A scenario by file or by the name of a shipped one; overrides are like `uptime.min_served=0`."""
    path = Path(name)
    if not path.suffix and not path.exists():
        path = SHIPPED / f"{name}.toml"
    if not path.exists():
        raise ScenarioError(f"there is no scenario {name}; shipped are: {', '.join(shipped())}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: {error}") from error
    return parse(table, path.stem, overrides)


def parse(table: dict[str, Any], name: str, overrides: Sequence[str] = ()) -> Scenario:
    """A scenario from what a file holds; raises ScenarioError with every reason."""
    known = {
        "about",
        "profile",
        "params",
        "models",
        "participants",
        "traffic",
        "faults",
        "proposals",
        "gateways",
        "maintenance",
        "guardians",
    }
    wrong = [f"unknown entry {key!r}" for key in sorted(set(table) - known)]
    params = _params(table, overrides, wrong)
    models = _rows(ModelSpec, table, "models", wrong)
    groups = [_with_models(each, models) for each in _rows(GroupSpec, table, "participants", wrong)]
    traffic = _rows(TrafficSpec, table, "traffic", wrong)
    faults = _rows(FaultSpec, table, "faults", wrong)
    proposals = _rows(ProposalSpec, table, "proposals", wrong)
    maintenance = _rows(MaintenanceSpec, table, "maintenance", wrong)
    wrong += _cross_errors(models, groups, traffic)
    guardians = table.get("guardians", [])
    wrong += _label_errors(groups, guardians, {"faults": faults, "maintenance": maintenance})
    for index, proposal in enumerate(proposals):
        # What a chain would refuse may be proposed, what nobody can read not.
        unread = read_params(epochs.default_params("local"), proposal.params)
        wrong += (f"proposals[{index}]: {text}" for text in unread.values())
    wrong += _switch_errors(params, groups, guardians)
    gateways = table.get("gateways", 5)
    if type(gateways) is not int or gateways < 1:
        wrong.append("gateways must be a number of at least 1")
    if wrong:
        raise ScenarioError(f"the scenario {name} cannot be run: " + "; ".join(wrong))
    return Scenario(
        name,
        str(table.get("about", "")).strip(),
        params,
        tuple(models),
        tuple(groups),
        tuple(traffic),
        tuple(faults),
        tuple(proposals),
        gateways,
        tuple(maintenance),
        tuple(guardians),
    )


def _with_models(group: GroupSpec, models: list[ModelSpec]) -> GroupSpec:
    if group.models or not models:
        return group
    return GroupSpec(**{**vars(group), "models": [models[0].id]})


def _params(table: dict[str, Any], overrides: Sequence[str], wrong: list[str]) -> Params:
    profile = table.get("profile", "local")
    if profile not in PROFILES:
        wrong.append(f"profile must be one of {', '.join(PROFILES)}, not {profile!r}")
        profile = "local"
    params = epochs.default_params(profile)
    given = [table.get("params", {}), *(_override(text, wrong) for text in overrides)]
    wrong += [f"params: {text}" for text in merge_errors(params, given)]
    return params


def merge(params: Params, changes: dict[str, Any]) -> None:
    """Puts the given fields into params in place; raises ValueError for unknown ones and wrong types."""
    if wrong := read_params(params, changes):
        raise ValueError("; ".join(wrong.values()))


def _override(text: str, wrong: list[str]) -> dict[str, Any]:
    path, equals, value = text.partition("=")
    section, dot, name = path.strip().partition(".")
    if not equals or not dot:
        wrong.append(f"{text!r} does not read like uptime.min_served=0")
        return {}
    words: dict[str, Any] = {"true": True, "false": False}
    return {section: {name: words.get(value.strip(), value.strip())}}


def _rows(kind: type[T], table: dict[str, Any], name: str, wrong: list[str]) -> list[T]:
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        wrong.append(f"{name} must be a list of tables: [[{name}]]")
        return []
    found = (_row(kind, row, f"{name}[{index}]", wrong) for index, row in enumerate(rows))
    return [each for each in found if each is not None]


def _row(kind: type[T], row: dict[str, Any], where: str, wrong: list[str]) -> T | None:
    hints = get_type_hints(kind)
    if "nonces" in row and type(row["nonces"]) is int:
        row = row | {"nonces": [row["nonces"]]}
    errors = [f"{where}: unknown field {key!r}" for key in sorted(set(row) - set(hints))]
    for each in fields(kind):  # type: ignore[arg-type]
        required = each.default is MISSING and each.default_factory is MISSING
        if required and each.name not in row:
            errors.append(f"{where}: {each.name} is missing")
        elif each.name in row and not _fits(row[each.name], hints[each.name]):
            errors.append(f"{where}: {each.name} cannot be {row[each.name]!r}")
    wrong += errors
    return None if errors else kind(**row)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin is list:
        return isinstance(value, list) and bool(value) and all(_fits(v, get_args(hint)[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict)
    return type(value) is hint and not (hint is int and value < 0)


def _cross_errors(models: list[ModelSpec], groups: list[GroupSpec], traffic: list[TrafficSpec]) -> list[str]:
    ids, labels = {model.id for model in models}, [group.label for group in groups]
    wrong = [f"the label {label!r} stands twice" for label in sorted(set(labels)) if labels.count(label) > 1]
    wrong += [
        f"there are no {name}" for name, rows in (("models", models), ("participants", groups)) if not rows
    ]
    wrong += [
        f"participants {group.label}: {model} is no model of the scenario"
        for group in groups
        for model in group.models
        if model not in ids
    ]
    wrong += [
        f"participants {g.label}: count and nodes are at least 1" for g in groups if not g.count * g.nodes
    ]
    wrong += [
        f"traffic: {each.model} is no model of the scenario" for each in traffic if each.model not in ids
    ]
    wrong += [
        f"traffic for {each.model}: requests and every are at least 1"
        for each in traffic
        if not each.requests * each.every
    ]
    return wrong


def _label_errors(groups: list[GroupSpec], guardians: Any, tables: dict[str, list[Any]]) -> list[str]:
    labels = {group.label for group in groups}
    named = {name: [each.label for each in rows] for name, rows in tables.items()}
    if isinstance(guardians, list):
        named["guardians"] = guardians
    wrong = [] if isinstance(guardians, list) else ["guardians must be a list of labels"]
    return wrong + [
        f"{name}: there are no participants {label!r}"
        for name, wanted in named.items()
        for label in wanted
        if label not in labels
    ]


def _switch_errors(params: Params, groups: list[GroupSpec], guardians: Any) -> list[str]:
    """What needs a part of the params that is not there."""
    deposits = any(group.collateral_nevg for group in groups)
    wanted = {"guardians": bool(guardians), "collateral": deposits}
    wrong = [
        f"params.{name} are missing" for name, used in wanted.items() if used and not params.HasField(name)
    ]
    if any(group.committed for group in groups) and not params.poc.committed_batches:
        wrong.append("params.poc.committed_batches is off, and there are committed batches")
    return wrong
