"""Acts of a wild life that have to do with work: hardware, batches, verdicts, requests, maintenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abci_app.kernel.errors import QueryError
from abci_app.modules import epochs
from abci_app.modules.inference import state as inference_state
from protocol import possession
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.maintenance.v1 import maintenance_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.requests import request_digest
from tests.chain import key_of, validator_key_of, validator_of
from tests.simulation.driver import CLIENTS, HASH, MODELS, NAMES
from tests.simulation.hostile import HostileLife

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from protocol.gen.evergrid.epochs.v1 import epochs_pb2

NEWCOMERS = ("gus", "hal", "ida", "joe")
# Of the genesis, whose account key nobody knows on chain.
KEYLESS = "kim"
CAST = (*NAMES, *NEWCOMERS, KEYLESS)
TINY = "m/tiny"
Act = tuple[str, "Message"]


@dataclass
class WorkLife(HostileLife):
    """`spite` is the share of acts that are made to be refused."""

    spite: float = 0.1

    def odd(self) -> bool:
        """Whether this act is to be refused."""
        return self.random.random() < self.spite

    # hardware

    def join(self) -> Act:
        """A newcomer becomes a participant, at times in a way that is refused."""
        name = self.random.choice((*NEWCOMERS, KEYLESS))
        creator = key_of(name).address
        message = hardware_pb2.MsgSubmitNewParticipant(creator=creator, url=f"http://{name}.test")
        if name != KEYLESS and self.random.random() < 0.8:
            message.validator_key = validator_key_of(name)
            message.proof_of_possession = possession.sign(validator_of(name), self.chain.chain_id, creator)
        if self.odd():
            message.url = self.random.choice(("", "ftp://x", "http://" + "a" * 300))
            message.proof_of_possession = b"\1" * self.random.choice((1, 64))
        return name, message

    def hardware(self) -> Act:
        """Nodes that come, change their model, are turned off and on, or go."""
        name = self.random.choice(CAST)
        diff = hardware_pb2.MsgSubmitHardwareDiff(creator=key_of(name).address)
        chance = self.random.random()
        if chance < 0.2:
            diff.removed.append(self.random.choice(("n1", "n2", "n3")))
        if chance > 0.1:
            models = self.random.sample((*MODELS, TINY), self.random.randint(1, 2))
            node = diff.new_or_modified.add(
                node_id=self.random.choice(("n1", "n2", "n3")),
                models=models,
                host="127.0.0.1",
                port=self.random.randrange(70_000) if self.odd() else 8080,
                status=self.random.choice((0, 1, 1, 2)),
            )
            if self.random.random() < 0.5:
                node.hardware.add(type="gpu", count=1, memory_mib=self.random.choice((0, 1_000, 4_000)))
        return name, diff

    def maintenance(self) -> Act:
        """Downtime, mostly where it may lie."""
        name, at = self.random.choice(CAST), self.chain.height + 1
        info = epochs.state(self.chain.context())
        last = info.height_next_poc - 2
        first = (
            at + self.random.randint(1, 6) if self.odd() else max(at + 2, last - self.random.randint(0, 5))
        )
        return name, maintenance_pb2.MsgAnnounceMaintenance(
            creator=key_of(name).address,
            node_id=self.random.choice(("", "n1", "n2")),
            height_from=first,
            height_to=min(last, first + self.random.randint(0, 2)) if not self.odd() else first - 1,
        )

    # proof of compute

    def poc(self, record: epochs_pb2.EpochRecord) -> list[Act]:
        """What the stage asks for; in one epoch of eleven nobody shows nonces, or nobody judges."""
        at = epochs.stage_heights(record.params.epoch, record.height_start)
        height, strike = self.chain.height + 1, record.height_start * 7_919 % 11
        if at.start < height <= at.batches_end + 1 and strike != 5:
            return [(name, self.batch(name, record)) for name in CAST if self.random.random() < 0.7]
        if at.validation_start < height <= at.validation_end + 1 and strike != 6:
            return [(name, self.verdicts(name, record)) for name in CAST if self.random.random() < 0.6]
        if self.odd():
            name = self.random.choice(CAST)
            return [(name, self.batch(name, record) if self.odd() else self.verdicts(name, record))]
        return []

    def batch(self, name: str, record: epochs_pb2.EpochRecord) -> poc_pb2.MsgSubmitPocBatch:
        """A batch in a form that the record takes, at times with one thing wrong."""
        batch = self._batch(name, record.height_start)
        batch.poc_stage_start_height = record.height_start
        batch.node_id = self.random.choice(("n1", "n2", "n1", "n2", "n3"))
        batch.nonce_first = self._nonce_next(name, batch.node_id, record.height_start)
        params = record.params.poc
        if params.committed_batches and (not params.inline_batches or self.random.random() < 0.3):
            batch.root, batch.claims = self.random.randbytes(32), b""
        if params.acceptance_bps < 10_000:
            first, count = batch.nonce_first, batch.nonce_count
            batch.nonces.extend(range(first, first + 3 * count, 3))
            batch.nonce_first = batch.nonce_count = 0
            if batch.claims:
                low = params.z_target
                claims = (self.random.randint(low, 2**31 - 1) for _ in range(count))
                batch.claims = b"".join(claim.to_bytes(4, "big", signed=True) for claim in claims)
        if self.odd():
            self._spoil_batch(batch)
        return batch

    def _nonce_next(self, name: str, node: str, start: int) -> int:
        request = poc_pb2.QueryNodeNoncesRequest(poc_stage_start_height=start)
        known = self.chain.query(request, poc_pb2.QueryNodeNoncesResponse).nodes
        owner = key_of(name).address
        return next((n.nonce_next for n in known if (n.participant, n.node_id) == (owner, node)), 0)

    def _spoil_batch(self, batch: poc_pb2.MsgSubmitPocBatch) -> None:
        pick = self.random.choice
        faults: tuple[tuple[str, Any], ...] = (
            ("poc_stage_start_height", batch.poc_stage_start_height + pick((-1, 1, 10**6))),
            ("node_id", pick(("n9", "", "a\0b", "é"))),
            ("claims", batch.claims[:-1] or b"\0"),
            ("claims", b"\xff" * len(batch.claims)),
            ("root", self.random.randbytes(pick((1, 32, 33)))),
            ("batch_id", "x" * 65),
            ("nonce_first", pick((0, 2**64 - 1, 2**63))),
            ("nonce_count", pick((0, 2**32 - 1))),
        )
        if self.random.random() < 0.7:
            setattr(batch, *pick(faults))
        else:
            batch.nonces.extend(pick(((5, 4), (2**64 - 1,))))

    def verdicts(self, name: str, record: epochs_pb2.EpochRecord) -> poc_pb2.MsgSubmitPocValidations:
        """Verdicts on all others, at times with one thing wrong."""
        message = self._verdicts(name, record.height_start)
        if self.odd():
            fault = self.random.randrange(6)
            honest = poc_pb2.PocVerdict(participant=key_of(name).address, verdict=poc_pb2.VERDICT_HONEST)
            if fault == 0:
                message.poc_stage_start_height += 1
            elif fault == 1:
                message.verdicts.append(honest)
            elif fault == 2:
                message.verdicts.extend(message.verdicts[:1])
            elif fault == 3:
                message.verdicts.add(participant=key_of("eve").address, verdict=poc_pb2.VERDICT_FRAUD)
            elif fault == 4 and message.verdicts:
                message.verdicts[0].mismatches = 2**32 - 1
            else:
                message.verdicts.add(participant="a\0b", verdict=0)
        return message

    # inference

    def requests(self) -> list[Act]:
        """Starts and finishes in any order, mostly of executors that may serve."""
        found: list[Act] = []
        found += [self.start(client) for client in CLIENTS if self.random.random() < 0.6]
        for executor in NAMES:
            mine = [each for each in self.open if each[2] == executor]
            if mine and self.random.random() < 0.75:
                chosen = self.random.choice(mine)
                self.open.remove(chosen)
                # Some requests are never answered: they expire, and count as missed.
                if self.random.random() < 0.8:
                    found.append((executor, self.finish(*chosen)))
            elif self.random.random() < 0.05:
                found.append((executor, self.finish_first(executor)))
        return found

    def _executor(self, model: str) -> str:
        request = inference_pb2.QueryExecutorsRequest(model_id=model)
        try:
            told = self.chain.query(request, inference_pb2.QueryExecutorsResponse).executors
        except QueryError:  # nobody serves it in this epoch
            return self.random.choice(CAST)
        able = [name for name in CAST if key_of(name).address in {each.participant for each in told}]
        return self.random.choice(able or NAMES) if self.random.random() < 0.9 else self.random.choice(CAST)

    def start(self, client: str) -> Act:
        """A request, at times on another's account, late, repeated or malformed."""
        model = self.random.choice(MODELS)
        executor = self._executor(model)
        self.made += 1
        inference_id = f"i{self.made}"
        message = self._start(client, inference_id, model, executor)
        self.open.append((inference_id, model, executor))
        if self.random.random() < 0.2:
            self._on_account(message, self.random.choice((*CLIENTS, "pip")))
        if self.odd():
            self._spoil_start(message)
        return client, message

    def _on_account(self, message: inference_pb2.MsgStartInference, payer: str) -> None:
        """The creator transfers what the payer signed."""
        message.requested_by = key_of(payer).address
        message.request_timestamp = self.chain.context().block.time_ns + self.random.choice(
            (0, 0, 1, -(10**9))
        )
        signed = request_digest(message.prompt_hash, message.request_timestamp, message.creator)
        message.requester_signature = key_of(payer).sign_digest(signed)

    def _spoil_start(self, message: inference_pb2.MsgStartInference) -> None:
        fault = self.random.randrange(8)
        if fault == 0:
            message.model_id = "m/none"
        elif fault == 1:
            message.max_tokens = self.random.choice((0, 2**32, 2**64 - 1))
        elif fault == 2:
            message.inference_id = f"i{self.random.randint(1, self.made)}"
        elif fault == 3:
            message.prompt_hash = "xyz"
        elif fault == 4:
            message.requested_by, message.request_timestamp = key_of("fay").address, 2**62
        elif fault == 5:
            message.max_tokens = 2**32 - 1
        elif fault == 6:
            message.requester_signature = b"\0" * 64
            message.requested_by = key_of("pip").address
            message.request_timestamp = self.chain.context().block.time_ns
        else:
            message.executor = key_of("eve").address

    def finish(self, inference_id: str, model: str, executor: str) -> inference_pb2.MsgFinishInference:
        """An answer, at times to another request or of another model."""
        message = inference_pb2.MsgFinishInference(
            creator=key_of(executor).address,
            inference_id=inference_id,
            model_id=model,
            response_hash=HASH,
            prompt_token_count=self.random.randrange(50),
            completion_token_count=self.random.randrange(200),
        )
        if self.odd():
            others = [each[0] for each in self.open if each[2] != executor]
            message.inference_id = self.random.choice((*others, f"i{self.random.randint(1, self.made + 1)}"))
        if self.odd() and self.odd():
            message.response_hash = "no hash"
        return message

    def finish_first(self, executor: str) -> inference_pb2.MsgFinishInference:
        """The answer to a request of which the start comes later, or never."""
        self.made += 1
        model = self.random.choice(MODELS)
        message = self.finish(f"i{self.made}", model, executor)
        if self.random.random() < 0.6:
            self.late.append((f"i{self.made}", model, executor))
        return message

    def _verdict(self, name: str, inference_id: str) -> inference_pb2.MsgValidateInference:
        """As of its kind, but seldom invalid: who is INVALID does little else."""
        message = super()._verdict(name, inference_id)
        if self.random.random() < 0.5:
            message.value_bps, message.result = 9_500, inference_pb2.VALIDATION_RESULT_VALID
        return message

    def meddle(self) -> Act:
        """A verdict of somebody on something, which is none of its business most of the time."""
        name = self.random.choice((*CAST, *CLIENTS))
        recent = [
            each.inference_id
            for each in inference_state.INFERENCES.values(self.chain.context())
            if each.status == inference_pb2.INFERENCE_STATUS_FINISHED
        ]
        message = self._verdict(name, self.random.choice(recent or ["none"]))
        if self.odd():
            message.value_bps, message.inference_id = 10_001, "é"
        return name, message

    def price(self) -> Act:
        """A proposal of a price, at times by one who is no participant."""
        name, message = self._price()
        if self.odd():
            name = self.random.choice(CLIENTS)
            message.creator = key_of(name).address  # type: ignore[attr-defined]
        return name, message

    def late_start(self) -> list[Act]:
        """A start behind its finish."""
        if not self.late or self.random.random() < 0.5:
            return []
        client = self.random.choice(CLIENTS)
        return [(client, self._start(client, *self.late.pop()))]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.late: list[tuple[str, str, str]] = []
