"""How the puzzle is run changes no claim: compiled kernels, stages over devices, results that come later."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import pytest
import torch

from mlnode import pow_engine
from mlnode.pow import PRESETS, PocParams, Puzzle, eager_kernels
from mlnode.pow_engine import Fused, parse_devices, split_layers

SEED, KEY, NODE = bytes(range(32)), b"\x02" + bytes(32), "node-1"
TINY = PRESETS["tiny"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def furthest(some: Sequence[int | None], others: Sequence[int | None]) -> int:
    assert None not in [*some, *others]
    return max(abs((a or 0) - (b or 0)) for a, b in zip(some, others, strict=True))


@pytest.fixture(scope="module")
def claims() -> list[int | None]:
    with Puzzle(TINY, SEED) as puzzle:
        return puzzle.generate(KEY, NODE, 0, 300)


def test_a_network_in_stages_over_two_devices_gives_the_same_claims(claims: list[int | None]) -> None:
    with Puzzle(TINY, SEED, "cpu+cpu") as split:
        assert split._body is not None
        assert split._body.stages == [0, 0, 0, 0, 1, 1, 1, 1]
        assert furthest(split.generate(KEY, NODE, 0, 300), claims) == 0


def test_stages_follow_the_room_of_the_devices() -> None:
    assert split_layers(10, 8, 0, [30, 90]) == [0, 0, 1, 1, 1, 1, 1, 1]
    assert split_layers(10, 8, 20, [100]) == [0] * 8


def test_devices_that_are_together_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="params need 100 bytes for the weights, 90 are free"):
        split_layers(10, 8, 20, [45, 45])


def test_a_name_of_no_device_is_refused() -> None:
    with pytest.raises(ValueError, match="'cuda:x' names no devices"):
        parse_devices("cuda:x")


def test_a_batch_can_be_started_before_the_one_ahead_is_read(claims: list[int | None]) -> None:
    with Puzzle(TINY, SEED) as puzzle:
        ahead = puzzle.start_generate(KEY, NODE, 0, 100)
        behind = puzzle.start_generate(KEY, NODE, 100, 200)

        assert furthest([*ahead.claims(), *behind.claims()], claims) <= TINY.epsilon // 20


def test_the_batch_shrinks_with_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pow_engine, "free_bytes", lambda _device: 4096)
    card = [torch.device("meta")]

    assert pow_engine.fitting_batch_size(1000, card) == 2
    assert pow_engine.fitting_batch_size(1 << 30, card) == 1


@pytest.mark.slow
@pytest.mark.skipif(not pow_engine.can_compile(torch.device("cpu")), reason="no C++ compiler")
def test_compiled_random_numbers_are_equal_to_the_bit() -> None:
    stream, nonces = torch.tensor([[1, 2, 3]] * 16), torch.arange(16)
    eager = eager_kernels()

    # With one block a nonce the compiler has drawn other signs; then they are drawn as they are.
    for params in (TINY, PRESETS["small"]):
        for draw in (eager.inputs, eager.signs):
            assert torch.equal(Fused(draw)(stream, nonces, params), draw(stream, nonces, params))


def test_a_kernel_that_was_compiled_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    inductor = importlib.import_module("torch._inductor")
    monkeypatch.setattr(inductor, "compile", lambda *_: lambda x: x + 1)

    assert Fused(torch.negative)(torch.tensor([2.0])).tolist() == [-2.0]


@pytest.mark.slow
@pytest.mark.skipif(not pow_engine.can_compile(torch.device("cpu")), reason="no C++ compiler")
def test_compiled_kernels_give_the_same_claims(claims: list[int | None]) -> None:
    with Puzzle(TINY, SEED, compiled=True) as puzzle:
        assert puzzle.is_compiled
        assert furthest(puzzle.generate(KEY, NODE, 0, 300), claims) <= TINY.epsilon // 20


def test_without_a_compiler_the_kernels_run_as_they_are(
    claims: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(Fused, "_make", fail)

    with Puzzle(TINY, SEED, compiled=True) as puzzle:
        assert not puzzle.is_compiled
        assert furthest(puzzle.generate(KEY, NODE, 0, 300), claims) == 0


@pytest.mark.parametrize("narrow", [True, False])
def test_float16_has_wider_tolerance_where_the_network_is_narrow(*, narrow: bool) -> None:
    params: PocParams = PRESETS["tiny" if narrow else "small"].with_dtype("float16")

    assert (params.noise, params.epsilon) == ((13_000, 150_000) if narrow else (16_000, 100_000))
