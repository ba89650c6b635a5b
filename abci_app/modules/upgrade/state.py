"""What upgrade keeps."""

from __future__ import annotations

from abci_app.kernel.collections import STR, Item, Map
from protocol.gen.cosmos.upgrade.v1beta1 import upgrade_pb2

PLAN: Item[upgrade_pb2.Plan] = Item("upgrade/plan", upgrade_pb2.Plan)
APPLIED: Map[str, int] = Map("upgrade/applied", STR, int)  # height by name
