"""What authz keeps. An expired grant stays until it is pruned, and counts for nothing."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, KeySet, Map
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2

# (granter, grantee, type URL)
GRANTS: Map[tuple[str, str, str], authz_pb2.Grant] = Map("authz/grants", (STR, STR, STR), authz_pb2.Grant)
# (grantee, granter, type URL)
BY_GRANTEE: KeySet[tuple[str, str, str]] = KeySet("authz/by_grantee", (STR, STR, STR))
# (nanoseconds since 1970, granter, grantee, type URL) of grants that have an end.
EXPIRATIONS: KeySet[tuple[int, str, str, str]] = KeySet("authz/expirations", (U64, STR, STR, STR))
