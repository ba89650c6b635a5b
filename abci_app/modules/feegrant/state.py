"""What feegrant keeps. An allowance that has ended stays until it is pruned, and pays nothing."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, KeySet, Map
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2

# (grantee, granter)
ALLOWANCES: Map[tuple[str, str], feegrant_pb2.Grant] = Map(
    "feegrant/allowances", (STR, STR), feegrant_pb2.Grant
)
# (granter, grantee)
BY_GRANTER: KeySet[tuple[str, str]] = KeySet("feegrant/by_granter", (STR, STR))
# (nanoseconds since 1970, grantee, granter) of allowances that have an end.
EXPIRATIONS: KeySet[tuple[int, str, str]] = KeySet("feegrant/expirations", (U64, STR, STR))
