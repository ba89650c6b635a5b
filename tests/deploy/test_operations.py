"""Dashboards and alert rules ask only for what is served; each metric of an API node is on one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from abci_app.node.observer import Observer
from api_node.federation import Scrape, merged
from api_node.metrics import Metrics
from tests.chain import Chain, GenesisNode, GenesisParticipant, a_model, app_state
from tests.deploy.test_dashboards import served as served_by_mlnode

ROOT = Path(__file__).parents[2]
BOARDS = {
    name: json.loads((ROOT / f"deploy/grafana/{name}.json").read_text("utf-8"))
    for name in ("nodes", "epochs")
}
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
METRIC = re.compile(r"\b(?:apinode|evergrid|mlnode|cometbft|process|up)(?:_\w+)?\b(?=[\[{ )=<>*/+-]|$)")
ENDINGS = {
    "histogram": ("_bucket", "_sum", "_count"),
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
}
# As `cometbft start` of the version that the set-up builds serves them, with one validator.
COMETBFT = (ROOT / "tests/deploy/cometbft_metrics.txt").read_text("utf-8").split()
# It has no sample before the first miss.
COMETBFT.append("cometbft_consensus_validator_missed_blocks")


def names(text: str) -> set[str]:
    """Names of all series of an exposition, with a sample yet or without."""
    return {
        family.name + ending
        for family in text_string_to_metric_families(text)
        for ending in ENDINGS[family.type]
    }


@cache
def served_by_chain() -> frozenset[str]:
    registry = CollectorRegistry()
    observer = Observer(registry)
    alice = GenesisParticipant("alice", nodes=(GenesisNode("a1", ("model/x",), 300),))
    chain = Chain(app_state([alice], [a_model("model/x")]))
    chain.app._on_commit = observer.on_commit
    chain.app._around_step = observer.around_step
    for _ in range(12):
        chain.block()
        observer.settle()
    observer.close()
    # Of the server, which needs a socket: tests/node/test_metrics.py has it.
    return frozenset(names(generate_latest(registry).decode())) | {"evergrid_block_height"}


@cache
def served_by_api_node() -> frozenset[str]:
    registry = CollectorRegistry()
    for family in merged([Scrape("n1", up=True)]):
        assert family.name == "mlnode_up"
    return (
        frozenset(names(Metrics().render().decode()))
        | {"mlnode_up"}
        | frozenset(names(generate_latest(registry).decode()))
    )


@cache
def served() -> frozenset[str]:
    of_mlnodes = frozenset(name for name in served_by_mlnode() if name.startswith("mlnode_"))
    return served_by_chain() | served_by_api_node() | of_mlnodes | frozenset(COMETBFT) | {"up"}


def questions(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["definition"] for each in board["templating"]["list"] if "definition" in each)


def asked(expressions: Iterator[str] | list[str]) -> set[str]:
    """The metrics that expressions name; label values and functions are none."""
    bare = (re.sub(r'"[^"]*"', '""', each) for each in expressions)
    return {name for each in bare for name in METRIC.findall(each)}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_metric_of_a_dashboard_is_served(name: str) -> None:
    found = asked(questions(BOARDS[name]))

    assert len(found) > 12
    assert sorted(found - served()) == []


def test_every_metric_of_an_alert_rule_is_served() -> None:
    found = asked([rule["expr"] for rule in RULES])

    assert len(found) > 20
    assert sorted(found - served()) == []


def test_every_metric_of_an_api_node_is_on_a_dashboard_or_in_a_rule() -> None:
    own = {name for name in served_by_api_node() if name.startswith("apinode_")}
    own = {re.sub(r"_(bucket|sum|count)$", "", name) for name in own if not name.endswith("_created")}
    shown = asked([*questions(BOARDS["nodes"]), *questions(BOARDS["epochs"]), *(r["expr"] for r in RULES)])

    missing = own - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}

    assert missing == {"apinode_build_info", "apinode_metrics_schema_info"}


def test_another_participants_reward_does_not_silence_the_rule_about_the_own_one() -> None:
    (rule,) = [each for each in RULES if each["alert"] == "RewardMissing"]
    metrics = Metrics()
    metrics.participant_weight.labels("evergrid1me").set(1)

    assert 'apinode_participant_weight{participant="evergrid1me"} 1.0' in metrics.render().decode()
    assert "unless on(participant) (sum by (participant)" in rule["expr"]


def test_every_rule_has_a_name_of_its_own_a_severity_and_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"P1", "P2", "P3"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"].endswith((".", "NODE_ID`"))


def test_every_rule_is_explained_in_the_operators_page() -> None:
    page = (ROOT / "docs/operating.md").read_text("utf-8")

    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in page] == []


def test_labels_that_rules_choose_exist() -> None:
    """A rule about a value that no series can have would be silent for ever."""
    from api_node.broker import STATES
    from api_node.outbox import FINAL

    text = " ".join(rule["expr"] for rule in RULES)

    assert set(re.findall(r'state="(\w+)"', text)) <= set(STATES)
    assert {"failed", "expired"} <= {str(each) for each in FINAL}
    assert set(re.findall(r'slot="(\w+)"', text)) == {"poc_slot"}
    assert set(re.findall(r'tier="(\w+)"', text)) == {"epoch"}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_panels_have_ids_of_their_own_do_not_overlap_and_ask_the_chosen_source(name: str) -> None:
    panels = BOARDS[name]["panels"]
    cells = [
        (column, line)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
    targets = [target for panel in panels for target in panel.get("targets", ())]
    assert {target["datasource"]["uid"] for target in targets} == {"${datasource}"}
