"""Makes the commands of a Query service from its descriptor: request fields become arguments and options."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.descriptor import FieldDescriptor as Field

from cli.options import QUERY, shared
from cli.query_help import HELP
from protocol.descriptors import routes_of

if TYPE_CHECKING:
    from cli.session import Session
    from protocol.descriptors import Route

PAGE = "cosmos.base.query.v1beta1.PageRequest"
PAGE_SIZE = 100
_UINT32_END, _INT64_END, _UINT64_END = 1 << 32, 1 << 63, 1 << 64
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PATH_FIELD = re.compile(r"\{(\w+)")

# What people type; the method's own name in kebab case is always understood as well.
SHORT_NAMES = {
    "bank": {"AllBalances": "balances", "SupplyOf": "total-supply-of"},
    "feegrant": {
        "Allowance": "grant",
        "Allowances": "grants-by-grantee",
        "AllowancesByGranter": "grants-by-granter",
    },
    "gov": {"TallyResult": "tally"},
    "models": {"GovernanceModels": "list", "GovernanceModel": "show"},
    "hardware": {"HardwareNodes": "nodes", "ValidatedHardwareNodes": "validated-nodes"},
    "epochs": {
        "EpochInfo": "info",
        "CurrentEpochGroupData": "current-group",
        "EpochGroupData": "group",
        "UpcomingEpoch": "upcoming",
        "EpochRecord": "record",
        "EpochModels": "models",
    },
    "poc": {
        "PocBatches": "batches",
        "PocBatchesForModel": "batches-for-model",
        "PocValidations": "validations",
        "PocVoters": "voters",
    },
    "explain": {
        "ExplainSlot": "slot",
        "ExplainWeight": "weight",
        "ExplainReward": "reward",
        "ExplainExclusion": "exclusion",
        "ExplainValidator": "validator",
    },
    "inference": {"Inference": "show", "Inferences": "list"},
    "rewards": {"ParticipantModelCoverage": "coverage"},
}
# Fields without which a query has no answer; ids contain `/`, so its HTTP route has them as parameters.
REQUIRED = {
    ("bank", "Balance"): ("denom",),
    ("bank", "SupplyOf"): ("denom",),
    ("models", "GovernanceModel"): ("model_id",),
    ("hardware", "NodesForModel"): ("model_id",),
    ("poc", "PocBatchesForModel"): ("model_id",),
    ("poc", "ModelPower"): ("model_id",),
    ("uptime", "ModelThroughput"): ("model_id", "height_from", "height_to"),
    ("inference", "Inference"): ("inference_id",),
    ("inference", "Executors"): ("model_id",),
    ("rewards", "ParticipantModelCoverage"): ("epoch_index", "participant"),
}
# In the HTTP path for the sake of old clients; all params come at once.
NOT_REQUIRED = {("gov", "Params"): ("params_type",)}


def kebab(name: str) -> str:
    """AllBalances as all-balances."""
    return _WORD.sub("-", name).lower().replace("_", "-")


def enum_words(enum: Any) -> dict[str, int]:
    """An enum's values by their words: PROPOSAL_STATUS_PASSED as passed."""
    names = [value.name for value in enum.values]
    prefix = _WORD.sub("_", enum.name).upper() + "_"
    return {
        name.removeprefix(prefix).lower(): enum.values_by_name[name].number
        for name in names
        if not name.endswith("_UNSPECIFIED")
    }


class Hex(click.ParamType[bytes]):
    """Bytes written in hex."""

    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", value):
            self.fail(f"{value!r} is no hex", param, ctx)
        return bytes.fromhex(value)


def click_type(field: Any) -> click.ParamType[Any]:
    """What click checks of a scalar field."""
    kinds: dict[int, click.ParamType[Any]] = {
        Field.CPPTYPE_BOOL: click.BOOL,
        Field.CPPTYPE_UINT32: click.IntRange(0, _UINT32_END - 1),
        Field.CPPTYPE_UINT64: click.IntRange(0, _UINT64_END - 1),
        Field.CPPTYPE_INT32: click.IntRange(-(_UINT32_END >> 1), (_UINT32_END >> 1) - 1),
        Field.CPPTYPE_INT64: click.IntRange(-_INT64_END, _INT64_END - 1),
        Field.CPPTYPE_STRING: Hex() if field.type == Field.TYPE_BYTES else click.STRING,
    }
    if field.cpp_type == Field.CPPTYPE_ENUM:
        return click.Choice(list(enum_words(field.enum_type)), case_sensitive=False)
    return kinds[field.cpp_type]


def is_page(field: Any) -> bool:
    """Whether the field asks for a page."""
    return field.message_type is not None and field.message_type.full_name == PAGE


