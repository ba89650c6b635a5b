"""epochs: records, groups, per-model subgroups, and the validators that follow (protocol, 2, 5 and 9)."""

from __future__ import annotations

from abci_app.kernel.module import Module
from abci_app.modules.epochs import handlers, profiles, queries
from abci_app.modules.epochs.building import (
    add_members,
    begin_formation,
    clear_members,
    clear_poc_slots,
    end_formation,
    form_upcoming_group,
    formation,
    leave_formation,
    set_powers,
    sweep_unserved,
    write_heads,
)
from abci_app.modules.epochs.explain import explain_validator, places_of
from abci_app.modules.epochs.formation import node_throughput
from abci_app.modules.epochs.genesis import export_genesis, init_genesis, validate_genesis
from abci_app.modules.epochs.groups import (
    dropped_record,
    effective_record,
    free_message,
    get_epoch_model,
    group,
    is_only_voter,
    is_published,
    member,
    members,
    members_at_formation,
    oldest_retained,
    params,
    record,
    record_of_poc,
    set_group,
    set_member,
    state,
    subgroups,
    upcoming_record,
    voting_power,
    voting_powers,
)
from abci_app.modules.epochs.keys import prune_given_up_keys
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.epochs.rules import STAGES, StageHeights, params_errors, power_cap, stage_heights
from abci_app.modules.epochs.slots import serving_nodes, slot_in_force, slots_in_force
from abci_app.modules.epochs.steps import (
    extend_epoch,
    extension_reason,
    mark_stage_done,
    open_poc,
    prune,
    publish_group,
    set_validation_seed,
    set_voters,
    switch_epoch,
    write_record,
)
from abci_app.modules.epochs.validators import (
    adopt_validators,
    decide_guardians,
    invalidate,
    prune_guardians,
    take_validator_updates,
)
from protocol.gen.evergrid.epochs.v1.epochs_pb2 import GenesisState

MODULE = Module("epochs", GenesisState, init_genesis, export_genesis, validate_genesis)

__all__ = [
    "MODULE",
    "STAGES",
    "StageHeights",
    "add_members",
    "adopt_validators",
    "begin_formation",
    "clear_members",
    "clear_poc_slots",
    "decide_guardians",
    "default_params",
    "dropped_record",
    "effective_record",
    "end_formation",
    "explain_validator",
    "extend_epoch",
    "extension_reason",
    "form_upcoming_group",
    "formation",
    "free_message",
    "get_epoch_model",
    "group",
    "handlers",
    "invalidate",
    "is_only_voter",
    "is_published",
    "leave_formation",
    "mark_stage_done",
    "member",
    "members",
    "members_at_formation",
    "node_throughput",
    "oldest_retained",
    "open_poc",
    "params",
    "params_errors",
    "places_of",
    "power_cap",
    "profiles",
    "prune",
    "prune_given_up_keys",
    "prune_guardians",
    "publish_group",
    "queries",
    "record",
    "record_of_poc",
    "serving_nodes",
    "set_group",
    "set_member",
    "set_powers",
    "set_validation_seed",
    "set_voters",
    "slot_in_force",
    "slots_in_force",
    "stage_heights",
    "state",
    "subgroups",
    "sweep_unserved",
    "switch_epoch",
    "take_validator_updates",
    "upcoming_record",
    "voting_power",
    "voting_powers",
    "write_heads",
    "write_record",
]
