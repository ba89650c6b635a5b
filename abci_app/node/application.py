"""What the ABCI server asks of the application that it drives."""

from __future__ import annotations

from typing import Protocol

from protocol.gen.tendermint.abci import types_pb2 as abci


class Application(Protocol):
    """A chain behind ABCI 2.0. All methods but `query` are called on one thread, one after another.

    An exception from `info`, `init_chain`, `finalize_block` or `commit` stops the process before it replies;
    one from any other method is a bug that the server answers for, counts and logs.
    """

    def info(self, req: abci.RequestInfo) -> abci.ResponseInfo:
        """The last committed height and app hash, and nothing of a block that was not committed."""
        ...

    def init_chain(self, req: abci.RequestInitChain) -> abci.ResponseInitChain: ...

    def check_tx(self, tx: bytes, recheck: bool) -> bytes:  # noqa: FBT001 - the wire's own flag
        """An encoded ResponseCheckTx."""
        ...

    def prepare_proposal(self, req: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal: ...

    def process_proposal(self, req: abci.RequestProcessProposal) -> abci.ResponseProcessProposal: ...

    def finalize_block(self, req: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock | bytes:
        """One result for each transaction, as a message or encoded; may be asked again after a crash."""
        ...

    def commit(self) -> abci.ResponseCommit:
        """Returns only when what the last `finalize_block` computed is on disk."""
        ...

    def query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
        """Called on other threads, also while a block executes: reads only what can no longer change."""
        ...
