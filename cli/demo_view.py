"""The demo on the terminal: one frame per block, or lines where there is none. Pure: facts in, text out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.demo_checks import Check
from cli.demo_facts import IN_POC, Cast, NodeFact, NodeKey, PocFact, RequestFact, Snapshot, Story

NEVG_PER_EVG = 10**9
ROWS = 40
# What a frame has beside its events.
ROWS_FIXED = 21
EVENTS_MIN = 3
TEXT_SHOWN = 60
STAGE_WORDS = {
    "inference": "serving; the next Proof of Compute (PoC) is to come",
    "pre_poc_scheduling": "slots are drawn: who serves through the PoC",
    "start_of_poc": "PoC: nodes without POC_SLOT compute nonces",
    "end_of_poc": "PoC has ended; last batches arrive",
    "start_of_poc_validation": "participants re-compute each other's samples",
    "end_of_poc_validation": "the next group is known; its models are loaded",
    "end_of_epoch": "the next group rules",
}
STATE_STYLES = {"serving": "green", "generating": "yellow", "validating": "cyan", "unreachable": "red"}
SOURCE_STYLES = {"mined": "yellow", "preserved": "green"}


def evg(nevg: int) -> str:
    """An amount in whole and thousandths of EVG."""
    return f"{nevg / NEVG_PER_EVG:,.3f} EVG"


def short_model(model_id: str) -> str:
    """The last part of a model's id."""
    return model_id.rpartition("/")[2]


def headline(now: Snapshot) -> str:
    """Height, epoch, stage and what comes next."""
    words = STAGE_WORDS.get(now.stage, now.stage)
    return f"height {now.height}, epoch {now.epoch}, {now.stage}: {words}{countdown(now)}"


def countdown(now: Snapshot) -> str:
    """How many blocks are left to the next stage."""
    coming = now.next_stage
    if coming is None or coming.height < now.height:
        return ""
    blocks = coming.height - now.height
    return f" ({coming.name} in {blocks} block{'s' if blocks != 1 else ''})"


def node_row(node: NodeFact | None, key: NodeKey, now: Snapshot, cast: Cast) -> tuple[str, ...]:
    """Participant, node, model, what the MLNode does, slots, weight and where that comes from."""
    state = now.node_states.get(key[1], "")
    if node is None:
        declared = "declared" if key in now.registered else "not declared"
        return cast.name(key[0]), key[1], declared, state, "", "", "", ""
    return (
        cast.name(key[0]),
        key[1],
        short_model(node.model_id),
        state,
        "yes",
        "yes" if node.poc_slot else "no",
        str(node.weight),
        node.weight_source,
    )


def nodes_table(now: Snapshot, cast: Cast) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    titles = ("participant", "node", "model", "MLNode", "PRE_POC_SLOT", "POC_SLOT", "weight", "weight source")
    for title in titles:
        table.add_column(title, justify="right" if title == "weight" else "left")
    nodes = {node.key: node for node in now.nodes}
    for key in cast.nodes:
        row = [Text(cell) for cell in node_row(nodes.get(key), key, now, cast)]
        row[3].stylize(STATE_STYLES.get(now.node_states.get(key[1], ""), ""))
        row[5].stylize("bold green" if row[5].plain == "yes" else "dim")
        row[7].stylize(SOURCE_STYLES.get(row[7].plain, ""))
        table.add_row(*row)
    return table


def vote_lines(poc: PocFact, cast: Cast) -> list[str]:
    """The votes of a PoC, one line for each participant that was judged."""
    lines = []
    for judged in cast.participants:
        if poc.nonces and not any(count for key, count in poc.nonces.items() if key[0] == judged):
            lines.append(f"{cast.name(judged)}: mined nothing, so there is nothing to validate")
            continue
        verdicts = [
            f"{cast.name(v.validator)} says {v.verdict} ({v.mismatches} of {v.sampled} samples differ)"
            for v in poc.verdicts
            if v.participant == judged
        ]
        outcome = poc.outcomes.get(judged, "no vote")
        lines.append(f"{cast.name(judged)}: {outcome}; {', '.join(verdicts) or 'no verdict'}")
    return lines


def reward_lines(story: Story, cast: Cast) -> list[str]:
    """What each settled epoch brought."""
    lines = []
    for index in sorted(story.settlements):
        settlement = story.settlements[index]
        parts = ", ".join(
            f"{cast.name(each.participant)} {evg(each.total)}{' with coverage bonus' if each.bonus else ''}"
            for each in settlement.amounts
        )
        lines.append(f"epoch {index}: {parts} (minted {evg(settlement.minted)})")
    return lines


