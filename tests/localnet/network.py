"""A running local network as its operators see it: commands, API nodes, processes that end and start."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from google.protobuf.message import Message

from cli import supervisor
from cli.demo_observe import finished_answers
from cli.localnet_run import RECORD, height_of
from client.chain import ChainClient
from tests.localnet.commands import evergrid, output_of

R = TypeVar("R", bound=Message)

POLL_S = 0.2
WAIT_S = 60.0
SIGN = ("--from", "participant", "-y", "-b", "block")


@dataclass
class Net:
    """A network that `localnet up` has started; participants are numbered from 0."""

    home: Path
    shown: Any

    @cached_property
    def chain(self) -> ChainClient:
        """The first validator's."""
        return ChainClient(self.shown["validators"][0]["rpc"])

    @cached_property
    def addresses(self) -> list[str]:
        """Of the participants' accounts."""
        homes = [self.home / f"validator-{i + 1}" for i in range(len(self.shown["validators"]))]
        return [
            output_of("keys", "show", "participant", "--home", home, "-o", "json")["address"]
            for home in homes
        ]

    @property
    def height(self) -> int:
        return height_of(self.shown["validators"][0]["rpc"])

    def query(self, request: Message, response: type[R]) -> R:
        return self.chain.query(request, response)

    def run(self, who: int, *words: object) -> Any:
        """The JSON of a command that a participant gives, which has to succeed."""
        home, rpc = self.home / f"validator-{who + 1}", self.shown["validators"][who]["rpc"]
        return output_of(*words, "--home", home, "--node", rpc, "-o", "json")

    def send(self, who: int, *words: object) -> Any:
        """A transaction of a participant, in a block."""
        reply = self.run(who, "tx", *words, *SIGN)
        assert reply["code"] == 0, reply
        return reply

    def until(self, what: str, holds: Callable[[], Any], wait_s: float = WAIT_S) -> Any:
        """What `holds` answers once it is true."""
        deadline = time.monotonic() + wait_s
        while not (found := holds()):
            assert time.monotonic() < deadline, f"waited {wait_s:g} s for {what}, at height {self.height}"
            time.sleep(POLL_S)
        return found

    def reach(self, height: int) -> None:
        self.until(f"height {height}", lambda: self.height >= height)

    def chat(self, who: int, model: str, **fields: Any) -> httpx2.Response:
        """One request to the API node of a participant."""
        api = self.shown["apis"][who]
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
        headers = {"Authorization": f"Bearer {api['api_key']}"}
        url = f"{api['public']}/v1/chat/completions"
        return httpx2.post(url, json=body | fields, headers=headers, timeout=30, trust_env=False)

    def status(self, who: int) -> Any:
        """What `evergrid api status` says, nodes by id."""
        token = self.home / f"api-{who + 1}" / "admin_token"
        shown = output_of(
            *("api", "status", "--json", "--admin-token-file", token),
            *("--admin-url", self.shown["apis"][who]["admin"]),
        )
        return shown | {"nodes": {each["node"]["id"]: each["state"] for each in shown["nodes"]}}

    def leaf_nonces(self, node_id: str, start: int, *indexes: int) -> list[int]:
        """Nonces of leaves that a node's API node shows anyone."""
        (who,) = (
            i for i, api in enumerate(self.shown["apis"]) if self.mlnode_urls[node_id] in api["mlnodes"]
        )
        asked: dict[str, Any] = {
            "poc_stage_start_height": start,
            "node_id": node_id,
            "index": list(map(str, indexes)),
        }
        url = f"{self.shown['apis'][who]['public']}/v1/poc-artifacts"
        reply = httpx2.get(url, params=asked, timeout=10, trust_env=False)
        assert reply.status_code == 200, reply.text
        return [int(each["leaf"]["nonce"]) for each in reply.json()["samples"]]

    def is_up(self, who: int) -> bool:
        """Whether the API node of a participant follows the chain."""
        try:
            url = f"{self.shown['apis'][who]['public']}/v1/status"
            reply = httpx2.get(url, timeout=5, trust_env=False)
        except httpx2.HTTPError:
            return False
        return reply.status_code == 200 and reply.json()["height"] > 0

    def status_text(self, who: int) -> str:
        """The same as a person reads it."""
        token = self.home / f"api-{who + 1}" / "admin_token"
        url = self.shown["apis"][who]["admin"]
        return evergrid("api", "status", "--admin-token-file", token, "--admin-url", url).stdout

    @property
    def mlnode_urls(self) -> dict[str, str]:
        """By node: node i belongs to participant i modulo their number."""
        apis = self.shown["apis"]
        return {
            f"node-{place * len(apis) + who + 1}": url
            for who, api in enumerate(apis)
            for place, url in enumerate(api["mlnodes"])
        }

    def text(self, who: int, *words: object) -> str:
        """What a person reads of a command that a participant gives."""
        home, rpc = self.home / f"validator-{who + 1}", self.shown["validators"][who]["rpc"]
        done = evergrid(*words, "--home", home, "--node", rpc)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answers(self, url: str) -> int:
        """How many answers an MLNode has finished."""
        return finished_answers(httpx2.get(f"{url}/metrics", trust_env=False).text)

    def kill(self, name: str) -> None:
        """Ends a process at once, with its children."""
        processes, facts = supervisor.load(self.home / RECORD)
        (victim,) = (each for each in processes if each.name == name)
        os.killpg(victim.pid, signal.SIGKILL)
        while victim.alive:
            time.sleep(0.05)
        supervisor.save(self.home / RECORD, [each for each in processes if each is not victim], facts)

    def start(self, name: str, **flags: object) -> None:
        """Starts a killed process again, with flags of its own in the place of those that it had."""
        processes, facts = supervisor.load(self.home / RECORD)
        plans: Any = facts["plans"]
        (plan,) = (each for each in plans if each["name"] == name)
        command = list(plan["command"])
        for flag, value in flags.items():
            command[command.index(f"--{flag.replace('_', '-')}") + 1] = str(value)
        processes.append(supervisor.start(name, command, Path(plan["log"]), plan["env"]))
        supervisor.save(self.home / RECORD, processes, facts)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path
