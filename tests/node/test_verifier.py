"""The verifier agrees with the library's own check, in order, whatever is wrong with what it is given."""

from __future__ import annotations

from hashlib import sha256

import coincurve
import pytest

from abci_app.modules.auth.signatures import verify_signature
from abci_app.node.verifier import Verifier

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def signed(number: int) -> tuple[bytes, bytes, bytes]:
    """Key, digest and signature of a transaction of its own."""
    key = coincurve.PrivateKey.from_int(number + 1)
    digest = sha256(number.to_bytes(4, "big")).digest()
    return key.public_key.format(), digest, key.sign_recoverable(digest, hasher=None)[:64]


@pytest.mark.parametrize("count", [0, 1, 127, 128, 1000])
def test_each_signature_is_judged_by_itself_and_in_order(count: int) -> None:
    batch = [signed(number) for number in range(count)]
    wrong = {number for number in range(count) if number % 7 == 3}
    for number in wrong:
        key, digest, _ = batch[number]
        batch[number] = (key, digest, signed(number + 1)[2])
    verifier = Verifier(threads=3)

    verdicts = verifier.verify(batch)

    verifier.close()
    assert verdicts == [number not in wrong for number in range(count)]


def test_the_calling_thread_works_along_when_the_pool_is_busy() -> None:
    verifier = Verifier(threads=1)
    import threading

    release = threading.Event()
    blocker = verifier._pool.submit(release.wait)

    verdicts = verifier.verify([signed(number) for number in range(200)])

    assert verdicts == [True] * 200
    assert not blocker.done()
    release.set()
    verifier.close()


def test_a_signature_in_the_upper_half_is_refused() -> None:
    key, digest, signature = signed(1)
    s = int.from_bytes(signature[32:], "big")
    mirrored = signature[:32] + (ORDER - s).to_bytes(32, "big")

    assert verify_signature(key, digest, signature)
    assert not verify_signature(key, digest, mirrored)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("change", ["shorter", "longer", "empty", "zero", "ones"])
def test_a_malformed_part_makes_the_signature_invalid(part: int, change: str) -> None:
    parts = list(signed(5))
    whole = parts[part]
    parts[part] = {
        "shorter": whole[:-1],
        "longer": whole + b"\x00",
        "empty": b"",
        "zero": bytes(len(whole)),
        "ones": b"\xff" * len(whole),
    }[change]

    assert not verify_signature(*parts)


def test_an_uncompressed_key_is_refused() -> None:
    _, digest, signature = signed(2)
    uncompressed = coincurve.PrivateKey.from_int(3).public_key.format(compressed=False)

    assert not verify_signature(uncompressed, digest, signature)
