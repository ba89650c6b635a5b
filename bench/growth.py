"""What the blocks at the edge of an epoch cost as the network grows: N participants x K nodes x M models.

Run `python -m bench.growth`; `--json FILE` keeps the figures, `--svg FILE` draws them. The application on
the store on disk, without CometBFT: FinalizeBlock and Commit of every block of one epoch. The genesis gives
group 0 its weights; what would come by transactions (batches, verdict tallies, served inferences) is written
by state, so that only the chain's own work at the end of blocks is measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abci_app.app import LAST_BLOCK, STORES, App
from abci_app.kernel.context import Block, Context
from abci_app.kernel.store import DiskStore, Overlay
from abci_app.modules import auth, bank, epochs, hardware, inference
from abci_app.modules.epochs.profiles import default_params
from abci_app.modules.gov.genesis import default_params as default_gov_params
from abci_app.modules.inference import state as inference_state
from abci_app.modules.poc import state as poc_state
from bench.chain import as_json
from bench.plots import Series, loglog_svg
from bench.sends import DENOM
from client.keys import Key
from protocol import address
from protocol.gen.evergrid.app.v1 import app_pb2
from protocol.gen.evergrid.hardware.v1.hardware_pb2 import PARTICIPANT_STATUS_ACTIVE, Participant
from protocol.gen.evergrid.inference.v1.inference_pb2 import InferenceStatistics
from protocol.gen.evergrid.models.v1.models_pb2 import Model
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci

CHAIN_ID = "bench-1"
GENESIS_TIME_S = 1_700_000_000
SIZES = (100, 500, 1500)
NODES, MODELS = 10, 4
# In large groups validators are drawn: all of their slots found the batches honest.
SLOTS_DRAWN = 256
EPOCHS = 3
"""Measured is the last of these: the first has only unproved nodes, so that nobody is preserved in it."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from protocol.gen.evergrid.epochs.v1.params_pb2 import Params


def bench_params() -> Params:
    """Params of a short epoch with room for stages that are processed in chunks."""
    params = default_params("testnet")
    params.epoch.epoch_length, params.epoch.first_poc_height = 90, 30
    params.epoch.poc_stage_duration, params.epoch.poc_exchange_duration = 6, 2
    params.epoch.poc_validation_delay, params.epoch.poc_validation_duration = 4, 4
    params.epoch.set_validators_delay = 30
    params.inference.expiration, params.inference.validation_window = 10, 10
    params.uptime.min_served = 0
    return params


@dataclass(frozen=True, slots=True)
class Owner:
    """A participant with the public halves of its keys."""

    address: str
    public: bytes
    validator_key: bytes


def owner(number: int) -> Owner:
    """The same participant for the same number."""
    key = Key(sha256(f"growth {number}".encode()).digest())
    seed = sha256(f"growth validator {number}".encode()).digest()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return Owner(key.address, key.public, public)


def model(number: int) -> Model:
    """A governed model."""
    name = f"org/model-{number:02d}"
    return Model(
        id=name,
        name=name,
        proposed_by=address.module_account("gov"),
        version="1",
        units_of_compute_per_token=10,
        hf_repo=name,
        hf_commit="ab" * 20,
        v_ram=1024,
        throughput_per_nonce=40_000_000,
        context_window=2048,
        validation_threshold=9000,
    )


def genesis(owners: list[Owner], nodes: int, models: int) -> dict[str, Any]:
    """Group 0: every participant has `nodes` nodes, spread over the models, with weight."""
    declared, weights = [], []
    for number, each in enumerate(owners):
        for place in range(nodes):
            node = {
                "node_id": f"node-{place:03d}",
                "models": [model((number + place) % models).id],
                "host": "127.0.0.1",
                "port": 8080,
            }
            sequence = number * nodes + place
            declared.append({"participant": each.address, "node": node, "sequence": str(sequence)})
            weight = {"participant": each.address, "node_id": node["node_id"], "weight": str(100 + place)}
            weights.append(weight)
    participants = [
        Participant(
            address=each.address,
            url="http://127.0.0.1:9000",
            validator_key=each.validator_key,
            public_key=each.public,
            status=PARTICIPANT_STATUS_ACTIVE,
        )
        for each in owners
    ]
    return {
        "auth": {"fees": {"denom": DENOM, "minimum_gas_price_micro": "0"}},
        "models": {"models": [as_json(model(number)) for number in range(models)]},
        "hardware": {
            "participants": [as_json(each) for each in participants],
            "nodes": declared,
            "node_sequence": str(len(declared)),
        },
        "epochs": {"params": as_json(bench_params()), "weights": weights},
        "gov": {"starting_proposal_id": "1", "params": as_json(default_gov_params(DENOM))},
    }


@dataclass(slots=True)
class Took:
    """A block and the seconds that it took, with the stages that ran in it."""

    height: int
    finalize_s: float
    commit_s: float
    # Of the chain's own thread: what a machine that others use too still measures well.
    cpu_s: float
    stages: list[str] = field(default_factory=list)

    @property
    def total_s(self) -> float:
        return self.finalize_s + self.commit_s


