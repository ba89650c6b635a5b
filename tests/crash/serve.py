"""The chain's process with a death built in: `CRASH_AT=POINT@HEIGHT` in the environment ends it right there.

Points, in the order of a block: before_finalize, after_finalize, before_write, after_write, before_reply.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

from abci_app.app import App
from abci_app.kernel import disk, store
from abci_app.node import main as node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.kernel.backend import Write
    from protocol.gen.tendermint.abci import types_pb2 as abci

POINTS = ("before_finalize", "after_finalize", "before_write", "after_write", "before_reply")
EXIT_CODE = 86

_point, _, _height = os.environ.get("CRASH_AT", "@0").partition("@")
_now = 0


def passing(point: str) -> None:
    """Ends the process without any goodbye where this is the point of this height."""
    if point == _point and _now == int(_height):
        os._exit(EXIT_CODE)


class DyingBackend(disk.DiskBackend):
    """The disk, with a death on each side of a block's batch."""

    def write(self, writes: Iterable[Write], *, sync: bool) -> None:
        """The batch is synced; what is written otherwise is no block."""
        if sync:
            passing("before_write")
        super().write(writes, sync=sync)
        if sync:
            passing("after_write")


class DyingApp(App):
    """The application, with a death on each side of FinalizeBlock, and behind Commit."""

    def finalize_block(self, req: abci.RequestFinalizeBlock) -> bytes:
        """Executes the block unless it is to die before."""
        global _now  # noqa: PLW0603 - the backend knows no height
        _now = req.height
        passing("before_finalize")
        answer = super().finalize_block(req)
        passing("after_finalize")
        return answer

    def commit(self) -> abci.ResponseCommit:
        """Commits; nobody may ever hear of it."""
        answer = super().commit()
        passing("before_reply")
        return answer


if __name__ == "__main__":
    with patch.object(store, "DiskBackend", DyingBackend), patch.object(node, "App", DyingApp):
        sys.exit(node.main())
