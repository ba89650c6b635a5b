"""Acts of a wild life that have to do with coins, grants and votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abci_app.kernel.module import MESSAGES
from abci_app.modules import epochs
from abci_app.modules.gov import state as gov_state
from client.tx import pack
from protocol.descriptors import set_signer
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2
from protocol.gen.cosmos.authz.v1beta1 import tx_pb2 as authz_tx
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.cosmos.upgrade.v1beta1 import tx_pb2 as upgrade_tx
from protocol.gen.evergrid.collateral.v1 import collateral_pb2
from protocol.gen.evergrid.epochs.v1 import epochs_pb2, params_pb2
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.models.v1 import models_pb2
from tests.chain import DENOM, GENESIS_TIME_S, GOV, a_model, key_of
from tests.simulation.driver import CLIENTS, MODELS, NAMES
from tests.simulation.wild_work import CAST, TINY, Act, WorkLife

if TYPE_CHECKING:
    from google.protobuf.message import Message

WARM = "wim"
TYPES = (
    "/cosmos.bank.v1beta1.MsgSend",
    "/evergrid.hardware.v1.MsgSubmitHardwareDiff",
    "/evergrid.poc.v1.MsgSubmitPocBatch",
    "/evergrid.inference.v1.MsgFinishInference",
)
STATUSES = (gov_pb2.PROPOSAL_STATUS_DEPOSIT_PERIOD, gov_pb2.PROPOSAL_STATUS_VOTING_PERIOD)
FAR = 10**9
LIKED = {
    3: gov_pb2.VOTE_OPTION_NO,
    5: gov_pb2.VOTE_OPTION_ABSTAIN,
    8: gov_pb2.VOTE_OPTION_NO_WITH_VETO,
}
TEXTS = ("", "n1", "m/small", "nevg", "1", "-1", "9" * 40, "é", "a\0b", "evergrid1", "0.5")


@dataclass
class PowerLife(WorkLife):
    """`proposals` of such a life change every params message, in ways that leave epochs alive."""

    # coins and grants

    def send(self) -> Act:
        """Coins, more than there are at times, in a coin that is none, to nowhere, to a module."""
        name = self.random.choice((*CLIENTS, "pip"))
        coins = [Coin(denom=DENOM, amount=str(self.random.choice((1, 10**6, 10**30))))]
        target = key_of(self.random.choice(CAST)).address
        if self.odd():
            coins = self.random.choice(([], [Coin(denom="!", amount="1")], [Coin(denom=DENOM, amount="-1")]))
        if self.odd():
            target = self.random.choice(("evergrid1nobody", "", GOV))
        return name, MsgSend(from_address=key_of(name).address, to_address=target, amount=coins)

    def grant(self) -> Act:
        """A grant to the warm key, or one that cannot be."""
        name = self.random.choice(NAMES)
        kind = self.random.choice(TYPES)
        if self.odd():
            kind = self.random.choice(("/nothing", "/cosmos.authz.v1beta1.MsgExec"))
        packed = pack(authz_pb2.GenericAuthorization(msg=kind))
        if self.odd():
            packed.type_url = "/cosmos.bank.v1beta1.SendAuthorization"
        given = authz_pb2.Grant(authorization=packed)
        if self.random.random() < 0.5:
            given.expiration.seconds = GENESIS_TIME_S + self.chain.height + self.random.randint(-2, 20)
        grantee = self.random.choice((WARM, WARM, WARM, WARM, name))
        message = authz_tx.MsgGrant(
            granter=key_of(name).address, grantee=key_of(grantee).address, grant=given
        )
        if self.odd() and self.odd():
            message.grantee = "nobody"
        return name, message

    def revoke(self) -> Act:
        """A grant goes, if it was there."""
        name = self.random.choice(NAMES)
        return name, authz_tx.MsgRevoke(
            granter=key_of(name).address,
            grantee=key_of(WARM).address,
            msg_type_url=self.random.choice((*TYPES, "a\0b")),
        )

    def execute(self) -> Act:
        """The warm key acts for a cold one, within its grant or not."""
        name = self.random.choice(NAMES)
        inner: list[Message] = [
            MsgSend(
                from_address=key_of(name).address,
                to_address=key_of("eve").address,
                amount=[Coin(denom=DENOM, amount="1")],
            )
        ]
        record = epochs.upcoming_record(self.chain.context())
        if record is not None and record.poc_seed:
            inner.append(self.batch(name, record))
        inner.append(self.hardware()[1])
        message = authz_tx.MsgExec(grantee=key_of(WARM).address, msgs=[pack(self.random.choice(inner))])
        if self.odd():
            message.msgs.append(self.random.choice((pack(message), pack(MsgSend()))))
        if self.odd() and self.odd():
            del message.msgs[:]
        return WARM, message

    def collateral(self) -> Act:
        """Coins that stand behind weight come, go, or are not there."""
        name = self.random.choice((*NAMES, *NAMES, "eve"))
        amount = Coin(denom="other" if self.odd() else DENOM, amount=self.random.choice(("100", "5000", "5")))
        if self.odd():
            amount.amount = self.random.choice(("", "-1", "9" * 30))
        kind = self.random.choice((collateral_pb2.MsgDepositCollateral, collateral_pb2.MsgWithdrawCollateral))
        return name, kind(creator=key_of(name).address, amount=amount)

    # votes

    def propose(self) -> Act:
        """A proposal of one to three messages of governance, its deposit whole or in part, or malformed."""
        name = self.random.choice(NAMES)
        messages = [self.of_governance() for _ in range(self.random.choice((1, 1, 2)))]
        message = gov_tx.MsgSubmitProposal(
            messages=[pack(each) for each in messages],
            initial_deposit=[
                Coin(denom=DENOM, amount=self.random.choice(("10000000", "10000000", "1000000")))
            ],
            proposer=key_of(name).address,
            title="t",
            summary="s",
            expedited=self.random.random() < 0.15,
        )
        if self.odd():
            spend = MsgSend(from_address=GOV, to_address=key_of("eve").address)
            spend.amount.add(denom=DENOM, amount="10000000")
            message.messages.append(pack(spend))
        if message.expedited:
            message.initial_deposit[0].amount = "50000000"
        if self.odd():
            self._spoil_proposal(message)
        return name, message

    def of_governance(self) -> Message:
        """A message that the gov account alone may send."""
        makers = (self.new_params, self.retire, self.register, self.plan, self.limits, self.laws)
        return self.random.choice((*makers, self.new_params))()

    def usurp(self) -> Act:
        """Somebody sends what governance alone may."""
        name, message = self.random.choice(CAST), self.of_governance()
        message.authority = key_of(name).address  # type: ignore[attr-defined]
        return name, message

    def blind(self) -> Act:
        """Any message that the chain routes, filled with whatever comes to hand."""
        name = self.random.choice((*CAST, *CLIENTS))
        route = MESSAGES[self.random.choice(sorted(MESSAGES))]
        message = route.message()
        self._fill(message)
        set_signer(message, key_of(name).address)
        return name, message

    def _fill(self, message: Message, depth: int = 0) -> None:
        fields: Any = message.DESCRIPTOR.fields
        for each in fields:
            if self.random.random() < 0.3:
                continue
            many = each.label == each.LABEL_REPEATED
            if each.cpp_type == each.CPPTYPE_MESSAGE:
                if depth < 3:
                    value = getattr(message, each.name)
                    self._fill(value.add() if many else value, depth + 1)
                    continue
            elif many:
                getattr(message, each.name).append(self._value(each))
            else:
                setattr(message, each.name, self._value(each))

    def _value(self, each: Any) -> Any:
        if each.type == each.TYPE_BYTES:
            return self.random.randbytes(self.random.choice((0, 1, 20, 32, 33)))
        if each.cpp_type == each.CPPTYPE_STRING:
            return self.random.choice((*TEXTS, key_of(self.random.choice(CAST)).address))
        if each.cpp_type in {each.CPPTYPE_BOOL, each.CPPTYPE_ENUM}:
            return self.random.choice((0, 1))
        signed = each.cpp_type in {each.CPPTYPE_INT32, each.CPPTYPE_INT64}
        wide = each.cpp_type in {each.CPPTYPE_INT64, each.CPPTYPE_UINT64}
        top = 2 ** ((64 if wide else 32) - signed) - 1
        return self.random.choice((0, 1, 2, top, self.chain.height, -1 if signed else 3))

    def _spoil_proposal(self, message: gov_tx.MsgSubmitProposal) -> None:
        fault = self.random.randrange(8)
        if fault == 0:
            del message.messages[:]
        elif fault == 1:
            message.metadata = "m" * 256
        elif fault == 2:
            message.summary = "s" * 10_201
        elif fault == 3:
            message.initial_deposit[0].denom = "other"
        elif fault == 4:
            message.messages.add(type_url="/no.Message")
        elif fault == 5:
            message.messages.append(pack(self.send()[1]))
        elif fault == 6:
            message.initial_deposit[0].amount = "1"
        else:
            message.title = ""

    def new_params(self) -> Message:
        """Other numbers that keep the epochs short, at times ones that cannot work."""
        params = params_pb2.Params()
        params.CopyFrom(epochs.params(self.chain.context()))
        modes = (params_pb2.COVERAGE_BONUS_MODE_ADDITIONAL, params_pb2.COVERAGE_BONUS_MODE_SHARED)
        choices: dict[tuple[str, str], tuple[Any, ...]] = {
            ("rewards", "coverage_bonus_mode"): modes,
            ("rewards", "miss_tolerance_bps"): (0, 1_000, 10_000),
            ("poc", "inline_batches"): (True, True, False),
            ("poc", "committed_batches"): (True,),
            ("poc", "validation_slots"): (0, 2, 8),
            ("poc", "acceptance_bps"): (10_000, 5_000),
            ("poc", "max_nonces_per_batch"): (30, 100_000),
            ("epoch", "max_extensions"): (0, 1, 2),
            ("uptime", "max_consecutive_preserved_epochs"): (1, 3),
            ("uptime", "voting_guard_bps"): (0, 3_333, 10_000),
            ("uptime", "poc_slot_fraction_bps"): (5_000, 9_000),
            ("uptime", "serve_during_validation"): (True, False),
            ("guardians", "multiplier_bps"): (0, 2_000, 9_000),
            ("guardians", "maturity_weight"): (10**6, 300),
        }
        for _ in range(self.random.randint(1, 4)):
            (group, name), values = self.random.choice(list(choices.items()))
            setattr(getattr(params, group), name, self.random.choice(values))
        params.epoch.poc_stage_duration = self.random.choice((4, 5, 6))
        if self.odd():
            params.epoch.epoch_length = self.random.choice((0, 5, 2**62))
        return epochs_pb2.MsgUpdateParams(authority=GOV, params=params)

    def retire(self) -> Message:
        """A model goes, if it is not the last."""
        return models_pb2.MsgRetireModel(
            authority=GOV, model_id=self.random.choice((TINY, "m/new", "m/none"))
        )

    def register(self) -> Message:
        """A model comes, or changes what it can carry."""
        model = a_model(
            self.random.choice((*MODELS, TINY, "m/new")), self.random.choice((1, 10**6, 4 * 10**7))
        )
        if self.odd():
            model.v_ram, model.throughput_per_nonce = 0, 0
        return models_pb2.MsgRegisterModel(authority=GOV, model=model)

    def plan(self) -> Message:
        """An upgrade far ahead, or none any more."""
        if self.random.random() < 0.4:
            return upgrade_tx.MsgCancelUpgrade(authority=GOV)
        message = upgrade_tx.MsgSoftwareUpgrade(authority=GOV)
        message.plan.name, message.plan.height = "next", 1 if self.odd() else FAR
        return message

    def limits(self) -> Message:
        """Limits of hardware."""
        params = hardware_pb2.Params(
            max_nodes_per_participant=self.random.choice((0, 2, 1000)),
            evidence_age=self.random.choice((1, 50)),
        )
        return hardware_pb2.MsgUpdateParams(authority=GOV, params=params)

    def laws(self) -> Message:
        """Params of governance itself."""
        message = gov_tx.MsgUpdateParams(authority=GOV)
        params = gov_state.PARAMS.require(self.chain.context())
        message.params.CopyFrom(params)
        message.params.burn_vote_quorum = self.random.random() < 0.5
        message.params.burn_proposal_deposit_prevote = self.random.random() < 0.5
        if self.odd():
            message.params.threshold = "2.0"
        return message

    def deposit(self) -> Act:
        """More for a proposal that waits for it, or for any."""
        name = self.random.choice((*NAMES, *CLIENTS))
        coin = Coin(denom="other" if self.odd() else DENOM, amount=self.random.choice(("1", "9000000")))
        return name, gov_tx.MsgDeposit(
            proposal_id=self.proposal(), depositor=key_of(name).address, amount=[] if self.odd() else [coin]
        )

    def proposal(self) -> int:
        """The id of one of the last proposals, an open one where there is one, or of none."""
        ctx = self.chain.context()
        last = gov_state.PROPOSAL_ID.peek(ctx) - 1
        found = [
            number
            for number in range(max(1, last - 6), last + 1)
            if (known := gov_state.PROPOSALS.get(ctx, number)) is not None and known.status in STATUSES
        ]
        return self.random.choice(found) if found and not self.odd() else self.random.randint(1, last + 2)

    def votes(self) -> list[Act]:
        """Votes on one proposal, whole or in parts."""
        number = self.proposal()
        return [self.vote(name, number) for name in CAST if self.random.random() < 0.4]

    def vote(self, name: str, number: int) -> Act:
        """One vote, which is what the proposal's number says: most numbers are liked."""
        voter, liked = key_of(name).address, LIKED.get(number % 12, gov_pb2.VOTE_OPTION_YES)
        if self.random.random() < 0.25:
            part = gov_pb2.WeightedVoteOption(option=liked, weight="0.5" if self.odd() else "1.0")
            options = [] if self.odd() else [part]
            return name, gov_tx.MsgVoteWeighted(proposal_id=number, voter=voter, options=options)
        vote = gov_tx.MsgVote(proposal_id=number, voter=voter, option=liked)
        if self.odd() and self.odd():
            vote.option, vote.metadata = self.random.choice(((9, ""), (1, "m" * 300)))  # type: ignore[assignment]
        return name, vote

    def cancel(self) -> Act:
        """A proposal is taken back, by its proposer or not."""
        number = self.proposal()
        known = gov_state.PROPOSALS.get(self.chain.context(), number)
        name = self.random.choice(NAMES)
        for each in NAMES:
            if known is not None and key_of(each).address == known.proposer and not self.odd():
                name = each
        return name, gov_tx.MsgCancelProposal(proposal_id=number, proposer=key_of(name).address)