def request_line(request: RequestFact, cast: Cast) -> str:
    """A chat request and who answered it."""
    nodes = ", ".join(key[1] for key in request.answered_by) or "?"
    when = "during PoC" if request.phase == IN_POC else "between PoCs"
    head = f"chat {request.number} {when} to {cast.name(request.sent_to)}, {short_model(request.model_id)}"
    if request.error:
        return f"{head}: failed, {request.error}"
    text = " ".join(request.text.split())
    shown = text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
    return f"{head}: {nodes} answered in {request.seconds:.1f} s: {shown!r}"


def frame(now: Snapshot, story: Story, cast: Cast, rows: int = ROWS) -> RenderableType:
    """The whole view after one block; `rows` of the terminal bound the events that are shown."""
    heights = "  ".join(f"{name} at {height or 'no answer'}" for name, height in sorted(now.heights.items()))
    powers = "  ".join(f"{cast.name(who)} {power}" for who, power in now.voting_powers.items())
    head = Text.assemble(
        (f"epoch {now.epoch}", "bold"),
        f"   height {now.height}   slot in force {now.slot_in_force}\n",
        (now.stage, "bold cyan"),
        f": {STAGE_WORDS.get(now.stage, '')}{countdown(now)}\n",
        f"validators: {heights}   voting power: {powers}",
    )
    parts: list[RenderableType] = [Panel(head, title="Evergrid", title_align="left"), nodes_table(now, cast)]
    if story.pocs:
        latest = story.pocs[max(story.pocs)]
        title = f"votes on the PoC of height {latest.height_start}"
        parts.append(_panel(title, vote_lines(latest, cast)))
    if story.settlements:
        parts.append(_panel("rewards", reward_lines(story, cast)))
    count = max(EVENTS_MIN, rows - ROWS_FIXED - len(story.settlements))
    shown = [f"{height:>4}  {text}" for height, text in story.events[-count:]]
    parts.append(_panel("what happened (height, event)", shown))
    return Group(*parts)


def _panel(title: str, lines: Sequence[str]) -> Panel:
    return Panel(
        Text("\n".join(lines), no_wrap=True, overflow="ellipsis"),
        title=title,
        title_align="left",
        border_style="dim",
    )


def summary(story: Story, cast: Cast, checks: Iterable[Check]) -> RenderableType:
    """The end: epochs with nodes, requests, and whether every promise was kept."""
    legend = Text(f"Model A is {cast.model_a}, model B is {cast.model_b}.")
    return Group(legend, _epochs_table(story, cast), _requests_table(story, cast), _checks_table(checks))


def _table(title: str, columns: Iterable[str], right: Collection[str] = ()) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _epochs_table(story: Story, cast: Cast) -> Table:
    columns = ("epoch", "who", "node", "model", "weight", "source", "in PoC", "nonces", "vote", "reward")
    table = _table("Epochs", columns, right=("weight", "nonces", "reward"))
    for extension in story.extensions.values():
        table.add_row("-", "PoC", f"at {extension.height_start}", "", "", f"extended: {extension.reason}")
    for index, epoch in sorted(story.epochs.items()):
        poc, settlement = story.pocs.get(index), story.settlements.get(index)
        amounts = {each.participant: each.total for each in settlement.amounts} if settlement else {}
        shown: set[str] = set()
        for node in epoch.nodes:
            serves = poc is not None and node.key in poc.serving(node.model_id)
            row = [str(index), cast.name(node.participant), node.node_id, cast.letter(node.model_id)]
            row += [str(node.weight), node.weight_source, "served" if serves else "mined"]
            row.append(str(poc.nonces.get(node.key, 0)) if poc else "")
            # Of a participant as a whole, so once.
            if node.participant not in shown:
                row.append(poc.outcomes.get(node.participant, "none") if poc else "")
                row.append(evg(amounts[node.participant]) if node.participant in amounts else "")
            shown.add(node.participant)
            table.add_row(*row)
    return table


def _requests_table(story: Story, cast: Cast) -> Table:
    columns = ("#", "epoch", "when", "model", "sent to", "answered by", "heights", "tokens", "seconds")
    table = _table("Requests", columns, right=("tokens", "seconds"))
    for request in story.requests:
        table.add_row(
            str(request.number),
            str(request.epoch),
            "in PoC" if request.phase == IN_POC else "between",
            cast.letter(request.model_id),
            cast.name(request.sent_to),
            ", ".join(key[1] for key in request.answered_by),
            f"{request.height_started}-{request.height_finished}",
            str(request.tokens),
            f"{request.seconds:.1f}",
        )
    return table


def _checks_table(checks: Iterable[Check]) -> Table:
    table = Table(title="What was promised", box=box.SIMPLE_HEAD, title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    for check in checks:
        mark = Text("kept", "green") if check.kept else Text("BROKEN", "bold red")
        table.add_row(mark, Text(check.promise))
        for problem in check.problems:
            table.add_row("", Text(problem, "red"))
    return table
