"""What the demo does and when: proposals, votes, chat requests. Deciding is pure, doing is below."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from cli.demo_facts import BETWEEN, IN_POC, Cast, NodeKey, RequestFact, Snapshot, Story
from cli.demo_observe import finished_answers
from client.chain import ChainClient, ChainError, TxReply
from client.keys import Key
from client.tx import Fee, Signer, build, pack
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2, tx_pb2
from protocol.gen.evergrid.models.v1.models_pb2 import Model, MsgRegisterModel

if TYPE_CHECKING:
    from google.protobuf.message import Message

MAX_TOKENS = 32
# The vote of ten seconds must not end before the first PoC, at height 10: the demo shows the empty epoch.
PROPOSE_HEIGHT = 5
GAS_LIMIT = 10**7
CODE_WRONG_SEQUENCE = 32
SEND_TRIES = 5
REQUEST_TIMEOUT_S = 60.0
# Blocks before S, and before the switch, in which nothing new is asked: an answer takes up to eight.
QUIET_BLOCKS = 5
PROMPTS = (
    "Why is the sky blue?",
    "What is a validator?",
    "Name three rivers.",
    "What does a GPU do?",
    "Who discovered penicillin?",
    "What is a prime number?",
)


# Deciding


@dataclass(frozen=True, slots=True)
class Ask:
    """A chat request that is due."""

    phase: str
    epoch: int
    model_id: str
    # Address of the participant whose API node takes it.
    to: str
    node_expected: NodeKey | None


def due_request(now: Snapshot, story: Story, cast: Cast, epochs: int) -> Ask | None:
    """The next chat request to send after this block, until `epochs` are full; None where none is due."""
    if not 1 <= now.epoch <= epochs:
        return None
    if now.poc_under_way:
        return _due_in_poc(now, story, cast)
    epoch = story.epochs.get(now.epoch)
    if epoch is None or now.height >= now.height_start - QUIET_BLOCKS:
        return None
    wanted = [(cast.model_a, key) for key in cast.rivals] + [(cast.model_b, cast.nodes[2])]
    for model_id, key in wanted:
        if not _asked(story, BETWEEN, now.epoch, model_id, key[0]) and _serves(now, key, model_id):
            return Ask(BETWEEN, now.epoch, model_id, key[0], key)
    return None


def _due_in_poc(now: Snapshot, story: Story, cast: Cast) -> Ask | None:
    """Once the other nodes compute nonces: to the API of the participant that mines, then to the other's."""
    poc = story.pocs.get(now.epoch + 1)
    holders = [key for key in poc.serving(cast.model_a) if key in cast.rivals] if poc else []
    if not holders or not now.height_start < now.height < now.height_switch - 2 * QUIET_BLOCKS:
        return None
    for address in sorted(cast.participants, key=lambda each: each == holders[0][0]):
        if not _asked(story, IN_POC, now.epoch, cast.model_a, address):
            return Ask(IN_POC, now.epoch, cast.model_a, address, holders[0])
    return None


def _asked(story: Story, phase: str, epoch: int, model_id: str, to: str) -> bool:
    return any(
        (each.phase, each.epoch, each.model_id, each.sent_to) == (phase, epoch, model_id, to)
        for each in story.requests
    )


def _serves(now: Snapshot, key: NodeKey, model_id: str) -> bool:
    return now.node_states.get(key[1]) == "serving" and now.node_models.get(key[1]) == model_id


# Doing


def register_model(model: Model, proposer: str, authority: str, deposit: Coin) -> tx_pb2.MsgSubmitProposal:
    """A proposal that registers a model, with its whole deposit."""
    message = MsgRegisterModel(authority=authority, model=model)
    return tx_pb2.MsgSubmitProposal(
        messages=[pack(message)],
        initial_deposit=[deposit],
        proposer=proposer,
        title=f"Register {model.name}",
        summary=f"Adds {model.id} at {model.hf_commit} to the registry of models.",
    )


def votes(proposal_ids: Sequence[int], voter: str) -> list[tx_pb2.MsgVote]:
    """Yes to each."""
    return [
        tx_pb2.MsgVote(proposal_id=each, voter=voter, option=gov_pb2.VOTE_OPTION_YES) for each in proposal_ids
    ]


def send(client: ChainClient, key: Key, chain_id: str, messages: Sequence[Message]) -> TxReply:
    """Signs, broadcasts and waits; another sender on the same account (its API node) is waited out."""
    for attempt in range(SEND_TRIES):
        account = client.account(key.address)
        signer = Signer(key, account.account_number, account.sequence)
        try:
            return client.send(build(messages, [signer], chain_id, Fee(GAS_LIMIT)))
        except ChainError as error:
            if error.code != CODE_WRONG_SEQUENCE or attempt == SEND_TRIES - 1:
                raise
        time.sleep(1.0)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class Asker:
    """Sends chat requests, and watches which node's own counter of finished answers rises."""

    # By address: URL and key of the public API.
    apis: Mapping[str, tuple[str, str]]
    # By node.
    nodes: Mapping[NodeKey, str]

    def ask(self, request: RequestFact) -> RequestFact:
        """Fills in what came of a request; errors are facts as well."""
        url, api_key = self.apis[request.sent_to]
        before, started = self._counters(), time.monotonic()
        try:
            with httpx2.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False) as http:
                reply = http.post(
                    f"{url}/v1/chat/completions",
                    json=body_of(request),
                    headers={"Authorization": f"Bearer {api_key}"},
                )
            request.seconds = time.monotonic() - started
            read_reply(request, reply.status_code, dict(reply.headers), reply.text)
        except httpx2.HTTPError as error:
            request.error = f"no answer from {url}: {error}"
        after = self._counters()
        request.answered_by = {key: n - before[key] for key, n in after.items() if n > before.get(key, n)}
        return request

    def _counters(self) -> dict[NodeKey, int]:
        counters = {}
        with httpx2.Client(timeout=10.0, trust_env=False) as http:
            for key, url in self.nodes.items():
                counters[key] = finished_answers(http.get(f"{url}/metrics").text)
        return counters


def body_of(request: RequestFact) -> dict[str, Any]:
    """The body of a chat request; answers are short, since an inference expires after a few blocks."""
    prompt = PROMPTS[request.number % len(PROMPTS)]
    return {
        "model": request.model_id,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
    }


def read_reply(request: RequestFact, status: int, headers: Mapping[str, str], text: str) -> None:
    """Puts an API node's reply into the facts of a request."""
    import json  # noqa: PLC0415 - one place reads it

    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    if status != 200:
        message = body.get("error", {}).get("message") if isinstance(body.get("error"), dict) else None
        request.error = f"HTTP {status}: {message or text[:200]}"
        return
    request.text = str(body["choices"][0]["message"]["content"])
    request.inference_id = headers.get("x-inference-id") or str(body.get("id", ""))