def required_fields(module: str, route: Route) -> list[str]:
    """Fields that are positional arguments, in their order."""
    in_path = [name for _, path, _ in route.http[:1] for name in _PATH_FIELD.findall(path)]
    no = NOT_REQUIRED.get((module, route.method), ())
    names = [*in_path, *REQUIRED.get((module, route.method), ())]
    return [name for name in dict.fromkeys(names) if name not in no]


def field_option(field: Any) -> click.Option:
    """An option for a field that may be left out."""
    flag = f"--{field.name.replace('_', '-')}"
    if field.cpp_type == Field.CPPTYPE_BOOL:
        return click.Option([flag, field.name], is_flag=True)
    return click.Option(
        [flag, field.name], type=click_type(field), multiple=field.label == Field.LABEL_REPEATED
    )


PAGE_OPTIONS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "page_limit": (["--limit", "page_limit"], {"type": click.IntRange(1), "help": "At most so many."}),
    "page_offset": (["--offset", "page_offset"], {"type": click.IntRange(0), "help": "Pass over so many."}),
    "page_number": (
        ["--page", "page_number"],
        {"type": click.IntRange(1), "help": f"The page, of --limit (or {PAGE_SIZE}) each."},
    ),
    "page_key": (
        ["--page-key", "page_key"],
        {"metavar": "BASE64", "help": "The next_key of the page before."},
    ),
    "page_count": (["--count-total", "page_count"], {"is_flag": True, "help": "Say how many there are."}),
    "page_reverse": (["--reverse", "page_reverse"], {"is_flag": True, "help": "From the end."}),
}


def page_request(values: dict[str, Any]) -> dict[str, Any]:
    """The page's fields out of the options' values, which it takes away."""
    page = {name: values.pop(name) for name in PAGE_OPTIONS}
    if sum(page[name] is not None for name in ("page_offset", "page_number", "page_key")) > 1:
        raise click.UsageError("use only one of --offset, --page and --page-key")
    offset = page["page_offset"] or 0
    if page["page_number"]:
        offset = (page["page_number"] - 1) * (page["page_limit"] or PAGE_SIZE)
    fields = {
        "limit": page["page_limit"] or 0,
        "offset": offset,
        "count_total": page["page_count"],
        "reverse": page["page_reverse"],
    }
    if page["page_key"]:
        from client.registry import unpack_base64  # noqa: PLC0415 - only for further pages

        fields["key"] = unpack_base64(page["page_key"], "--page-key")
    return fields


def query_command(module: str, route: Route, name: str) -> click.Command:
    """The command of one method."""
    descriptor = route.request.DESCRIPTOR
    required = required_fields(module, route)
    params: list[click.Parameter] = [
        click.Argument([field], type=click_type(descriptor.fields_by_name[field])) for field in required
    ]
    page_field = None
    for field in descriptor.fields:
        if is_page(field):
            page_field = field.name
            params += [click.Option(flags, **settings) for flags, settings in PAGE_OPTIONS.values()]
        elif field.name not in required and field.message_type is None:
            params.append(field_option(field))

    def run(session: Session, **values: Any) -> None:
        from cli.ask import ask  # noqa: PLC0415 - brings the client

        if page_field:
            values[page_field] = page_request(values)
        for field in descriptor.fields:
            if field.enum_type is not None and values.get(field.name):
                values[field.name] = enum_words(field.enum_type)[values[field.name]]
        ask(session, route, {key: value for key, value in values.items() if value is not None})

    run.__click_params__ = list(reversed(params))  # type: ignore[attr-defined]
    line = HELP.get(f"{module} {name}", kebab(route.method).replace("-", " ").capitalize() + ".")
    text = f"{line}\n\nAsks {route.path}."
    return click.command(name=name, help=text, short_help=line)(shared(*QUERY)(run))


class ModuleGroup(click.Group):
    """The queries of one module, in alphabetical order; long names are understood beside the short ones."""

    def __init__(self, aliases: dict[str, str], **options: Any) -> None:
        super().__init__(**options)
        self.aliases = aliases

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))


def module_group(module: str, file: str, text: str) -> click.Group:
    """The group of a module's queries."""
    short = SHORT_NAMES.get(module, {})
    routes = [
        route
        for route in routes_of(importlib.import_module(file).DESCRIPTOR)
        if route.service.endswith(".Query")
    ]
    aliases = {kebab(method): name for method, name in short.items()}
    group = ModuleGroup(aliases, name=module, help=text)
    for route in routes:
        group.add_command(query_command(module, route, short.get(route.method, kebab(route.method))))
    return group
