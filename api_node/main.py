"""Puts the API node together and runs it until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import structlog
from fastapi import Depends
from pydantic import ValidationError

from api_node.admin import admin_app, admin_token, metrics_app
from api_node.broker import Broker
from api_node.callback import callback_app
from api_node.chain import BlockWatcher, ChainReader
from api_node.chat import TransferAgent
from api_node.execution import Executor
from api_node.http_server import Server, bearer_check, listen, new_server
from api_node.intents import Puzzle
from api_node.logs import configure_logging
from api_node.metrics import Metrics
from api_node.node_config import load_nodes, name_all
from api_node.operations_routes import Desk, add_trial_callback
from api_node.operations_trial import Trials
from api_node.orchestrator import Orchestrator
from api_node.outbox import Outbox
from api_node.payload_client import TIMEOUT_S as PAYLOAD_TIMEOUT_S
from api_node.payload_client import PayloadClient
from api_node.payloads import PayloadDesk, PayloadStore
from api_node.peers import peer_client
from api_node.poc_artifacts import ArtifactStore
from api_node.poc_batches import BatchCollector
from api_node.public import public_app
from api_node.registration import Registrar, read_validator_key
from api_node.relay import drain_relays
from api_node.revalidation import Revalidator
from api_node.sender import Price, Sender
from api_node.settings import Settings, read_secret
from api_node.timeline import Timeline
from client.chain import AsyncChainClient
from client.keyring import Keyring
from client.keys import Key
from protocol.address import account

log = structlog.get_logger("api_node")

VALIDATION_TIMEOUT_S = 20.0
LOOPBACK = "127.0.0.1"


@dataclass
class ApiNode:
    """Everything that one API node consists of."""

    settings: Settings
    chain: AsyncChainClient
    outbox: Outbox
    metrics: Metrics
    sender: Sender
    watcher: BlockWatcher
    broker: Broker
    orchestrator: Orchestrator
    agent: TransferAgent
    revalidator: Revalidator
    payloads: PayloadStore
    trials: Trials
    # What is never in logs and answers.
    secrets: Sequence[str] = ()
    servers: list[tuple[Server, socket.socket]] = field(default_factory=list)


def load_key(settings: Settings) -> Key:
    """The participant's key out of the CLI's keyring; raises KeyringError."""
    path = settings.keyring_passphrase_file
    ask = (lambda: read_secret(path)) if path else None
    return Keyring(settings.keyring_home or settings.home, settings.keyring_backend, ask).key(
        settings.key_name
    )


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def _url(given: str, host: str, sock: socket.socket) -> str:
    shown = LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104 - it is compared, not bound
    return (given or f"http://{shown}:{_port(sock)}").rstrip("/")


def create(settings: Settings) -> ApiNode:
    """Reads files, binds ports, wires parts; raises ValueError or OSError that says what is wrong."""
    settings.home.mkdir(parents=True, exist_ok=True)
    key = load_key(settings)
    public_key = bytes.fromhex(settings.participant_key) or key.public
    address = account(public_key)
    worker_key = key.public.hex() if key.address != address else ""
    nodes = load_nodes(settings.node_config)
    validator_key = read_validator_key(settings.validator_key_file) if settings.validator_key_file else None
    api_keys = settings.api_keys_file.read_text(encoding="utf-8").split() if settings.api_keys_file else []
    if settings.api_keys_file and not api_keys:
        raise ValueError(f"{settings.api_keys_file} holds no API key")
    token = read_secret(settings.mlnode_token_file) if settings.mlnode_token_file else None
    admin = admin_token(settings)
    places = (
        (settings.host, settings.public_port),
        (settings.host, settings.callback_port),
        (LOOPBACK, settings.admin_port),
        (LOOPBACK, settings.metrics_port),
    )
    sockets = [listen(host, port) for host, port in places]

    metrics, outbox = Metrics(), Outbox(settings.home / "outbox.sqlite")
    payloads = PayloadStore(settings.home / "payloads.sqlite", settings.payload_bytes_max)
    chain = AsyncChainClient(settings.rpc_url)
    sender = Sender(chain, key, outbox, metrics, Price(Fraction(settings.gas_price), settings.denom))
    reader, watcher = ChainReader(chain, address), BlockWatcher(chain, settings.poll_interval_s)
    artifacts = ArtifactStore(settings.home / "artifacts.sqlite")
    collector = BatchCollector(sender, metrics, address, public_key, artifacts)
    public_url = _url(settings.public_url, settings.host, sockets[0])
    callback_url = _url(settings.callback_url, settings.host, sockets[1])

    async def init_request(puzzle: Puzzle, node_id: str) -> dict[str, object]:
        return await orchestrator.init_request(puzzle, node_id)

    secrets = [token or "", admin, *api_keys]
    timeline = Timeline(settings.home / "timeline.sqlite", secrets=secrets)
    broker = Broker(settings, nodes, init_request, outbox, metrics=metrics, token=token, timeline=timeline)
    orchestrator = Orchestrator(
        watcher=watcher,
        reader=reader,
        broker=broker,
        collector=collector,
        registrar=Registrar(sender, address, public_url, validator_key, worker_key),
        sender=sender,
        metrics=metrics,
        callback_url=callback_url,
        public_key=public_key,
        peers=peer_client(VALIDATION_TIMEOUT_S, allow_private=settings.allow_private_peers),
    )
    executor = Executor(
        orchestrator,
        broker,
        sender,
        address,
        timeout_s=settings.request_timeout_s,
        first_byte_timeout_s=settings.first_byte_timeout_s,
        payloads=payloads,
    )
    agent = TransferAgent(
        settings=settings,
        orchestrator=orchestrator,
        executor=executor,
        sender=sender,
        key=key,
        address=address,
        metrics=metrics,
        payloads=payloads,
        peers=peer_client(settings.request_timeout_s, allow_private=settings.allow_private_peers),
    )
    revalidator = Revalidator(
        reader=reader,
        watcher=watcher,
        broker=broker,
        sender=sender,
        payloads=PayloadClient(
            reader, key, payloads, peer_client(PAYLOAD_TIMEOUT_S, allow_private=settings.allow_private_peers)
        ),
        metrics=metrics,
    )
    orchestrator.listeners += [agent.on_view, revalidator.on_view, lambda view: payloads.prune(view.height)]
    node = ApiNode(
        settings,
        chain,
        outbox,
        metrics,
        sender,
        watcher,
        broker,
        orchestrator,
        agent,
        revalidator,
        payloads,
        Trials(orchestrator, broker, callback_url=callback_url, public_key=public_key),
        secrets,
    )
    callback = callback_app(settings, orchestrator, broker, token)
    add_trial_callback(callback, node.trials, Depends(bearer_check(lambda: [token] if token else [])))
    desk = Desk(orchestrator, broker, sender, node.trials, holds_key=not worker_key)
    apps = (
        public_app(
            settings, orchestrator, agent, executor, desk=PayloadDesk(reader, payloads), api_keys=api_keys
        ),
        callback,
        admin_app(settings, desk, revalidator=revalidator, token=admin, secrets=secrets),
        metrics_app(settings, metrics, broker),
    )
    node.servers = [(new_server(app, settings), sock) for app, sock in zip(apps, sockets, strict=True)]
    return node


async def serve(node: ApiNode, stop: asyncio.Event) -> int:
    """Runs until `stop`, or until a part ends on its own; 0 for an orderly end."""
    node.broker.start()
    parts = [
        asyncio.create_task(node.sender.run(), name="sender"),
        asyncio.create_task(node.watcher.run(), name="watcher"),
        asyncio.create_task(node.orchestrator.run(), name="orchestrator"),
        asyncio.create_task(node.revalidator.run(), name="revalidator"),
    ]
    serving = [
        asyncio.create_task(server.serve(sockets=[sock]), name="http") for server, sock in node.servers
    ]
    stopped = asyncio.create_task(stop.wait())
    ports = dict(zip(("public", "callback", "admin", "metrics"), map(_port, _sockets(node)), strict=True))
    log.info("API node runs", address=node.orchestrator.reader.address, **ports)
    done, _ = await asyncio.wait({*parts, *serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopped}:
        problem = task.exception()
        log.error(
            "a part of the API node ended", part=task.get_name(), problem=repr(problem), exc_info=problem
        )
    await _close(node, parts, serving)
    stopped.cancel()
    return 0 if stopped in done else 1


def _sockets(node: ApiNode) -> Sequence[socket.socket]:
    return [sock for _, sock in node.servers]


async def _close(
    node: ApiNode, parts: Sequence[asyncio.Task[None]], serving: Sequence[asyncio.Task[None]]
) -> None:
    """Takes nothing new, lets answers end, sends what waits as far as it goes, then lets go of everything."""
    grace_s = node.settings.shutdown_grace_s
    for server, _ in node.servers:
        server.should_exit = True
    await asyncio.wait(serving, timeout=grace_s + 2)
    await drain_relays(grace_s)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(node.sender.flush(), 2)
    await node.orchestrator.close()
    await node.revalidator.close()
    await node.trials.close()
    for task in (*parts, *serving):
        task.cancel()
    await asyncio.gather(*parts, *serving, return_exceptions=True)
    await node.broker.close()
    await node.agent.close()
    await node.chain.close()
    node.outbox.close()
    node.orchestrator.collector.store.close()
    node.payloads.close()
    for sock in _sockets(node):
        sock.close()


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    configure_logging(settings.log_level, settings.log_format)
    node = create(settings)
    configure_logging(settings.log_level, settings.log_format, node.secrets)
    return await serve(node, stop)


def run_api(settings: Settings) -> int:
    """Runs the API node until SIGINT or SIGTERM; the exit code. Raises ValueError or OSError at the start."""
    return asyncio.run(_run(settings))


def main() -> None:
    """`python -m api_node.main`, with the flags of Settings."""
    try:
        sys.exit(run_api(Settings(_cli_parse_args=sys.argv[1:])))  # type: ignore[call-arg]
    except ValidationError as error:
        sys.exit(f"api_node: {name_all(error.errors())}")
    except (OSError, ValueError) as error:
        sys.exit(f"api_node: {error}")


if __name__ == "__main__":
    main()
