"""A key-value chain as small as one can be, on the real server: what is measured with it is the server alone.

A transaction is `key=value`. State lives in memory, so a restarted one is replayed from the first block.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256

from abci_app.node.server import Server
from protocol.gen.tendermint.abci import types_pb2 as abci

CODE_NO_PAIR = 1


class KeyValueStore:
    """An application with nothing but state: no signatures, no fees, no events."""

    def __init__(self) -> None:
        self.height = 0
        self.committed: dict[bytes, bytes] = {}
        self.finalized: dict[bytes, bytes] = {}
        self.height_finalized = 0

    def info(self, req: abci.RequestInfo) -> abci.ResponseInfo:  # noqa: ARG002
        return abci.ResponseInfo(
            data="kvstore", last_block_height=self.height, last_block_app_hash=state_hash(self.committed)
        )

    def init_chain(self, req: abci.RequestInitChain) -> abci.ResponseInitChain:  # noqa: ARG002
        return abci.ResponseInitChain(app_hash=state_hash({}))

    def check_tx(self, tx: bytes, recheck: bool) -> bytes:  # noqa: ARG002, FBT001
        code = 0 if b"=" in tx else CODE_NO_PAIR
        return abci.ResponseCheckTx(code=code, gas_wanted=1).SerializeToString()

    def prepare_proposal(self, req: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        return abci.ResponsePrepareProposal(txs=req.txs)

    def process_proposal(self, req: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        accept = all(b"=" in tx for tx in req.txs)
        statuses = abci.ResponseProcessProposal
        return abci.ResponseProcessProposal(status=statuses.ACCEPT if accept else statuses.REJECT)

    def finalize_block(self, req: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock | bytes:
        self.finalized, self.height_finalized = dict(self.committed), req.height
        results = []
        for tx in req.txs:
            key, equals, value = tx.partition(b"=")
            if equals:
                self.finalized[key] = value
            results.append(abci.ExecTxResult(code=0 if equals else CODE_NO_PAIR))
        return abci.ResponseFinalizeBlock(tx_results=results, app_hash=state_hash(self.finalized))

    def commit(self) -> abci.ResponseCommit:
        self.committed, self.height = self.finalized, self.height_finalized
        return abci.ResponseCommit()

    def query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
        state = self.committed  # never changed once it is committed, only replaced
        value = state.get(req.data, b"")
        return abci.ResponseQuery(key=req.data, value=value, height=self.height)


def state_hash(state: dict[bytes, bytes]) -> bytes:
    """The sha256 of all pairs in order of their keys, each part with its length before it."""
    hashed = sha256()
    for key in sorted(state):
        for part in (key, state[key]):
            hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.digest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="unix://PATH or tcp://HOST:PORT")
    return Server(KeyValueStore(), parser.parse_args().address).run()


if __name__ == "__main__":
    sys.exit(main())
