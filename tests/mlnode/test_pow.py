"""The puzzle computes what its definition says, alike in every batch, and nothing cheaper comes near."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from mlnode import pow as puzzle_module
from mlnode.nonces import nonces_command
from mlnode.pow import (
    PRESETS,
    PocParams,
    Puzzle,
    draw_inputs,
    draw_signs,
    fill_weight,
    parameters,
    philox,
    verify,
)
from tests.mlnode.numpy_pow import NumpyPuzzle, Shape, draw_of_nonce, draw_weight, elements

SEED = bytes(range(32))
KEY, OTHER_KEY = b"\x02" + bytes(31) + b"\x01", b"\x03" + bytes(31) + b"\x02"
NODE = "node-1"
TINY = PRESETS["tiny"]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]

# The definition changes only on purpose: every node of a network must change with it.
GOLDEN = [-135555, 85349, -1026616, 1315042, -295551, -1847776, 981582, 206193]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["tiny", "small"])
def puzzle(request: pytest.FixtureRequest) -> Iterator[Puzzle]:
    with Puzzle(PRESETS[request.param], SEED) as opened:
        yield opened


@pytest.fixture(scope="module")
def tiny() -> Iterator[Puzzle]:
    with Puzzle(TINY, SEED) as opened:
        yield opened


def in_numpy(params: PocParams) -> NumpyPuzzle:
    names = ("dim", "n_layers", "n_heads", "n_kv_heads", "ffn_dim", "vocab", "seq_len")
    return NumpyPuzzle(Shape(*(getattr(params, name) for name in names)), SEED)


def furthest(some: Sequence[int | None], others: Sequence[int | None]) -> int:
    assert None not in [*some, *others]
    return max(abs((a or 0) - (b or 0)) for a, b in zip(some, others, strict=True))


def correlation(some: Sequence[int | None], others: Sequence[int | None]) -> float:
    return float(np.corrcoef(np.array(some, dtype=float), np.array(others, dtype=float))[0, 1])


# random numbers, weights, inputs: to the bit


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_vectors(
    device: str, counter: list[int], key: list[int], words: list[int]
) -> None:
    computed = philox(
        [torch.tensor([word], device=device) for word in counter],
        [torch.tensor(word, device=device) for word in key],
    )

    assert computed.tolist() == [words]


@pytest.mark.parametrize("device", DEVICES)
def test_every_weight_equals_the_second_implementation_to_the_bit(device: str) -> None:
    for name, rows, columns in parameters(TINY):
        weight = torch.empty(rows, columns, device=device)
        fill_weight(SEED, name, weight)

        np.testing.assert_array_equal(weight.cpu().numpy(), draw_weight(SEED, name, rows, columns))


def test_a_weight_longer_than_a_chunk_is_drawn_as_one() -> None:
    weight = torch.empty(513, 130)  # 66,690 elements: past one chunk, and ending within a block

    fill_weight(SEED, "layers.0.w1", weight)

    np.testing.assert_array_equal(weight.numpy(), draw_weight(SEED, "layers.0.w1", 513, 130))


@pytest.mark.parametrize("nonce", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
def test_inputs_and_signs_equal_the_second_implementation_to_the_bit(nonce: int) -> None:
    words = puzzle_module._stream_words(SEED, KEY, NODE)
    stream, signed = torch.tensor([words]), torch.tensor([puzzle_module._signed(nonce)])

    inputs = draw_inputs(stream[:, :3], signed, TINY).flatten().long()
    signs = draw_signs(stream[:, 3:], signed, TINY).flatten().long()

    node = (SEED, KEY, NODE)
    drawn = elements(draw_of_nonce("evergrid/poc/inputs/1", node, nonce, 16), 256, 8)
    bits = elements(draw_of_nonce("evergrid/poc/signs/1", node, nonce, 1), 128, 1)
    np.testing.assert_array_equal(inputs.numpy(), 2 * drawn - 255)
    np.testing.assert_array_equal(signs.numpy(), 2 * bits - 1)


# claims


def test_the_first_claims_are_those_on_record(tiny: Puzzle) -> None:
    claims = tiny.generate(KEY, NODE, 0, len(GOLDEN))

    assert furthest(claims, GOLDEN) <= TINY.epsilon // 20


def test_claims_agree_with_the_second_implementation(puzzle: Puzzle) -> None:
    count = 40 if puzzle.params == TINY else 4

    claims = puzzle.generate(KEY, NODE, 2**32 - 2, count)

    exact = in_numpy(puzzle.params)
    assert furthest(claims, [exact.claim(KEY, NODE, 2**32 - 2 + i) for i in range(count)]) <= 50


def test_half_precision_agrees_within_its_own_epsilon(tiny: Puzzle) -> None:
    params = TINY.with_dtype("float16")

    with Puzzle(params, SEED) as half:
        claims = half.generate(KEY, NODE, 0, 200)

    assert verify(claims, tiny.generate(KEY, NODE, 0, 200), params).verdict == "honest"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_gpu_agrees_with_the_processor(tiny: Puzzle, dtype: str) -> None:
    params = TINY.with_dtype(dtype)

    with Puzzle(params, SEED, "cuda") as gpu:
        claims = gpu.generate(KEY, NODE, 0, 200)

    assert verify(claims, tiny.generate(KEY, NODE, 0, 200), params).verdict == "honest"


def test_claims_are_normal_with_mean_0_and_variance_1(tiny: Puzzle) -> None:
    count = 2000

    z = np.array(tiny.generate(KEY, NODE, 0, count), dtype=float) / 1e6

    assert abs(z.mean()) < 4 / np.sqrt(count)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / count)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_does_not_change_a_claim(
    tiny: Puzzle, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny.generate(KEY, NODE, 0, 100)

    monkeypatch.setattr(tiny, "batch_size", batch_size)

    assert furthest(tiny.generate(KEY, NODE, 0, 100), whole) <= TINY.epsilon // 20
    assert furthest(tiny.generate(KEY, NODE, 50, 10), whole[50:60]) <= TINY.epsilon // 20


def test_a_merged_batch_of_many_participants_gives_each_its_own_claims(tiny: Puzzle) -> None:
    nodes = [(key, node_id) for key in (KEY, OTHER_KEY) for node_id in ("node-1", "node-2")]
    expected = {node: tiny.generate(*node, 0, 50) for node in nodes}
    items = [(key, node_id, nonce) for key, node_id in nodes for nonce in range(50)]
    random.Random(1).shuffle(items)

    claims = tiny.claims(items)

    assert furthest(claims, [expected[key, node][nonce] for key, node, nonce in items]) <= TINY.epsilon // 20


def test_work_for_one_seed_key_and_node_counts_for_no_other(tiny: Puzzle) -> None:
    count = 2000
    own = tiny.generate(KEY, NODE, 0, count)

    others = [tiny.generate(OTHER_KEY, NODE, 0, count), tiny.generate(KEY, "node-2", 0, count)]
    with Puzzle(TINY, bytes(32)) as other_seed:
        others.append(other_seed.generate(KEY, NODE, 0, count))

    assert all(abs(correlation(own, other)) < 4 / np.sqrt(count) for other in others)


def test_skipping_the_whole_body_tells_nothing_of_the_claim(puzzle: Puzzle) -> None:
    own = puzzle.generate(KEY, NODE, 0, 2000)

    with Puzzle(puzzle.params, SEED) as shortcut:
        assert shortcut._body is not None
        shortcut._body.layers = []
        skipped = shortcut.generate(KEY, NODE, 0, 2000)

    assert abs(correlation(own, skipped)) <= 0.06


# claims against the verdict


def test_honest_work_on_another_batch_passes(puzzle: Puzzle) -> None:
    claimed = puzzle.generate(KEY, NODE, 0, 200)

    verdict = verify(claimed, puzzle.claims([(KEY, NODE, i) for i in range(200)]), puzzle.params)

    assert (verdict.verdict, verdict.mismatches) == ("honest", 0)


def test_random_claims_are_caught(tiny: Puzzle) -> None:
    draw = random.Random(2)
    claimed = [round(draw.gauss(0, 1) * 1e6) for _ in range(200)]

    verdict = verify(claimed, tiny.generate(KEY, NODE, 0, 200), TINY)

    assert "mismatches" in verdict.failed


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_eight_bit_weights_are_caught(puzzle: Puzzle, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_with_eight_bits(poc_seed: bytes, name: str, out: torch.Tensor) -> None:
        fill_weight(poc_seed, name, out)
        step = out.abs().amax(dim=1, keepdim=True) / 127
        out.copy_((out / step).round() * step)

    honest = puzzle.generate(KEY, NODE, 0, 200)

    monkeypatch.setattr(puzzle_module, "fill_weight", fill_with_eight_bits)
    with Puzzle(puzzle.params, SEED) as cheap:
        claimed = cheap.generate(KEY, NODE, 0, 200)

    assert verify(claimed, honest, puzzle.params.with_dtype(dtype)).verdict == "fraud"


# the edges of the interface


def test_what_is_not_finite_has_no_claim_and_spoils_no_other(
    tiny: Puzzle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_one_overflow(stream: torch.Tensor, nonces: torch.Tensor, params: PocParams) -> torch.Tensor:
        inputs = draw_inputs(stream, nonces, params)
        inputs[nonces == 3] = torch.inf
        return inputs

    whole = tiny.generate(KEY, NODE, 0, 8)

    monkeypatch.setattr(puzzle_module, "draw_inputs", with_one_overflow)
    claims = tiny.generate(KEY, NODE, 0, 8)

    assert claims[3] is None
    assert furthest(claims[:3] + claims[4:], whole[:3] + whole[4:]) <= TINY.epsilon // 20


def test_no_nonces_give_no_claims(tiny: Puzzle) -> None:
    assert tiny.generate(KEY, NODE, 5, 0) == []
    assert tiny.claims([]) == []


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (2**64, 1), (2**64 - 1, 2)])
def test_nonces_outside_64_bits_are_refused(tiny: Puzzle, first: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"nonces must rise within \[0, 2\^64\)"):
        tiny.generate(KEY, NODE, first, count)


def test_a_closed_puzzle_holds_no_weights_and_computes_nothing() -> None:
    closed = Puzzle(TINY, SEED)
    closed.close()

    assert closed._body is None
    with pytest.raises(RuntimeError, match="closed"):
        closed.generate(KEY, NODE, 0, 1)


def test_a_seed_that_is_not_32_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes instead of 32"):
        Puzzle(TINY, bytes(31))


# the command


def test_the_command_prints_the_claims_of_the_range(tiny: Puzzle) -> None:
    answer = nonces_command(
        preset="tiny", seed=SEED.hex(), public_key=KEY.hex(), node_id=NODE, first=10, count=5
    )

    assert answer == {"claims": tiny.generate(KEY, NODE, 10, 5)}


def test_the_command_names_all_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"preset .*; seed .*; public key .*; node id .*; count .*; nonces"):
        nonces_command(preset="huge", seed="0x12", public_key="04" * 33, node_id="", first=-2, count=0)