class Network:
    """A chain on disk in a folder that vanishes afterwards."""

    def __init__(self, participants: int, nodes: int, models: int) -> None:
        self.owners = [owner(number) for number in range(participants)]
        self.nodes, self.models = nodes, models
        self.folder = Path(tempfile.mkdtemp(prefix="evergrid-growth-"))
        self.app = App(DiskStore(self.folder / "app", STORES))
        self.height = 0
        request = abci.RequestInitChain(chain_id=CHAIN_ID, initial_height=1)
        request.time.seconds = GENESIS_TIME_S
        request.consensus_params.block.max_gas = -1
        request.app_state_bytes = json.dumps(genesis(self.owners, nodes, models)).encode()
        self.app.init_chain(request)
        self.block()

    def block(self) -> Took:
        """Executes and commits an empty block."""
        self.height += 1
        request = abci.RequestFinalizeBlock(height=self.height, hash=sha256(b"%d" % self.height).digest())
        request.time.seconds = GENESIS_TIME_S + self.height
        gc.collect()
        gc.freeze()
        done = self._stages_done()
        start, cpu_start = time.perf_counter(), time.thread_time()
        self.app.finalize_block(request)
        between = time.perf_counter()
        self.app.commit()
        end, cpu_end = time.perf_counter(), time.thread_time()
        stages = [stage for stage in self._stages_done() if stage not in done]
        return Took(self.height, between - start, end - between, cpu_end - cpu_start, [s for _, s in stages])

    def _stages_done(self) -> list[tuple[int, str]]:
        if not self.app.store.version:
            return []
        ctx = self.app.context_at()
        effective = epochs.state(ctx).epoch_effective
        found = (epochs.record(ctx, index) for index in (effective, effective + 1))
        return [
            (record.index, stage) for record in found if record is not None for stage in record.stages_done
        ]

    def write_demand(self) -> None:
        """By state, just before the draw: so many tokens that half of each model's capacity has to serve."""
        self._write(self._write_tokens)

    def _write_tokens(self, ctx: Context) -> None:
        for group in epochs.subgroups(ctx, epochs.state(ctx).epoch_effective):
            key = (group.model_id, ctx.height)
            inference_state.TOKENS.set(ctx, key, group.total_throughput)
            inference_state.TOKENS_BY_HEIGHT.add(ctx, (ctx.height, group.model_id))

    def write_proofs(self, *, voted: bool = True) -> None:
        """By state: batches and tallies (unless nobody voted) of the PoC under way, and what was served."""
        self._write(lambda ctx: self._write_poc(ctx, voted=voted))

    def _write(self, what: Callable[[Context], None]) -> None:
        """A block of its own with what transactions would have written."""
        self.height += 1
        overlay = Overlay(self.app.store)
        block = Block(CHAIN_ID, self.height, (GENESIS_TIME_S + self.height) * 10**9)
        ctx = Context(block, overlay)
        what(ctx)
        last = app_pb2.LastBlock(
            chain_id=CHAIN_ID, height=block.height, time_ns=block.time_ns, hash=bytes(32)
        )
        LAST_BLOCK.set(ctx, last)
        self.app.store.commit(self.app.store.stage(overlay.changes, self.height), self.height)
        self.app.last_block = block

    def _write_poc(self, ctx: Context, *, voted: bool) -> None:
        record = epochs.upcoming_record(ctx)
        assert record is not None, "no PoC is under way"
        effective = epochs.state(ctx).epoch_effective
        total = sum(epochs.voting_powers(ctx).values())
        serving = _serving(ctx, effective)
        for each in self.owners:
            for node in hardware.nodes_of(ctx, each.address):
                if (each.address, node.node.node_id) not in serving:
                    _write_batch(
                        ctx, record.height_start, each.address, node.node.node_id, 100 + node.sequence % 7
                    )
            tally = poc_pb2.PocTally(participant=each.address, honest_power=total, honest_slots=SLOTS_DRAWN)
            if voted:
                poc_state.TALLIES.set(ctx, (record.height_start, each.address), tally)
            served = InferenceStatistics(
                epoch_index=effective, participant=each.address, total=100, accrued=10_000
            )
            inference_state.STATISTICS.set(ctx, (effective, each.address), served)
        denom = auth.fee_params(ctx).denom
        bank.mint(ctx, inference.ACCOUNT, {denom: 10_000 * len(self.owners)})

    def epochs(self, count: int) -> Iterator[tuple[int, Took]]:
        """The blocks of so many epochs, each with the number of the epoch that it ends in."""
        for number in range(count):
            while self._effective() == number:
                if self.height == epochs.state(self.app.context_at()).height_next_poc - 4:
                    self.write_demand()
                took = self.block()
                if "start_of_poc" in took.stages:
                    self.write_proofs()
                yield number, took
        for _ in range(12):
            yield count, self.block()

    def _effective(self) -> int:
        return epochs.state(self.app.context_at()).epoch_effective

    def close(self) -> None:
        self.app.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _serving(ctx: Context, epoch: int) -> set[tuple[str, str]]:
    """The (participant, node_id) that serve through the PoC."""
    return {
        (member.member_address, node.node_id)
        for group in epochs.subgroups(ctx, epoch)
        for member in epochs.members(ctx, epoch, group.model_id)
        for node in member.ml_nodes
        if node.timeslot_allocation[1]
    }


