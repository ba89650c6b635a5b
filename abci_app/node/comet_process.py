"""CometBFT as a child of the chain's process."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import structlog

from abci_app.node.home import find_cometbft

log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 15.0


class CometProcess:
    """Runs until `stop`; whoever holds it asks `exit_code` now and then. It is never restarted."""

    def __init__(self, home: Path) -> None:
        # A session of its own: what the terminal sends to a group would stop it before the application knows.
        self._process = subprocess.Popen(  # noqa: S603
            [str(find_cometbft()), "start", "--home", str(home)], start_new_session=True
        )
        log.info("CometBFT started", pid=self._process.pid)

    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Asks it to end, and insists after a while."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("CometBFT does not end; it is killed", pid=self._process.pid)
            self._process.kill()
            self._process.wait()
