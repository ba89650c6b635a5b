"""Checks this machine against the golden vectors that Evergrid ships, and measures what it can do.

The vectors were computed in float64 by the written out network of `bench/poc`, and the tests compare them
with a second implementation; so a match says that processor, torch and dtype compute the puzzle.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("golden")
MEASURE_SECONDS = 3.0
MILLION = 1_000_000
EXIT_MATCH, EXIT_MISMATCH = 0, 2


@dataclass(frozen=True, slots=True)
class Report:
    """What certify found; absent figures are None."""

    preset: str
    dtype: str
    device: str
    hardware: str
    torch: str
    kernels: str
    verdict: str  # match or mismatch
    failed_tests: tuple[str, ...]
    nonces_checked: int
    mismatches: int
    difference_max: int | None  # in 1e-6
    epsilon: int
    mean_square: int  # in 1e-3 of the governed noise's
    mean_square_limit: int
    batch_size: int
    nonces_per_s: float
    model: str | None
    tokens_per_s: float | None
    throughput_per_nonce: int | None  # suggested, in millionths of a token

    @property
    def exit_code(self) -> int:
        return EXIT_MATCH if self.verdict == "match" else EXIT_MISMATCH

    def text(self) -> str:
        """For a person: one line a fact, the verdict first."""
        facts = asdict(self)
        verdict = facts.pop("verdict")
        lines = [f"{name:22}{_shown(value)}" for name, value in facts.items()]
        if self.model is None:
            lines.append("no tokens were measured: name a model with --model for its throughput_per_nonce")
        return "\n".join([f"{'verdict':22}{verdict}", *lines])


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "not measured" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def certify(
    *,
    preset: str = "small",
    dtype: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    model: Path | None = None,
    golden: Path = GOLDEN,
    seconds: float | None = None,
) -> Report:
    """The report on this machine; `model` is a folder of safetensors whose tokens/s are measured too.

    Raises ValueError that names what is wrong with arguments or vectors, RuntimeError where the device fails.
    """
    import torch  # noqa: PLC0415 - takes seconds to import

    from mlnode.pow import DTYPES, PocParams, Puzzle, verify  # noqa: PLC0415
    from mlnode.pow_engine import parse_devices, worth_compiling  # noqa: PLC0415

    problems = ["threads must be at least 1"] if threads is not None and threads < 1 else []
    problems += [f"{model} is no folder"] if model is not None and not model.is_dir() else []
    if problems:
        raise ValueError("; ".join(problems))
    seconds = MEASURE_SECONDS if seconds is None else seconds
    vectors, params = _vectors(golden, preset)
    main = parse_devices(device)[0]
    dtype = dtype or ("float16" if main.type == "cuda" else "float32")
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}")
    params = params.with_dtype(dtype)
    assert isinstance(params, PocParams)

    key, node_id, first = bytes.fromhex(vectors["public_key"]), vectors["node_id"], vectors["first_nonce"]
    compiled = worth_compiling(params.weight_count, main)
    seed = bytes.fromhex(vectors["poc_seed"])
    with Puzzle(params, seed, device, threads, compiled=compiled) as puzzle:
        claims = puzzle.generate(key, node_id, first, len(vectors["claims"]))
        verdict = verify(vectors["claims"], claims, params)
        rate = _nonces_per_s(puzzle, key, node_id, seconds)
        batch_size, kernels = puzzle.batch_size, "compiled" if puzzle.is_compiled else "eager"
    tokens = _tokens_per_s(model, main, seconds) if model else None
    pairs = zip(vectors["claims"], claims, strict=True)
    differences = [abs(golden_claim - claim) for golden_claim, claim in pairs if claim is not None]
    return Report(
        preset=preset,
        dtype=dtype,
        device=device if device != "auto" else str(main),
        hardware=_hardware(main),
        torch=str(torch.__version__),
        kernels=kernels,
        verdict="match" if verdict.honest else "mismatch",
        failed_tests=verdict.failed,
        nonces_checked=verdict.sampled,
        mismatches=verdict.mismatches,
        difference_max=max(differences, default=None),
        epsilon=params.epsilon,
        mean_square=verdict.mean_square,
        mean_square_limit=params.mean_square_limit,
        batch_size=batch_size,
        nonces_per_s=round(rate, 1),
        model=model.name if model else None,
        tokens_per_s=round(tokens, 2) if tokens is not None else None,
        throughput_per_nonce=max(1, round(tokens / rate * MILLION)) if tokens is not None else None,
    )


def _vectors(golden: Path, preset: str) -> tuple[dict[str, Any], Any]:
    from mlnode.pow import PRESETS  # noqa: PLC0415 - brings torch

    shipped = sorted(path.stem for path in golden.glob("*.json") if path.stem in PRESETS)
    if preset not in shipped:
        raise ValueError(
            f"there are golden vectors of {', '.join(shipped) or 'no preset'}, not of {preset!r}"
        )
    path = golden / f"{preset}.json"
    try:
        vectors = json.loads(path.read_text(encoding="utf-8"))
        claims = vectors["claims"]
        sound = bool(claims) and all(isinstance(claim, int) for claim in claims)
        sound = sound and len(bytes.fromhex(vectors["poc_seed"])) == 32
        sound = (
            sound and len(bytes.fromhex(vectors["public_key"])) == 33 and isinstance(vectors["node_id"], str)
        )
        sound = sound and isinstance(vectors["first_nonce"], int)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no golden vectors: {error}") from error
    if not sound:
        raise ValueError(f"{path} holds no golden vectors")
    return vectors, PRESETS[preset]


def _nonces_per_s(puzzle: Any, key: bytes, node_id: str, seconds: float) -> float:
    """Whole batches, after a first that warms up."""
    puzzle.generate(key, node_id, 0, puzzle.batch_size)
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not done:
        done += len(puzzle.generate(key, node_id, done, 4 * puzzle.batch_size))
    return done / elapsed


def _tokens_per_s(model: Path, device: Any, seconds: float) -> float:
    """New tokens of one answer after another, decoded by the embedded engine; more side by side give more."""
    from mlnode.model import generate_tokens, load_model, prepare_transformers  # noqa: PLC0415
    from mlnode.sampling import Sampling  # noqa: PLC0415

    prepare_transformers()
    dtype = "float16" if device.type == "cuda" else "float32"
    loaded = load_model(model, dtype, None, device)
    tokens = generate_tokens(loaded, [0] * 16, Sampling(1, 0, 1, (), None))
    next(tokens)
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not done:
        next(tokens)
        done += 1
        if done + 32 >= loaded.context:
            break
    return done / max(elapsed, 1e-9)


def _hardware(device: Any) -> str:
    import torch  # noqa: PLC0415

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
