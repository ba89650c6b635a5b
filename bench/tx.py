"""Measures what one signed MsgSend costs before and in its handler, in microseconds a step. Prints JSON.

`python -m bench.tx [--rounds 5] [--txs 2000]`
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from coincurve import PrivateKey

from abci_app.kernel.context import Block, Context, Gas, Mode
from abci_app.kernel.kv import Overlay
from abci_app.kernel.store import MemoryStore
from abci_app.kernel.strict import Walker
from abci_app.kernel.tx import Tx, decode, sign_bytes
from abci_app.modules import auth, bank, feegrant
from abci_app.modules.auth import signatures
from protocol import address
from protocol.gen.cosmos.bank.v1beta1 import genesis_pb2
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.v1beta1 import coin_pb2
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.evergrid.auth.v1 import auth_pb2
from protocol.gen.google.protobuf import any_pb2

CHAIN_ID = "evergrid-bench-1"
DENOM = "nevg"
STORES = ("auth", "bank")


def key_of(number: int) -> PrivateKey:
    return PrivateKey(sha256(b"bench %d" % number).digest())


def signed_send(key: PrivateKey, number: int, recipient: str) -> bytes:
    """A transaction as a wallet sends it: one MsgSend, a fee, one signature over SIGN_MODE_DIRECT."""
    public_key = key.public_key.format()
    message = bank_tx.MsgSend(
        from_address=address.account(public_key),
        to_address=recipient,
        amount=[coin_pb2.Coin(denom=DENOM, amount="1000")],
    )
    packed = any_pb2.Any(type_url="/cosmos.bank.v1beta1.MsgSend", value=message.SerializeToString())
    signer = tx_pb2.SignerInfo(
        public_key=any_pb2.Any(
            type_url=signatures.SECP256K1_TYPE_URL,
            value=keys_pb2.PubKey(key=public_key).SerializeToString(),
        ),
        mode_info=tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode=signing_pb2.SIGN_MODE_DIRECT)),
    )
    fee = tx_pb2.Fee(amount=[coin_pb2.Coin(denom=DENOM, amount="200")], gas_limit=200_000)
    body_bytes = tx_pb2.TxBody(messages=[packed]).SerializeToString()
    auth_info_bytes = tx_pb2.AuthInfo(signer_infos=[signer], fee=fee).SerializeToString()
    document = tx_pb2.SignDoc(
        body_bytes=body_bytes, auth_info_bytes=auth_info_bytes, chain_id=CHAIN_ID, account_number=number
    )
    digest = sha256(document.SerializeToString()).digest()
    signature = key.sign_recoverable(digest, hasher=None)[:64]
    return tx_pb2.TxRaw(
        body_bytes=body_bytes, auth_info_bytes=auth_info_bytes, signatures=[signature]
    ).SerializeToString()


def a_state(senders: Sequence[str]) -> MemoryStore:
    """A committed state in which the senders have accounts 0, 1, 2 … and coins."""
    store = MemoryStore(STORES)
    overlay = Overlay(store)
    ctx = Context(Block(CHAIN_ID, 1), overlay)
    auth.MODULE.init_genesis(ctx, auth_pb2.GenesisState(fees=auth_pb2.FeeParams(denom=DENOM)))
    for sender in senders:
        auth.ensure_account(ctx, sender)
    coins = [coin_pb2.Coin(denom=DENOM, amount=str(10**12))]
    balances = [genesis_pb2.Balance(address=sender, coins=coins) for sender in senders]
    bank.MODULE.init_genesis(ctx, genesis_pb2.GenesisState(balances=balances))
    store.commit(store.stage(overlay.changes, 1), 1)
    return store


def contexts(store: MemoryStore, mode: Mode) -> Iterator[Context]:
    """A context for each transaction, its writes over those of the block."""
    block, overlay = Block(CHAIN_ID, 2), Overlay(store)
    while True:
        ctx = Context(block, Overlay(overlay), Gas(200_000), mode)
        yield ctx
        assert isinstance(ctx.kv, Overlay)
        ctx.kv.flush()


def ante(ctx: Context, tx: Tx) -> None:
    for step in auth.ANTE_BEFORE_FEE:
        step(ctx, tx)
    bank.deduct_fee(ctx, tx, waived=False, payer_of=feegrant.payer_of)
    for step in auth.ANTE_AFTER_FEE:
        step(ctx, tx)


def run_messages(ctx: Context, tx: Tx) -> None:
    for route, message in tx.messages:
        route.handler(ctx, message)


def verify(tx: Tx) -> bool:
    key = signatures.key_of(tx.auth_info.signer_infos[0].public_key)
    assert key is not None
    # Any digest costs the same, and this one needs no account number.
    return signatures.verify_signature(key, tx.hash, tx.signatures[0])


def best_us(rounds: int, work: Callable[[], int]) -> float:
    """The shortest of some rounds, in microseconds for each of what the work counts."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        done = work()
        times.append((time.perf_counter() - start) / done)
    return round(min(times) * 10**6, 2)


def each(txs: Sequence[Tx], step: Callable[[Tx], object]) -> Callable[[], int]:
    def work() -> int:
        for tx in txs:
            step(tx)
        return len(txs)

    return work


def on_state(
    txs: Sequence[Tx], store: MemoryStore, mode: Mode, *, warm: bool, messages: bool
) -> Callable[[], int]:
    """The ante chain, and the messages where wanted; warm: all signatures were verified before."""

    def work() -> int:
        if not warm:
            signatures.forget()
        for tx, ctx in zip(txs, contexts(store, mode), strict=False):
            ante(ctx, tx)
            if messages:
                run_messages(ctx, tx)
        return len(txs)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--txs", type=int, default=2000)
    options = parser.parse_args()

    keys = [key_of(number) for number in range(options.txs)]
    senders = [address.account(key.public_key.format()) for key in keys]
    raws = [signed_send(key, number, senders[(number + 1) % len(senders)]) for number, key in enumerate(keys)]
    txs = [decode(raw) for raw in raws]
    store = a_state(senders)
    resolved = {
        "/cosmos.bank.v1beta1.MsgSend": bank_tx.MsgSend,
        signatures.SECP256K1_TYPE_URL: keys_pb2.PubKey,
    }
    walker = Walker(resolved.get)

    def walk(tx: Tx) -> None:
        walker.check(tx.body_bytes, tx_pb2.TxBody)
        walker.check(tx.auth_info_bytes, tx_pb2.AuthInfo)

    cold = {"warm": False, "messages": False}
    steps = {
        "decode": each(txs, lambda tx: decode(tx.raw)),
        "decode_strict_walk_alone": each(txs, walk),
        "sign_bytes": each(txs, lambda tx: sign_bytes(tx, CHAIN_ID, 7)),
        "verify": each(txs, verify),
        "ante_check": on_state(txs, store, Mode.CHECK, **cold),
        "ante_recheck": on_state(txs, store, Mode.RECHECK, **cold),
        "ante_deliver_verified": on_state(txs, store, Mode.DELIVER, warm=True, messages=False),
        "ante_and_send_deliver_verified": on_state(txs, store, Mode.DELIVER, warm=True, messages=True),
    }
    # The warm steps come after the check that verifies what they rely on.
    on_state(txs, store, Mode.CHECK, **cold)()
    us: dict[str, float] = {}
    for name, work in steps.items():
        if name.endswith("verified"):
            on_state(txs, store, Mode.CHECK, **cold)()
        us[name] = best_us(options.rounds, work)
    print(json.dumps({"tx_bytes": len(raws[0]), "txs": options.txs, "us_per_tx": us}, indent=2))


if __name__ == "__main__":
    main()
