"""Claims of a range of one node's nonces, from plain values: what `evergrid mlnode nonces` prints."""

from __future__ import annotations

import re

SEED = re.compile(r"[0-9a-fA-F]{64}")
COMPRESSED_KEY = re.compile(r"0[23][0-9a-fA-F]{64}")
NONCE_END = 1 << 64


def nonces_command(
    *,
    preset: str,
    seed: str,
    public_key: str,
    node_id: str,
    first: int,
    count: int,
    device: str = "cpu",
    dtype: str | None = None,
    threads: int = 1,
) -> dict[str, list[int | None]]:
    """The object {"claims": [...]} of nonces first … first + count - 1; seed and public key are hex.

    Without a dtype the preset's holds. Raises ValueError that names all that is wrong with the values.
    """
    from mlnode.pow import DTYPES, PRESETS, Puzzle  # noqa: PLC0415 - torch takes seconds to import

    rules = {
        f"preset must be one of {', '.join(PRESETS)}": preset in PRESETS,
        "seed must be 64 hex digits": bool(SEED.fullmatch(seed)),
        "public key must be 66 hex digits that begin with 02 or 03": bool(
            COMPRESSED_KEY.fullmatch(public_key)
        ),
        "node id must not be empty": bool(node_id),
        "count must be at least 1": count >= 1,
        "nonces must lie in [0, 2^64)": first >= 0 and first + count <= NONCE_END,
        f"dtype must be one of {', '.join(DTYPES)}": dtype is None or dtype in DTYPES,
        "threads must be at least 1": threads >= 1,
    }
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise ValueError("; ".join(broken))

    params = PRESETS[preset] if dtype is None else PRESETS[preset].with_dtype(dtype)
    with Puzzle(params, bytes.fromhex(seed), device, threads) as puzzle:
        return {"claims": puzzle.generate(bytes.fromhex(public_key), node_id, first, count)}
