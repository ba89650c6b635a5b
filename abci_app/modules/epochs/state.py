"""Records, groups and members by epoch; the validators last given; messages without a fee."""

from __future__ import annotations

from abci_app.kernel.collections import BYTES, STR, U64, Item, Map
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import (
    EpochGroup,
    EpochRecord,
    EpochState,
    Formation,
    ValidationWeight,
)
from protocol.gen.evergrid.epochs.v1.params_pb2 import Params

PARAMS: Item[Params] = Item("epochs/params", Params)
STATE: Item[EpochState] = Item("epochs/state", EpochState)

RECORDS: Map[int, EpochRecord] = Map("epochs/records", U64, EpochRecord)

# The record that the last extension dropped.
DROPPED: Item[EpochRecord] = Item("epochs/dropped", EpochRecord)

# By epoch and model; the parent group stands under the empty model id.
GROUPS: Map[tuple[int, str], EpochGroup] = Map("epochs/groups", (U64, STR), EpochGroup)

# By epoch, model and member.
MEMBERS: Map[tuple[int, str, str], ValidationWeight] = Map(
    "epochs/members", (U64, STR, STR), ValidationWeight
)

# The power last given to CometBFT, by consensus key (32 bytes, so the order is the keys' own).
VALIDATORS: Map[bytes, int] = Map("epochs/validators", BYTES, int)

# Set from what changes the validators until the end of the block: CHANGED, or ALL where CometBFT is to be
# given the whole set.
VALIDATORS_DUE: Item[int] = Item("epochs/validators_due", int)
CHANGED, ALL = 1, 2

# By effective epoch and participant.
FREE_MESSAGES: Map[tuple[int, str], int] = Map("epochs/free_messages", (U64, STR), int)

# Only between two blocks that form a group: where the next one goes on.
FORMATION: Item[Formation] = Item("epochs/formation", Formation)
# By model and address: members of the effective group as they stood when the formation began, of those
# that changed since.
MEMBERS_KEPT: Map[tuple[str, str], ValidationWeight] = Map(
    "epochs/members_kept", (STR, STR), ValidationWeight
)
