"""The Grafana dashboard of one MLNode asks only for what an MLNode serves."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from mlnode.metrics import Metrics
from mlnode.sensors import CPU_WINDOW_S, Sensors
from tests.mlnode.nvml_stand_in import StandInNvml

ROOT = Path(__file__).parents[2]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/mlnode.json").read_text("utf-8"))
METRIC = re.compile(r"\b(?:mlnode|process|python)_\w+")
ENDINGS = {
    "histogram": ("_bucket", "_sum", "_count"),
    "counter": ("_total",),
    "gauge": ("",),
}


@cache
def served() -> frozenset[str]:
    """Names of all series that a scrape can hold, with or without a sample yet."""
    nvml = StandInNvml()
    nvml.events.append((0, 79))
    sensors = Sensors(ROOT, nvml)
    metrics = Metrics(sensors)
    sensors.compute_pids = (os.getpid(),)
    # Shares of processor time are those of a while.
    time.sleep(CPU_WINDOW_S)
    text = metrics.render().decode()
    names = set[str]()
    for family in text_string_to_metric_families(text):
        names |= {family.name + ending for ending in ENDINGS[family.type]}
    return frozenset(names)


def expressions() -> Iterator[str]:
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["definition"] for each in BOARD["templating"]["list"] if "definition" in each)


def test_every_metric_of_the_dashboard_is_served() -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}

    assert len(asked) > 30
    assert sorted(asked - served()) == []


def test_every_metric_of_the_node_is_on_the_dashboard() -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    own = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served() if name.startswith("mlnode_")}
    own = {name for name in own if not name.endswith("_created")}

    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}

    assert own - shown == set()


def test_every_question_is_about_the_chosen_node_and_the_chosen_source() -> None:
    questions = [target for panel in BOARD["panels"] for target in panel.get("targets", ())]

    assert all('instance="$instance"' in target["expr"] for target in questions)
    assert {target["datasource"]["uid"] for target in questions} == {"${datasource}"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = BOARD["panels"]
    cells = [
        (column, line)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
