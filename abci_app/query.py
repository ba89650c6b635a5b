"""Answers queries: one way for ABCI, gRPC and REST, from committed state, by the gRPC path of the method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

import abci_app.explain
import abci_app.module_versions
import abci_app.participants
import abci_app.staking  # noqa: F401 - registers what it answers
from abci_app.kernel.block import INTERNAL_CODE, INTERNAL_CODESPACE, INTERNAL_LOG
from abci_app.kernel.errors import QueryError, invalid_argument
from abci_app.kernel.module import QUERIES
from abci_app.kernel.store import HeightNotRetained, ProofUnavailable
from abci_app.modules import auth
from protocol.gen.cosmos.base.abci.v1beta1 import abci_pb2 as sdk_abci
from protocol.gen.cosmos.base.node.v1beta1 import query_pb2 as node_pb2
from protocol.gen.cosmos.consensus.v1 import query_pb2 as consensus_pb2
from protocol.gen.cosmos.tx.v1beta1 import service_pb2, tx_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.gen.tendermint.crypto import proof_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.app import App
    from abci_app.kernel.block import TxResult
    from abci_app.kernel.context import Context

# The status of gRPC, the code of codespace `sdk` that ABCI carries for it, and the text that belongs to the
# code.
ABCI_CODES = {
    "NotFound": (22, "key not found"),
    "InvalidArgument": (18, "invalid request"),
    "FailedPrecondition": (18, "invalid request"),
    "Unauthenticated": (4, "unauthorized"),
}
ABCI_CODE_ELSE = (6, "unknown request")
CODE_UNKNOWN_REQUEST = 6
STORE_PATH_PARTS = 3

SIMULATE_PATH = "/cosmos.tx.v1beta1.Service/Simulate"
CONSENSUS_PARAMS_PATH = "/cosmos.consensus.v1.Query/Params"
NODE_CONFIG_PATH = "/cosmos.base.node.v1beta1.Service/Config"
OWN_PATHS = frozenset({SIMULATE_PATH, CONSENSUS_PARAMS_PATH, NODE_CONFIG_PATH})


class QueryRouter:
    """Finds and asks the function that answers a path."""

    def __init__(self, app: App) -> None:
        self._app = app

    def knows(self, path: str) -> bool:
        """Whether a path is answered here."""
        return path in QUERIES or path in OWN_PATHS

    def answer(self, path: str, data: bytes, height: int = 0) -> tuple[Message, int]:
        """The answer and the height that it holds for; raises QueryError with the reason for none."""
        try:
            return self._answer(path, data, height)
        except QueryError:
            raise
        except HeightNotRetained as error:
            raise invalid_argument(str(error)) from error
        except DecodeError as error:
            raise invalid_argument("the request does not decode") from error
        except Exception as bug:
            # An exception on any ABCI connection would make CometBFT quit.
            self._app.on_bug(path, bug)
            raise QueryError("Internal", INTERNAL_LOG) from bug

    def _answer(self, path: str, data: bytes, height: int) -> tuple[Message, int]:
        ctx = self._app.context_at(height)
        if path == SIMULATE_PATH:
            return self._simulate(data), ctx.height
        if path == CONSENSUS_PARAMS_PATH:
            params = self._app.consensus_params(ctx)
            return consensus_pb2.QueryParamsResponse(params=params), ctx.height
        if path == NODE_CONFIG_PATH:
            return self._node_config(ctx), ctx.height
        query = QUERIES.get(path)
        if query is None:
            raise QueryError("Unimplemented", f"unknown query path {path}")
        return query.answer(ctx, query.route.request.FromString(data)), ctx.height

    def abci_query(self, req: abci.RequestQuery) -> abci.ResponseQuery:
        """The answer as ABCI carries it; never raises for what a caller can ask."""
        parts = req.path.strip("/").split("/")
        if len(parts) == STORE_PATH_PARTS and parts[0] == "store" and parts[2] == "key":
            return self._store(parts[1], req)
        if not self.knows(req.path):
            return abci.ResponseQuery(
                code=CODE_UNKNOWN_REQUEST, codespace="sdk", log="unknown query path: unknown request"
            )
        try:
            message, height = self.answer(req.path, req.data, req.height)
        except QueryError as error:
            if error.status == "Internal":
                return abci.ResponseQuery(code=INTERNAL_CODE, codespace=INTERNAL_CODESPACE, log=INTERNAL_LOG)
            code, text = ABCI_CODES.get(error.status, ABCI_CODE_ELSE)
            log = f"rpc error: code = {error.status} desc = {error}: {text}"
            return abci.ResponseQuery(code=code, codespace="sdk", log=log, height=self._app.store.version)
        return abci.ResponseQuery(value=message.SerializeToString(), height=height)

    def _store(self, name: str, req: abci.RequestQuery) -> abci.ResponseQuery:
        store = self._app.store
        height = req.height or store.version
        key = name.encode() + b"/" + req.data
        try:
            with store.at(height) as view:
                value = view.get(key)
            ops = store.prove(height, key) if req.prove else []
        except (HeightNotRetained, ProofUnavailable) as error:
            return abci.ResponseQuery(
                code=18, codespace="sdk", log=f"{error}: invalid request", height=height
            )
        proof = proof_pb2.ProofOps(
            ops=[proof_pb2.ProofOp(type=op.type, key=op.key, data=op.data) for op in ops]
        )
        return abci.ResponseQuery(
            key=req.data, value=value or b"", height=height, proof_ops=proof if ops else None
        )

    def _node_config(self, ctx: Context) -> node_pb2.ConfigResponse:
        fees = auth.fee_params(ctx)
        whole, millionths = divmod(fees.minimum_gas_price_micro, 10**6)
        fraction = f".{millionths:06d}".rstrip("0") if millionths else ""
        return node_pb2.ConfigResponse(
            minimum_gas_price=f"{whole}{fraction}{fees.denom}",
            pruning_keep_recent=str(self._app.retain_heights),
        )

    def _simulate(self, data: bytes) -> service_pb2.SimulateResponse:
        request = service_pb2.SimulateRequest.FromString(data)
        raw = request.tx_bytes
        if not raw and request.HasField("tx"):
            raw = tx_pb2.TxRaw(
                body_bytes=request.tx.body.SerializeToString(deterministic=True),
                auth_info_bytes=request.tx.auth_info.SerializeToString(deterministic=True),
                signatures=request.tx.signatures,
            ).SerializeToString(deterministic=True)
        if not raw:
            raise invalid_argument("empty txBytes is not allowed")
        result = self._app.simulate(raw)
        if result.code:
            raise QueryError("Unknown", f"{result.log} with gas used: '{result.gas_used}'")
        return service_pb2.SimulateResponse(
            gas_info=sdk_abci.GasInfo(gas_wanted=result.gas_wanted, gas_used=result.gas_used),
            result=_result(result),
        )


def _result(result: TxResult) -> sdk_abci.Result:
    out = sdk_abci.Result(data=result.data, log=result.log, msg_responses=result.msg_responses)
    for event in result.events:
        entry = out.events.add(type=event.type)
        for key, value in event.attributes:
            entry.attributes.add(key=key, value=value, index=True)
    return out
