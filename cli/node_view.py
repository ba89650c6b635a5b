"""What `evergrid node` shows: durations, deadlines, rows of nodes, one frame of `node top`. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

UNKNOWN = "?"
COLUMNS = ("node", "state", "reason", "since", "deadline", "model", "slot", "load", "nonces", "switch off")
STYLES = {
    "inference": "green",
    "poc_generate": "cyan",
    "poc_validate": "cyan",
    "maintenance": "yellow",
    "failed": "red",
}


def duration(seconds: float | None) -> str:
    """Such as 12 s, 3 m 20 s, 2 h 5 m; a question mark where it is not known."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} m"


def distance(point: dict[str, Any] | None) -> str:
    """How far a height is, in blocks and in seconds as far as they are known."""
    if not point:
        return ""
    blocks = f"{point['blocks']} block{'' if point['blocks'] == 1 else 's'}"
    return blocks if point["seconds"] is None else f"{blocks}, about {duration(point['seconds'])}"


def switch_off_words(answer: dict[str, Any]) -> str:
    """Yes or no, why, and until or from when."""
    allowed, deadline = answer["allowed"], answer["deadline"]
    word = UNKNOWN if allowed is None else "yes" if allowed else "no"
    text = f"{word}: {answer['text']}"
    if not deadline:
        return text
    when = "back by" if allowed else "from"
    return f"{text} ({when} height {deadline['height']}, in {distance(deadline)})"


def state_words(node: dict[str, Any]) -> str:
    """What a node does, and where that differs, what it should do."""
    now, meant = node["state"], node["intended_state"]
    shown = now if now == meant else f"{now} -> {meant}"
    marks = [name for name in ("drained", "tested") if node[name]] + ([] if node["enabled"] else ["disabled"])
    return f"{shown} ({', '.join(marks)})" if marks else shown


def slot_word(node: dict[str, Any]) -> str:
    """The slots that a node holds, the one of the PoC first."""
    return " ".join(sorted((slot.removesuffix("_SLOT") for slot in node["slots"]), key=len)) or "-"


def node_row(node: dict[str, Any]) -> dict[str, str]:
    """One node in a table, every column as text."""
    reason = node["reason"] or ""
    allowed = node["switch_off"]["allowed"]
    return {
        "node": node["node_id"],
        "state": state_words(node),
        "reason": f"{reason}: {node['text']}" if node["text"] and reason else reason or node["text"],
        "since": duration(node["time_in_state_s"]),
        "deadline": distance(node["deadline"]) or "-",
        "model": node["model"] or "-",
        "slot": slot_word(node),
        "load": f"{node['requests']}/{node['max_concurrent']}",
        "nonces": "-" if node["nonces"] is None else str(node["nonces"]),
        "switch off": UNKNOWN if allowed is None else "yes" if allowed else "no",
    }


def header_lines(shown: dict[str, Any]) -> list[str]:
    """The lines above the table: the chain, the countdown, and the question."""
    chain = shown["chain"]
    if chain["stage"] is None:
        return [f"no view of the chain yet: {chain['problem']}", "may I switch off now: nobody knows"]
    lag = f"lag {chain['lag_blocks']}" + (", catching up" if chain["catching_up"] else "")
    following = chain["next"]
    countdown = f"{following['stage']} in {distance(following)} (height {following['height']})"
    lines = [
        (
            f"{chain['chain_id']}  height {chain['height']} ({lag})  epoch {chain['epoch']}  "
            f"stage {chain['stage']}  {chain['slot']}"
        ),
        f"next: {countdown}",
        f"may I switch off now: {switch_off_words(shown['switch_off'])}",
    ]
    return lines + ([f"waiting: {chain['problem']}"] if chain["problem"] else [])


def frame(shown: dict[str, Any]) -> RenderableType:
    """One picture of all nodes."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - costs more than click itself
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold", justify="right" if name in {"load", "nonces"} else "left")
    for node in shown["nodes"]:
        style = STYLES.get(node["state"], "")
        table.add_row(*(Text(text, style=style) for text in node_row(node).values()))
    body: RenderableType = (
        table if shown["nodes"] else Text("no MLNodes: add one with `evergrid node add FILE`")
    )
    return Group(*(Text(line) for line in header_lines(shown)), Text(""), body)


def frame_text(shown: dict[str, Any], width: int) -> str:
    """The frame as plain text."""
    from io import StringIO  # noqa: PLC0415 - only for text

    from rich.console import Console  # noqa: PLC0415

    out = StringIO()
    Console(file=out, width=width, color_system=None).print(frame(shown), soft_wrap=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def clock(seconds: float) -> str:
    """A moment, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def entry_row(entry: dict[str, Any]) -> dict[str, Any]:
    """One line of a node's timeline."""
    seconds = entry["duration_s"]
    return {
        "time": clock(entry["time"]),
        "height": entry["height"],
        "kind": entry["kind"],
        "from": entry["from"],
        "to": entry["to"],
        "reason": entry["reason"],
        "asked by": entry["asked_by"],
        "took": "" if seconds is None else duration(seconds) if seconds >= 60 else f"{seconds:g} s",
        "text": entry["text"],
    }


def step_row(step: dict[str, Any]) -> dict[str, Any]:
    """One step of a test."""
    seconds = "" if step["seconds"] is None else f"{step['seconds']:g} s"
    return {"step": step["step"], "result": step["result"], "took": seconds, "text": step["text"]}
