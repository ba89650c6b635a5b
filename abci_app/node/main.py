"""The chain's process: store, application, ABCI, gRPC, REST, metrics, and CometBFT as a child if wanted."""

from __future__ import annotations

import argparse
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import structlog

from abci_app.app import STORES, App, BlockReport
from abci_app.kernel.store import DiskStore, StoreCorrupt, StoreLocked
from abci_app.node.comet import CometRpc
from abci_app.node.comet_process import CometProcess
from abci_app.node.config import ConfigError, NodeSettings, load_settings, split_address
from abci_app.node.grpc_server import GrpcServer
from abci_app.node.home import Ports, abci_address
from abci_app.node.logs import configure_logging
from abci_app.node.metrics import Exporter, Metrics
from abci_app.node.observer import Observer
from abci_app.node.rest import RestServer
from abci_app.node.server import Server
from abci_app.node.services import Services
from abci_app.node.snapshots import SnapshotMetrics, Snapshots
from abci_app.node.verifier import Verifier

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.2
LISTEN_SECONDS: Final = 10.0


def run_chain(
    settings: NodeSettings, *, with_comet: bool = False, stop: threading.Event | None = None
) -> int:
    """Runs a node until SIGTERM, SIGINT or `stop`; returns 0 when it was asked to stop, 1 after a failure.

    Raises ConfigError, with all that is to be done about it, where it cannot start.
    """
    stop = stop or threading.Event()
    if not settings.genesis_file.exists():
        raise ConfigError(f"there is no chain in {settings.home}: {settings.genesis_file} is missing")
    with ExitStack() as stack:
        server = _open(settings, stack)
        stack.enter_context(_signals(stop))
        return _serve(settings, server, stop, with_comet=with_comet)


def _open(settings: NodeSettings, stack: ExitStack) -> Server:
    """Everything but CometBFT, started; what `stack` closes in reverse order."""
    metrics = Metrics()
    observer = Observer(metrics.registry, settings.metrics_participants_max)
    store = stack.enter_context(_store(settings))
    stack.callback(observer.close)
    verifier = Verifier(settings.verify_threads or None)
    stack.callback(verifier.close)
    snapshots = _snapshots(settings, metrics)
    stack.callback(snapshots.close)

    def on_commit(committed: App, report: BlockReport) -> None:
        observer.on_commit(committed, report)
        snapshots.on_commit(committed.store)

    app = App(
        store,
        verify_all=verifier.verify,
        on_bug=observer.on_bug,
        on_commit=on_commit,
        around_step=observer.around_step,
        retain_heights=settings.retain_heights,
    )
    snapshots.serve(app)
    comet = CometRpc(settings.rpc_url)
    stack.callback(comet.close)
    services = Services(app, comet, on_bug=observer.on_bug)
    _start_fronts(settings, services, metrics, stack)
    # What lives from now on as long as the process is no business of the collector.
    gc.freeze()
    address = settings.abci_address or abci_address(settings.home, Ports())
    return Server(app, address, metrics=metrics, snapshots=snapshots)


def _snapshots(settings: NodeSettings, metrics: Metrics) -> Snapshots:
    return Snapshots(
        settings.snapshots_dir,
        interval=settings.snapshot_interval,
        keep_recent=settings.snapshot_keep_recent,
        chunk_bytes=settings.snapshot_chunk_kib << 10,
        on_taken=SnapshotMetrics(metrics.registry).show,
    )


def _store(settings: NodeSettings) -> DiskStore:
    settings.store_dir.mkdir(parents=True, exist_ok=True)
    try:
        return DiskStore(settings.store_dir, STORES)
    except StoreLocked as error:
        raise ConfigError(f"another process has the store open: {settings.store_dir}") from error
    except StoreCorrupt as error:
        raise ConfigError(
            f"the store is damaged: {settings.store_dir}: {error}; remove it to replay the chain's blocks"
        ) from error


def _start_fronts(settings: NodeSettings, services: Services, metrics: Metrics, stack: ExitStack) -> None:
    fronts: list[tuple[str, str, Callable[[str, int], Any]]] = [
        ("grpc", settings.grpc_address, lambda host, port: GrpcServer(services, host, port)),
        (
            "rest",
            settings.rest_address,
            lambda host, port: RestServer(services, host, port, cors_origins=settings.cors_origins),
        ),
        ("metrics", settings.metrics_address, lambda host, port: Exporter(metrics, host, port)),
    ]
    wrong = []
    for name, text, make in fronts:
        if not text:
            continue
        try:
            front = make(*split_address(text))
            if name != "metrics":
                front.start()
        except OSError as error:
            wrong.append(f"{name}_address {text}: {error}")
            continue
        stack.callback(front.stop)
        log.info("listening", server=name, address=f"{split_address(text)[0]}:{front.port}")
    if wrong:
        raise ConfigError("; ".join(wrong))


def _serve(settings: NodeSettings, server: Server, stop: threading.Event, *, with_comet: bool) -> int:
    outcome: list[int | BaseException] = []

    def run() -> None:
        try:
            outcome.append(server.run())
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
            outcome.append(error)

    thread = threading.Thread(target=run, name="abci")
    thread.start()
    while thread.is_alive() and not server.listening.wait(POLL_SECONDS):
        pass
    comet = None
    try:
        if with_comet and thread.is_alive():
            comet = CometProcess(settings.home)
        failed = _wait(thread, comet, stop)
    finally:
        # CometBFT first: it would take a closed socket for a failure.
        if comet is not None:
            comet.stop()
        server.stop()
        thread.join()
    if outcome and isinstance(outcome[0], BaseException):
        if isinstance(outcome[0], OSError):
            raise ConfigError(f"abci_address {server.address}: {outcome[0]}") from outcome[0]
        raise outcome[0]
    return 1 if failed or outcome != [0] else 0


def _wait(thread: threading.Thread, comet: CometProcess | None, stop: threading.Event) -> bool:
    """Until something ends; whether that was a failure."""
    while not stop.wait(POLL_SECONDS):
        if not thread.is_alive():
            return True
        if comet is not None and (code := comet.exit_code()) is not None:
            # It also ends with 0 when it loses the application or halts: never a reason to go on.
            log.error("CometBFT ended by itself", exit_code=code)
            return True
    log.info("stopping")
    return False


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`, as long as this lasts, where the caller is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    former = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the node of a home; the exit code says how it ended."""
    parser = argparse.ArgumentParser(prog="python -m abci_app.node.main", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--with-comet", action="store_true", help="start and stop CometBFT too")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(given.home)
        configure_logging(settings.log_level, settings.log_format)
        return run_chain(settings, with_comet=given.with_comet)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