def _write_batch(ctx: Context, height_start: int, participant: str, node_id: str, count: int) -> None:
    key = (height_start, participant, node_id)
    total = poc_pb2.NodeNonces(
        participant=participant, node_id=node_id, nonce_next=count, nonces_total=count, batches=1
    )
    batch = poc_pb2.PocBatch(
        participant=participant,
        node_id=node_id,
        poc_stage_start_height=height_start,
        nonce_count=count,
        claims_sha256=bytes(32),
        height_submitted=ctx.height,
    )
    poc_state.NODES.set(ctx, key, total)
    poc_state.BATCHES.set(ctx, (*key, 0), batch)


def measure(participants: int, nodes: int, models: int) -> dict[str, Any]:
    """Milliseconds of the blocks of the last epoch: those of its edge by stage, and the others."""
    network = Network(participants, nodes, models)
    try:
        blocks = [took for number, took in network.epochs(EPOCHS) if number >= EPOCHS - 1]
        preserved = sum(
            1
            for each in epochs.subgroups(network.app.context_at(), EPOCHS)
            for member in epochs.members(network.app.context_at(), EPOCHS, each.model_id)
            for node in member.ml_nodes
            if node.unproved
        )
        app_hash = network.app.store.app_hash.hex()
    finally:
        network.close()
    edge = [took for took in blocks if took.stages or took.cpu_s > EDGE_S]
    names = ["+".join(took.stages) or f"height {took.height}" for took in edge]
    others = [took for took in blocks if took not in edge]
    return {
        "participants": participants,
        "nodes": participants * nodes,
        "models": models,
        "preserved": preserved,
        "app_hash": app_hash,
        "block_ms": {name: _ms(took.total_s) for name, took in zip(names, edge, strict=True)},
        "block_cpu_ms": {name: _ms(took.cpu_s) for name, took in zip(names, edge, strict=True)},
        "edge_ms_max": _ms(max(took.total_s for took in edge)),
        "edge_cpu_ms_max": _ms(max(took.cpu_s for took in edge)),
        "edge_cpu_ms_sum": _ms(sum(took.cpu_s for took in edge)),
        "other_cpu_ms_median": _ms(statistics.median(took.cpu_s for took in others)),
        "other_cpu_ms_max": _ms(max(took.cpu_s for took in others)),
        "other_blocks": len(others),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


EDGE_S = 0.03
"""An ordinary block that takes longer than this counts to the edge: a stage's chunk, or payments."""


def exponent(results: list[dict[str, Any]], name: str) -> float:
    """The slope of the least-squares line of log(figure) over log(participants)."""
    xs = [log(each["participants"]) for each in results]
    ys = [log(each[name]) for each in results]
    mean_x, mean_y = statistics.mean(xs), statistics.mean(ys)
    above = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - mean_x) ** 2 for x in xs)


def main(argv: list[str] | None = None) -> int:
    """Measures each size and prints what it found."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.growth")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--nodes", type=int, default=NODES, help="of each participant")
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--svg", type=Path, help="draw the figures into this file")
    options = parser.parse_args(argv)
    results = []
    for size in options.sizes:
        found = measure(size, options.nodes, options.models)
        results.append(found)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    report: dict[str, Any] = {"results": results}
    if len(results) > 1:
        report["exponent_max"] = round(exponent(results, "edge_cpu_ms_max"), 2)
        report["exponent_sum"] = round(exponent(results, "edge_cpu_ms_sum"), 2)
        sys.stdout.write(f"exponents: max {report['exponent_max']}, sum {report['exponent_sum']}\n")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    if options.svg:
        options.svg.write_text(plot(results))
    return 0


def plot(results: list[dict[str, Any]]) -> str:
    """The figures as an SVG on logarithmic axes."""
    names = (
        ("longest block of the edge", "edge_cpu_ms_max"),
        ("all blocks of the edge", "edge_cpu_ms_sum"),
        ("other blocks, median", "other_cpu_ms_median"),
    )
    series = [
        Series(label, [(each["participants"], each[name]) for each in results]) for label, name in names
    ]
    nodes = results[0]["nodes"] // results[0]["participants"]
    return loglog_svg(
        "Epoch edge",
        f"participants ({nodes} nodes each)",
        "CPU ms of the chain's thread",
        series,
        limit=("0.3 s", 300),
    )


if __name__ == "__main__":
    sys.exit(main())
