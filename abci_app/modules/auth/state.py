"""What auth keeps."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, Item, KeySet, Map, Sequence
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
from protocol.gen.evergrid.auth.v1 import auth_pb2 as evergrid_auth

PARAMS: Item[auth_pb2.Params] = Item("auth/params", auth_pb2.Params)
FEES: Item[evergrid_auth.FeeParams] = Item("auth/fees", evergrid_auth.FeeParams)
ACCOUNT_NUMBER = Sequence("auth/account_number")
# Every account by its address.
ACCOUNTS: Map[str, auth_pb2.BaseAccount] = Map("auth/accounts", STR, auth_pb2.BaseAccount)
# What makes some of them module accounts: name and permissions, by address; base_account stays empty here.
MODULE_ACCOUNTS: Map[str, auth_pb2.ModuleAccount] = Map("auth/modules", STR, auth_pb2.ModuleAccount)
# (timeout in nanoseconds since 1970, signer) of unordered transactions whose time is not past.
UNORDERED: KeySet[tuple[int, str]] = KeySet("auth/unordered", (U64, STR))
