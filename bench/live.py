"""One validator as two processes, CometBFT and the chain, in a home; for benchmarks and crash tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from abci_app.node.genesis import make_genesis
from abci_app.node.home import Ports, abci_address, find_cometbft, init_home, override_toml, write_genesis
from client.chain import ChainClient, ChainError

ROOT: Final = Path(__file__).resolve().parents[1]
PROFILE: Final = "local"
WAIT_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
POWER_START: Final = 10

# Only ABCI is wanted here.
QUIET: Final = {
    "EVERGRID_CHAIN_GRPC_ADDRESS": "",
    "EVERGRID_CHAIN_REST_ADDRESS": "",
    "EVERGRID_CHAIN_METRICS_ADDRESS": "",
    "EVERGRID_CHAIN_LOG_LEVEL": "warning",
}


class ProcessEndedError(Exception):
    """A process that was needed has ended."""


class NotInTimeError(AssertionError):
    """What was waited for did not happen; the text ends with what the processes wrote last."""


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its own and the kernel's for it."""
    # After the name in parentheses, which may hold anything, utime and stime are the 12th and 13th fields.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class LiveNode:
    """A home with its processes; `chain` and `comet` are None before they were started."""

    home: Path
    chain_id: str
    chain: subprocess.Popen[bytes] | None = None
    comet: subprocess.Popen[bytes] | None = None

    def make(
        self,
        app_state: Callable[[bytes], Mapping[str, Any]],
        *,
        timeout_commit: str = "1s",
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        block: Mapping[str, str] | None = None,
    ) -> LiveNode:
        """Writes the home; `app_state` gets the node's validator key; `overrides` go into config.toml."""
        self.ports = Ports.free()
        info = init_home(self.home, self.chain_id, ports=self.ports, timeout_commit=timeout_commit)
        key = info.validator_key
        document = make_genesis(self.chain_id, PROFILE, app_state(key), [(key, POWER_START)])
        document["consensus_params"]["block"] |= dict(block or {})
        write_genesis(self.home, document)
        self.configure(overrides or {})
        self.client = ChainClient(f"http://127.0.0.1:{self.ports.rpc}")
        return self

    def configure(self, overrides: Mapping[str, Mapping[str, Any]]) -> None:
        """Puts values into config.toml, by section and key; CometBFT reads them when it starts."""
        config = self.home / "config" / "config.toml"
        config.write_text(override_toml(config.read_text(), overrides))

    @property
    def _socket(self) -> Path:
        return self.home / "abci.sock"

    def _listens(self) -> bool:
        assert self.chain is not None, "the chain was not started"
        # A home with a long path has a port instead, and no file to see.
        by_port = abci_address(self.home, self.ports).startswith("tcp")
        return by_port or self._socket.exists() or self.chain.poll() is not None

    @property
    def log(self) -> Path:
        """What both processes write."""
        return self.home / "node.log"

    def start_chain(self, module: str = "abci_app.node.main", **environment: str) -> None:
        """Starts the chain's process, or the given module in its place."""
        self._socket.unlink(missing_ok=True)
        self.chain = self._start([sys.executable, "-m", module, "--home", str(self.home)], environment)

    def start_comet(self, **environment: str) -> None:
        """Starts CometBFT."""
        # After a vain attempt to reach the application it would wait for seconds.
        self.wait("the application", self._listens)
        self.comet = self._start([str(find_cometbft()), "start", "--home", str(self.home)], environment)

    def start(self) -> None:
        """Starts whichever of the two does not run."""
        if self.chain is None or self.chain.poll() is not None:
            self.start_chain()
        if self.comet is None or self.comet.poll() is not None:
            self.start_comet()

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **QUIET, **environment}
            )

    def wait(self, what: str, happened: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Asks until it has happened; raises NotInTimeError."""
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-3000:]
                raise NotInTimeError(f"waited {seconds:g} s for {what}; the log ends with:\n{tail}")
            time.sleep(POLL_SECONDS)

    def wait_alive(self, what: str, happened: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """As `wait`, and raises ProcessEndedError at once where the chain or CometBFT has ended meanwhile."""

        def ended() -> list[str]:
            both = (("the chain", self.chain), ("CometBFT", self.comet))
            return [
                f"{name} ended with {p.poll()}" for name, p in both if p is not None and p.poll() is not None
            ]

        self.wait(what, lambda: happened() or bool(ended()), seconds)
        if problems := ended():
            tail = self.log.read_text(errors="replace")[-3000:]
            raise ProcessEndedError(
                f"{' and '.join(problems)}, so {what} never comes; the log ends with:\n{tail}"
            )

    def height(self) -> int:
        """The last committed height as the application knows it, 0 where nothing answers."""
        try:
            info = self.client.call({"jsonrpc": "2.0", "id": 1, "method": "abci_info", "params": {}})
        except ChainError:
            return 0
        return int(info["response"].get("last_block_height", 0))

    def answers(self) -> bool:
        """Whether the RPC answers, which it does once the application has caught up."""
        try:
            self.call("health")
        except ChainError:
            return False
        return True

    def wait_height(self, height: int, seconds: float = WAIT_SECONDS) -> int:
        """Waits until the application has committed the height; returns where it then is."""
        self.wait(f"height {height}", lambda: self.height() >= height, seconds)
        return self.height()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of CometBFT's RPC."""
        return self.client.call({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    def stop(self) -> None:
        """Asks CometBFT to end, then the chain, and waits for both; nothing happens where none runs."""
        for process in (self.comet, self.chain):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(WAIT_SECONDS)

    def kill(self) -> None:
        """Kills what runs, at once, as a power cut would."""
        for process in (self.comet, self.chain):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
