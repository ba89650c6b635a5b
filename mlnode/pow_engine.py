"""How the puzzle is run fast on a machine: devices, batch size, compiled kernels, results that come later.

Nothing here changes a claim beyond its last digits. What the puzzle is stands in `mlnode/pow.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

CACHE_BYTES = 1 << 23  # activations of one batch on a processor: what its caches hold
CARD_BYTES_MAX = 1 << 32
# Below, compiling takes about as long as the whole stage of a test network (`small`: four seconds of five).
COMPILED_FROM_WEIGHTS = 50_000_000

log = logging.getLogger("mlnode.pow")


# the element-wise parts of a pass


def swiglu(gate_and_up: Tensor) -> Tensor:
    """silu of the first half times the second half of the last dimension."""
    gate, up = gate_and_up.chunk(2, dim=-1)
    return functional.silu(gate) * up


def rms(y: Tensor) -> Tensor:
    return functional.rms_norm(y, y.shape[-1:], eps=1e-6)


def mix(x: Tensor, branch: Tensor, a: float, b: float) -> Tensor:
    """rms(a x + b rms(branch))."""
    return rms(torch.add(a * x, rms(branch), alpha=b))


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE over the two halves of each head, in float32, of [nonces, positions, heads, head_dim]."""
    left, right = heads.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).to(heads.dtype)


@dataclass(frozen=True, slots=True)
class Kernels:
    """Everything of a pass but matrix products and attention; of one batch shape when compiled."""

    inputs: Callable[..., Tensor]
    signs: Callable[..., Tensor]
    swiglu: Callable[[Tensor], Tensor] = swiglu
    mix: Callable[[Tensor, Tensor, float, float], Tensor] = mix
    rotate: Callable[[Tensor, Tensor, Tensor], Tensor] = rotate

    def compiled(self) -> Kernels:
        """The same, each fused by torch's compiler for every shape that it meets first."""
        return Kernels(*(Fused(getattr(self, part.name)) for part in fields(self)))


class Fused:
    """One function, compiled for the shapes it is given; calls cost no guards, unlike those of torch.compile.

    The source is traced with constants for what is no tensor, so such arguments belong to the key as well.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._made: dict[tuple[object, ...], Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Tensor:
        tensors = [each for each in arguments if isinstance(each, Tensor)]
        key = tuple(
            (each.shape, each.stride(), each.device) if isinstance(each, Tensor) else each
            for each in arguments
        )
        if key not in self._made:
            self._made[key] = self._make(arguments, tensors)
        result = self._made[key](*tensors)
        return cast("Tensor", result[0] if isinstance(result, list | tuple) else result)

    def _make(self, arguments: Sequence[Any], tensors: list[Tensor]) -> Callable[..., Any]:
        def of_tensors(*given: Tensor) -> Tensor:
            left = iter(given)
            return self._function(*(next(left) if isinstance(a, Tensor) else a for a in arguments))

        # Imported here, since the compiler alone takes a second to load.
        inductor = importlib.import_module("torch._inductor")
        made = cast("Callable[..., Any]", inductor.compile(make_fx(of_tensors)(*tensors), tensors))
        # The compiler has been seen to draw other signs where a dimension has the length 1.
        if agree(made(*tensors), of_tensors(*tensors)):
            return made
        name = getattr(self._function, "__name__", "kernel")
        log.warning("the compiled %s computes something else and is not used", name)
        return of_tensors


def agree(some: Any, other: Tensor) -> bool:
    """Whether two results differ by rounding alone: integers that are drawn lie further apart."""
    one = some[0] if isinstance(some, list | tuple) else some
    limit = 0.05 if other.dtype == torch.float16 else 1e-3
    return bool(one.shape == other.shape and ((one.float() - other.float()).abs().max() <= limit).item())


def can_compile(device: torch.device) -> bool:
    """Whether torch's compiler has what it builds upon: Triton on a card, a C++ compiler on a processor."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return device.type == "cpu" and any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def worth_compiling(weight_count: int, device: torch.device) -> bool:
    """What `Puzzle` does when nobody says: compile where it can and pays."""
    return weight_count >= COMPILED_FROM_WEIGHTS and can_compile(device)


# devices and memory


