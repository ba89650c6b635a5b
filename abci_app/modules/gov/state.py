"""What gov keeps."""

from __future__ import annotations

from abci_app.kernel.collections import STR, U64, Item, KeySet, Map, Sequence
from protocol.gen.cosmos.gov.v1 import gov_pb2

PARAMS: Item[gov_pb2.Params] = Item("gov/params", gov_pb2.Params)
CONSTITUTION: Item[str] = Item("gov/constitution", str)
PROPOSAL_ID = Sequence("gov/proposal_id", first=1)
PROPOSALS: Map[int, gov_pb2.Proposal] = Map("gov/proposals", U64, gov_pb2.Proposal)
DEPOSITS: Map[tuple[int, str], gov_pb2.Deposit] = Map("gov/deposits", (U64, STR), gov_pb2.Deposit)
VOTES: Map[tuple[int, str], gov_pb2.Vote] = Map("gov/votes", (U64, STR), gov_pb2.Vote)
# (nanoseconds since 1970, proposal): when the period of deposits, or of voting, ends.
DEPOSIT_ENDS: KeySet[tuple[int, int]] = KeySet("gov/deposit_ends", (U64, U64))
VOTING_ENDS: KeySet[tuple[int, int]] = KeySet("gov/voting_ends", (U64, U64))
