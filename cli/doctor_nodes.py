"""What `evergrid doctor` asks of the API node and of every MLNode."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import click
import httpx2
from prometheus_client.parser import text_string_to_metric_families

from api_node.settings import read_secret
from cli import doctor_checks as checks
from cli.doctor_gather import TIMEOUT_S
from cli.node_client import AdminClient

if TYPE_CHECKING:
    from api_node.node_config import NodeConfig
    from cli.doctor_checks import Finding
    from cli.doctor_gather import Patient

MIB = 2**20
NODES_AT_ONCE = 16
NO_GPU = "CPU"


def look_at_api_node(patient: Patient) -> None:
    """Whether it runs, what it waits for, how far it is behind."""
    settings = patient.settings
    path = settings.admin_token_file or settings.home / "admin_token"
    try:
        shown = AdminClient(f"http://127.0.0.1:{settings.admin_port}", path).call("GET", "status")
    except (click.ClickException, OSError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        patient.findings += checks.check_api(None, (), text)
        return
    patient.findings += checks.check_api(shown["chain_lag_blocks"], shown["waiting_for"], "")


def look_at_mlnodes(patient: Patient) -> None:
    """Every MLNode of the configuration, many at once."""
    path = patient.settings.mlnode_token_file
    try:
        token = read_secret(path) if path else ""
    except (OSError, ValueError):
        token = ""  # that the file cannot be read is told with the keys
    with ThreadPoolExecutor(NODES_AT_ONCE) as pool:
        for found in pool.map(lambda node: look_at_mlnode(node, token), patient.nodes):
            patient.findings += found


def look_at_mlnode(node: NodeConfig, token: str) -> list[Finding]:
    """Its state with our token, its clock, its version, its GPUs."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = node.poc_url
    root = url.removesuffix("/api/v1")
    with httpx2.Client(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as http:
        try:
            reply = http.get(f"{url}/state", headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            problem = f"{type(error).__name__}: {error}".rstrip(": ")
            return checks.check_mlnode(checks.MLNode(node.id, url, problem))
        arrived = time.time()
        gauges = _metrics(http, f"{root}/metrics")
        facts = _facts(node, reply, gauges)
        problem = _inference_problem(http, node, headers)
    found = checks.check_mlnode(replace(facts, inference_problem=problem))
    if stamp := reply.headers.get("date"):
        offset_s = parsedate_to_datetime(stamp).timestamp() + 0.5 - arrived  # the header has whole seconds
        found.append(checks.check_clock(node.id, offset_s))
    return found


def _inference_problem(http: httpx2.Client, node: NodeConfig, headers: dict[str, str]) -> str:
    """Why nobody answers prompts where the node should; what it has no model for now is none."""
    try:
        reply = http.get(f"{node.inference_url}/models", headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"{type(error).__name__}: {error}".rstrip(": ")
    return f"status {reply.status_code}" if reply.status_code == httpx2.codes.NOT_FOUND else ""


def _facts(
    node: NodeConfig, reply: httpx2.Response, gauges: dict[str, list[tuple[dict[str, str], float]]]
) -> checks.MLNode:
    try:
        body = reply.json() if reply.is_success else {}
    except ValueError:
        body = {}
    used, free = (gauges.get(f"mlnode_gpu_memory_{name}_bytes", []) for name in ("used", "free"))
    declared = [each for each in node.hardware if each.type.upper() != NO_GPU]
    versions = [labels.get("version", "") for labels, _ in gauges.get("mlnode_version_info", [])]
    return checks.MLNode(
        node.id,
        node.poc_url,
        status=reply.status_code,
        state=str(body.get("state") or "") if isinstance(body, dict) else "",
        version=versions[0] if versions else "",
        version_expected=own_version(),
        gpus=len(used) or None,
        gpu_memory_mib=round(sum(value for _, value in (*used, *free)) / MIB),
        gpus_declared=sum(each.count for each in declared),
        inference_url=node.inference_url,
        memory_declared_mib=sum(each.count * each.memory_mib for each in declared),
    )


def own_version() -> str:
    """The version that is installed here."""
    try:
        return version("evergrid")
    except PackageNotFoundError:
        return "0"


def _metrics(http: httpx2.Client, url: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The samples that a node's metrics hold, by name; none where it has none."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    try:
        reply = http.get(url)
        families = list(text_string_to_metric_families(reply.text)) if reply.is_success else []
    except (httpx2.HTTPError, ValueError):
        return found
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found
