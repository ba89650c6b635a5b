"""What tests of accounts, coins and votes stand on: keys, signed transactions, a state in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from coincurve import PrivateKey
from google.protobuf.message import Message

from abci_app.kernel.context import Block, Context, Gas, Mode
from abci_app.kernel.kv import Overlay
from abci_app.kernel.tx import Tx, decode
from abci_app.modules import auth, bank, feegrant
from protocol import address as addresses
from protocol.gen.cosmos.bank.v1beta1 import genesis_pb2 as bank_genesis
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.v1beta1 import coin_pb2
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.evergrid.auth.v1 import auth_pb2 as evergrid_auth
from protocol.gen.google.protobuf import any_pb2

CHAIN_ID = "evergrid-test-1"
DENOM = "nevg"
SECOND_NS = 10**9
START_NS = 1_800_000_000 * SECOND_NS
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class DictKV:
    """The smallest store: a dict, walked in key order."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        self.values[key] = value

    def delete(self, key: bytes) -> None:
        self.values.pop(key, None)

    def iterate(self, start: bytes, end: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        keys = sorted((key for key in self.values if start <= key < end), reverse=reverse)
        return ((key, self.values[key]) for key in keys if key in self.values)


def a_context(height: int = 5, *, mode: Mode = Mode.DELIVER, gas: int | None = None) -> Context:
    """An empty state in a block."""
    return Context(Block(CHAIN_ID, height, START_NS), DictKV(), Gas(gas), mode)


def state_of(ctx: Context) -> dict[bytes, bytes]:
    """Everything that is written, to be compared."""
    if isinstance(ctx.kv, Overlay):
        return dict(ctx.kv.iterate(b"\0", b"\xff"))
    assert isinstance(ctx.kv, DictKV)
    return dict(ctx.kv.values)


def events_of(ctx: Context) -> list[tuple[str, dict[str, str]]]:
    """The events in order."""
    return [(event.type, dict(event.attributes)) for event in ctx.events]


def later(ctx: Context, seconds: int) -> None:
    """Moves to a block so many seconds on."""
    ctx.block = replace(ctx.block, height=ctx.height + 1, time_ns=ctx.block.time_ns + seconds * SECOND_NS)


@dataclass(frozen=True)
class Key:
    """A signer, made from its name."""

    name: str
    private: PrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        return self.private.public_key.format()

    @property
    def address(self) -> str:
        return addresses.account(self.public)

    def sign(self, digest: bytes) -> bytes:
        return self.private.sign_recoverable(digest, hasher=None)[:64]


def a_key(name: str) -> Key:
    return Key(name, PrivateKey(hashlib.sha256(name.encode()).digest()))


ALICE, BOB, CAROL = a_key("alice"), a_key("bob"), a_key("carol")


def coins(amount: int, denom: str = DENOM) -> list[coin_pb2.Coin]:
    return [coin_pb2.Coin(denom=denom, amount=str(amount))]


def pack(message: Message) -> any_pb2.Any:
    return any_pb2.Any(
        type_url="/" + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True)
    )


def a_send(sender: Key = ALICE, recipient: Key = BOB, amount: int = 5, denom: str = DENOM) -> bank_tx.MsgSend:
    return bank_tx.MsgSend(
        from_address=sender.address, to_address=recipient.address, amount=coins(amount, denom)
    )


@dataclass
class Draft:
    """A transaction before it is signed; tests bend it."""

    messages: Sequence[Message]
    signers: Sequence[Key] = (ALICE,)
    sequences: Sequence[int] = (0,)
    account_numbers: Sequence[int] = (0,)
    fee: Sequence[coin_pb2.Coin] = ()
    gas_limit: int = 200_000
    memo: str = ""
    chain_id: str = CHAIN_ID
    mode: int = signing_pb2.SIGN_MODE_DIRECT
    payer: str = ""

    def body(self) -> tx_pb2.TxBody:
        return tx_pb2.TxBody(messages=[pack(message) for message in self.messages], memo=self.memo)

    def auth_info(self) -> tx_pb2.AuthInfo:
        infos = [
            tx_pb2.SignerInfo(
                public_key=pack(keys_pb2.PubKey(key=key.public)),
                mode_info=tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode=self.mode)),  # type: ignore[arg-type]
                sequence=sequence,
            )
            for key, sequence in zip(self.signers, self.sequences, strict=True)
        ]
        fee = tx_pb2.Fee(amount=self.fee, gas_limit=self.gas_limit, payer=self.payer)
        return tx_pb2.AuthInfo(signer_infos=infos, fee=fee)

    def raw(self, body: tx_pb2.TxBody | None = None) -> bytes:
        """The signed bytes."""
        body_bytes = (body or self.body()).SerializeToString(deterministic=True)
        return self.sign(body_bytes, self.auth_info().SerializeToString(deterministic=True))

    def sign(self, body_bytes: bytes, auth_info_bytes: bytes) -> bytes:
        """The signed bytes of the given parts."""
        signatures = [
            key.sign(sign_digest(body_bytes, auth_info_bytes, self.chain_id, number))
            for key, number in zip(self.signers, self.account_numbers, strict=True)
        ]
        return raw_of(body_bytes, auth_info_bytes, signatures)


def sign_digest(body_bytes: bytes, auth_info_bytes: bytes, chain_id: str, account_number: int) -> bytes:
    document = tx_pb2.SignDoc(
        body_bytes=body_bytes,
        auth_info_bytes=auth_info_bytes,
        chain_id=chain_id,
        account_number=account_number,
    )
    return hashlib.sha256(document.SerializeToString()).digest()


def raw_of(body_bytes: bytes, auth_info_bytes: bytes, signatures: Sequence[bytes]) -> bytes:
    return tx_pb2.TxRaw(
        body_bytes=body_bytes, auth_info_bytes=auth_info_bytes, signatures=signatures
    ).SerializeToString()


def a_ground(funds: dict[str, int] | None = None, *, minimum_gas_price_micro: int = 0) -> Context:
    """Auth and bank after a genesis in which ALICE, BOB and CAROL have accounts 0, 1, 2 and these funds."""
    ctx = a_context()
    fees = evergrid_auth.FeeParams(denom=DENOM, minimum_gas_price_micro=minimum_gas_price_micro)
    auth.MODULE.init_genesis(ctx, evergrid_auth.GenesisState(fees=fees))
    funds = {ALICE.address: 1000, BOB.address: 0} if funds is None else funds
    for key in (ALICE, BOB, CAROL):
        auth.ensure_account(ctx, key.address)
    balances = [
        bank_genesis.Balance(address=address, coins=coins(amount))
        for address, amount in funds.items()
        if amount
    ]
    bank.MODULE.init_genesis(ctx, bank_genesis.GenesisState(balances=balances))
    ctx.events.clear()
    ctx.gas.used = 0
    return ctx


def ante(ctx: Context, raw: bytes, *, mode: Mode = Mode.DELIVER, waived: bool = False) -> Tx:
    """Runs the whole ante chain; raises what it raises, and then leaves what was written before."""
    tx = decode(raw)
    ctx.mode = mode
    for step in auth.ANTE_BEFORE_FEE:
        step(ctx, tx)
    bank.deduct_fee(ctx, tx, waived, feegrant.payer_of)
    for step in auth.ANTE_AFTER_FEE:
        step(ctx, tx)
    return tx