def parse_devices(text: str) -> tuple[torch.device, ...]:
    """The devices that one network is spread over: "auto", "cpu", "cuda:0" or "cuda:0+cuda:1".

    Raises ValueError where one is no device's name, or this machine has none such.
    """
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        devices = tuple(torch.device(name) for name in text.split("+"))
    except RuntimeError as error:
        raise ValueError(f"{text!r} names no devices: {str(error).splitlines()[0]}") from error
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if missing := [str(each) for each in devices if (each.index or 0) >= present.get(each.type, 0)]:
        there = ", ".join(f"{count} of {kind}" for kind, count in present.items() if count)
        raise ValueError(f"torch {torch.__version__} finds no {', '.join(missing)} here; there is {there}")
    return devices


def free_bytes(device: torch.device) -> int:
    """Memory that a network may still take on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return _available_bytes()


def _available_bytes() -> int:
    if sys.platform != "linux":
        return 1 << 62
    # Free pages alone would not count the page cache, which gives way.
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def keep_freed_memory() -> None:
    """Lets the C library keep what tensors give back: fresh pages for each take half of a pass.

    Holds for the whole process; `release_memory` in `poc_worker` still returns it all. Only glibc has this.
    """
    mmap_threshold, trim_threshold = -3, -1
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(mmap_threshold, 1 << 25)
        library.mallopt(trim_threshold, (1 << 31) - 1)


def device_memory(devices: Sequence[torch.device]) -> list[dict[str, Any]]:
    """Bytes that torch has allocated for tensors, and reserved with what it keeps, of every card."""
    found = []
    for device in dict.fromkeys(devices):
        if device.type == "cuda":
            allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        elif device.type == "mps":
            allocated = torch.mps.current_allocated_memory()
            reserved = torch.mps.driver_allocated_memory()
        else:
            continue
        found.append({"device": str(device), "allocated": allocated, "reserved": reserved})
    return found


def split_layers(layer_bytes: int, n_layers: int, last_bytes: int, room: Sequence[int]) -> list[int]:
    """The device index of every layer: contiguous stages, filled in proportion to the devices' room.

    `last_bytes` (the head) lie with the last layer. Raises ValueError where all devices are too small.
    """
    needed = n_layers * layer_bytes + last_bytes
    if needed > sum(room):
        raise ValueError(f"params need {needed} bytes for the weights, {sum(room)} are free")
    if len(room) == 1:
        return [0] * n_layers
    total = sum(room)
    ends, so_far = [], 0
    for share in room:
        so_far += share
        ends.append(needed * so_far / total)
    # The middle of a layer decides where it goes, so that no stage is overfull by more than half a layer.
    middles = [(i + 0.5) * layer_bytes for i in range(n_layers)]
    return [next(d for d, end in enumerate(ends) if middle <= end) for middle in middles]


def fitting_batch_size(activation_bytes: int, devices: Sequence[torch.device]) -> int:
    """The power of two of nonces whose activations fit a processor's cache, or half of a card's memory."""
    budget = CACHE_BYTES
    if devices[0].type != "cpu":
        budget = min(min(free_bytes(device) for device in devices) // 2, CARD_BYTES_MAX)
    return 1 << max(0, (budget // activation_bytes).bit_length() - 1)


def synchronize_all(devices: Sequence[torch.device]) -> None:
    for device in set(devices):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()


# results that come later


class Pending:
    """One float a nonce, on its way from the device: the host may prepare the next batch meanwhile."""

    def __init__(self, zs: Sequence[Tensor]) -> None:
        self._host: list[Tensor] = []
        self._event: Any = None
        for z in zs:
            on_card = z.device.type == "cuda"
            host = torch.empty(z.shape, dtype=z.dtype, pin_memory=on_card)
            host.copy_(z, non_blocking=on_card)
            self._host.append(host)
        if zs and zs[0].device.type == "cuda":
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(zs[0].device))

    def claims(self) -> list[int | None]:
        """round(z * 10^6), None where z is not finite; waits for the device."""
        if self._event is not None:
            self._event.synchronize()
        if not self._host:
            return []
        millionths = (torch.cat(self._host).double() * 1e6).round()
        finite = millionths.isfinite()
        if bool(finite.all()):
            return list(millionths.long().tolist())
        numbers = millionths.where(finite, 0).long().tolist()
        return [n if good else None for n, good in zip(numbers, finite.tolist(), strict=True)]
