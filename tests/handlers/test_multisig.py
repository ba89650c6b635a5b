"""Accounts of several owners: enough of them sign, each over the amino JSON document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel import amino
from abci_app.kernel.tx import SIGNATURE_GAS_MIN, decode, sign_bytes
from abci_app.modules import auth
from abci_app.modules.auth import accounts
from client import multisig as client
from client.tx import pack
from protocol import multisig
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
from protocol.gen.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.crypto.multisig.keys_pb2 import LegacyAminoPubKey
from protocol.gen.cosmos.crypto.multisig.v1beta1.multisig_pb2 import CompactBitArray, MultiSignature
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from tests.chain import DENOM, Chain, app_state, key_of

OWNERS = ("ann", "ben", "cid")
FUNDS = 10**9


def key_with(threshold: int, owners: Sequence[str] = OWNERS) -> LegacyAminoPubKey:
    return multisig.multisig_key(threshold, [key_of(name).public for name in owners])


def account_of(chain: Chain, address: str) -> auth_pb2.BaseAccount:
    """An account; an empty one where there is none yet."""
    return auth.account(chain.context(), address) or auth_pb2.BaseAccount()


def fund(chain: Chain, address: str) -> None:
    coins = [Coin(denom=DENOM, amount=str(FUNDS))]
    chain.must("alice", MsgSend(from_address=key_of("alice").address, to_address=address, amount=coins))


@dataclass
class Draft:
    """A transfer of an account with several owners, with whatever a test wants to be wrong."""

    chain: Chain
    key: LegacyAminoPubKey
    signers: Sequence[str] = OWNERS[:2]
    mode: signing_pb2.SignMode = signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON
    gas: int = 10**6
    shown: bool = True
    change: Callable[[tx_pb2.SignerInfo], object] = lambda _info: None
    parts: Callable[[list[bytes]], list[bytes]] = lambda parts: parts
    raw_signature: bytes | None = None
    address: str = field(init=False)

    def __post_init__(self) -> None:
        self.address = multisig.account(self.key)

    def body(self) -> bytes:
        send = MsgSend(
            from_address=self.address,
            to_address=key_of("bob").address,
            amount=[Coin(denom=DENOM, amount="5")],
        )
        return tx_pb2.TxBody(messages=[pack(send)]).SerializeToString(deterministic=True)

    def auth_info(self) -> bytes:
        members = [member.SerializeToString() for member in self.key.public_keys]
        signing = [multisig.packed_key(key_of(name).public).SerializeToString() for name in self.signers]
        single = tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode=self.mode))
        multi = tx_pb2.ModeInfo.Multi(
            bitarray=multisig.bit_array([member in signing for member in members]),
            mode_infos=[single] * len(signing),
        )
        info = tx_pb2.SignerInfo(
            public_key=pack(self.key) if self.shown else None,
            mode_info=tx_pb2.ModeInfo(multi=multi),
            sequence=account_of(self.chain, self.address).sequence,
        )
        self.change(info)
        fee = tx_pb2.Fee(gas_limit=self.gas)
        return tx_pb2.AuthInfo(signer_infos=[info], fee=fee).SerializeToString(deterministic=True)

    def raw(self) -> bytes:
        raw = tx_pb2.TxRaw(body_bytes=self.body(), auth_info_bytes=self.auth_info(), signatures=[b""])
        tx = decode(raw.SerializeToString())
        number = account_of(self.chain, self.address).account_number
        if self.mode == signing_pb2.SIGN_MODE_DIRECT:
            digest = sign_bytes(tx, self.chain.chain_id, number)
        else:
            sequence = tx.auth_info.signer_infos[0].sequence
            digest = amino.sign_bytes(tx, self.chain.chain_id, number, sequence)
        parts = self.parts([key_of(name).sign_digest(digest) for name in self.signers])
        joined = MultiSignature(signatures=parts).SerializeToString(deterministic=True)
        raw.signatures[0] = joined if self.raw_signature is None else self.raw_signature
        return raw.SerializeToString(deterministic=True)


def a_chain(*keys: LegacyAminoPubKey) -> Chain:
    """A chain on which the accounts of these keys have coins."""
    chain = Chain(app_state(funded=("alice", "bob")))
    chain.block()
    for key in keys:
        fund(chain, multisig.account(key))
    return chain


def test_two_of_three_owners_send_coins_and_the_key_is_kept() -> None:
    key = key_with(2)
    chain = a_chain(key)

    [first] = chain.block(Draft(chain, key, ("ann", "cid")).raw())
    [second] = chain.block(Draft(chain, key, ("ben", "cid"), shown=False).raw())

    assert (first.code, second.code) == (0, 0), (first.log, second.log)
    assert chain.balance(multisig.account(key)) == FUNDS - 10
    assert account_of(chain, multisig.account(key)).pub_key == pack(key)


@pytest.mark.parametrize("mode", [signing_pb2.SIGN_MODE_DIRECT, signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON])
def test_owners_sign_in_either_mode(mode: signing_pb2.SignMode) -> None:
    key = key_with(2)
    chain = a_chain(key)

    [result] = chain.block(Draft(chain, key, mode=mode).raw())

    assert result.code == 0, result.log


def test_the_clients_library_puts_signatures_together_as_the_chain_reads_them() -> None:
    key = key_with(2)
    chain = a_chain(key)
    draft = Draft(chain, key, ("ann", "cid"))
    tx = decode(draft.raw())
    digest = amino.sign_bytes(tx, chain.chain_id, account_of(chain, draft.address).account_number, 0)
    signatures = {key_of(name).public: key_of(name).sign_digest(digest) for name in ("cid", "ann")}

    info = client.signer_info(key, signatures, 0)

    assert info == tx.auth_info.signer_infos[0]
    assert client.signature(key, signatures) == tx.signatures[0]


def test_the_clients_library_names_all_that_is_wrong_with_signatures() -> None:
    with pytest.raises(multisig.MultisigError) as refused:
        client.signer_info(key_with(3), {key_of("eve").public: bytes(64), key_of("ann").public: bytes(64)}, 0)

    assert f"the key {key_of('eve').public.hex()} is not one of the account's" in str(refused.value)
    assert "2 signed, where 3 are needed" in str(refused.value)


def spoilt(parts: list[bytes]) -> list[bytes]:
    return [parts[0], bytes([parts[1][0] ^ 1]) + parts[1][1:]]


def as_single(info: tx_pb2.SignerInfo) -> None:
    info.mode_info.single.mode = signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON


def bits(extra: int, elems: bytes) -> Callable[[tx_pb2.SignerInfo], None]:
    array = CompactBitArray(extra_bits_stored=extra, elems=elems)
    return lambda info: info.mode_info.multi.bitarray.CopyFrom(array)


WRONG: dict[str, tuple[Callable[[Chain], Draft], int, str]] = {
    "too few": (
        lambda chain: Draft(chain, key_with(2), ("ann",)),
        4,
        "1 signatures, where 2 are needed",
    ),
    "one that is not of the owner": (
        lambda chain: Draft(chain, key_with(2), parts=spoilt),
        4,
        "signature 1: unable to verify single signer signature",
    ),
    "in another order": (
        lambda chain: Draft(chain, key_with(2), parts=lambda parts: parts[::-1]),
        4,
        "signature 0: unable to verify single signer signature",
    ),
    "one twice in place of two": (
        lambda chain: Draft(chain, key_with(2), parts=lambda parts: [parts[0], parts[0]]),
        4,
        "signature 1: unable to verify single signer signature",
    ),
    "more than are named": (
        lambda chain: Draft(chain, key_with(2), parts=lambda parts: [*parts, parts[0]]),
        4,
        "2 owners are named, with 2 modes and 3 signatures",
    ),
    "fewer than are named": (
        lambda chain: Draft(chain, key_with(2), parts=lambda parts: parts[:1]),
        4,
        "2 owners are named, with 2 modes and 1 signatures",
    ),
    "bits of another number of keys": (
        lambda chain: Draft(chain, key_with(2), change=bits(2, b"\xc0")),
        4,
        "the bit array is not one of 3 bits",
    ),
    "bits beyond the last key": (
        lambda chain: Draft(chain, key_with(2), change=bits(3, b"\xd0")),
        4,
        "the bit array is not one of 3 bits",
    ),
    "a length of bits that lies": (
        lambda chain: Draft(chain, key_with(2), change=bits((1 << 32) - 1, b"\xc0")),
        4,
        "the bit array is not one of 3 bits",
    ),
    "the mode of one owner": (
        lambda chain: Draft(chain, key_with(2), change=as_single),
        4,
        "the account has several owners, and the mode is that of one",
    ),
    "bytes that are none of several": (
        lambda chain: Draft(chain, key_with(2), raw_signature=bytes(64)),
        4,
        "the signature is not one of several owners",
    ),
    "a mode that is not supported": (
        lambda chain: Draft(chain, key_with(2), mode=signing_pb2.SIGN_MODE_TEXTUAL),
        37,
        "sign mode SIGN_MODE_TEXTUAL",
    ),
    "more owners than an account may have": (
        lambda chain: Draft(chain, key_with(1, [f"o{i}" for i in range(8)]), ("o0",)),
        14,
        "it has more than 7 keys",
    ),
}


@pytest.mark.parametrize(("make", "code", "text"), WRONG.values(), ids=WRONG.keys())
def test_refused_with_its_code_and_text_is(make: Callable[[Chain], Draft], code: int, text: str) -> None:
    chain = a_chain()
    fund(chain, make(chain).address)
    draft = make(chain)

    [result] = chain.block(draft.raw())

    assert result.code == code, result.log
    assert text in result.log
    assert chain.balance(draft.address) == FUNDS


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (LegacyAminoPubKey(threshold=0, public_keys=key_with(2).public_keys), "its threshold is 0 of 3 keys"),
        (LegacyAminoPubKey(threshold=4, public_keys=key_with(2).public_keys), "its threshold is 4 of 3 keys"),
        (LegacyAminoPubKey(threshold=0), "its threshold is 0 of 0 keys"),
        (
            LegacyAminoPubKey(threshold=1, public_keys=[multisig.packed_key(bytes(32))]),
            "one of its keys has 32 bytes, not 33",
        ),
    ],
)
def test_a_key_that_nobody_or_not_enough_can_sign_for_opens_no_account(
    key: LegacyAminoPubKey, text: str
) -> None:
    chain = a_chain(key)
    draft = Draft(chain, key, ())

    [result] = chain.block(draft.raw())

    assert result.code == 8, result.log
    assert text in result.log
    assert chain.balance(draft.address) == FUNDS


def test_an_owner_may_be_several_owners_itself() -> None:
    inner = key_with(2)
    outer = LegacyAminoPubKey(
        threshold=2, public_keys=[pack(inner), multisig.packed_key(key_of("dan").public)]
    )
    chain = a_chain(outer)
    draft = Draft(chain, outer, ("dan",))
    single = tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode=signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON))
    pair = tx_pb2.ModeInfo.Multi(bitarray=multisig.bit_array([True, True, False]), mode_infos=[single] * 2)
    both = tx_pb2.ModeInfo.Multi(
        bitarray=multisig.bit_array([True, True]), mode_infos=[tx_pb2.ModeInfo(multi=pair), single]
    )
    draft.change = lambda info: info.mode_info.multi.CopyFrom(both)
    tx = decode(draft.raw())
    digest = amino.sign_bytes(tx, chain.chain_id, account_of(chain, draft.address).account_number, 0)
    nested = MultiSignature(signatures=[key_of(name).sign_digest(digest) for name in ("ann", "ben")])
    draft.parts = lambda parts: [nested.SerializeToString(), *parts]

    [result] = chain.block(draft.raw())

    assert result.code == 0, result.log


def test_each_owners_signature_costs_and_counts_in_a_block() -> None:
    key = key_with(2)
    chain = a_chain(key)

    chain.block(Draft(chain, key).raw())  # keeps the key
    by_two = Draft(chain, key, ("ann", "ben")).raw()
    [two] = chain.block(by_two)
    by_three = Draft(chain, key, OWNERS).raw()
    [three] = chain.block(by_three)

    params = accounts.params(chain.context())
    size_cost = params.tx_size_cost_per_byte * (len(by_three) - len(by_two))
    assert three.gas_used - two.gas_used == params.sig_verify_cost_secp256k1 + size_cost
    assert decode(Draft(chain, key, OWNERS, gas=1).raw()).block_gas == 3 * SIGNATURE_GAS_MIN


def test_a_simulation_without_signatures_is_enough_for_those_that_are_needed() -> None:
    key = key_with(2)
    chain = a_chain(key)
    unsigned = Draft(chain, key, raw_signature=b"", change=as_single).raw()

    simulated = chain.app.simulate(unsigned).gas_used
    [real] = chain.block(Draft(chain, key).raw())

    assert real.code == 0, real.log
    assert real.gas_used <= simulated <= real.gas_used * 15 // 10


def several(array: CompactBitArray, modes: list[tx_pb2.ModeInfo]) -> tx_pb2.ModeInfo:
    return tx_pb2.ModeInfo(multi=tx_pb2.ModeInfo.Multi(bitarray=array, mode_infos=modes))


@given(st.data())
def test_whatever_stands_in_modes_and_signature_is_refused_or_runs_and_never_raises(
    data: st.DataObject,
) -> None:
    key = key_with(2)
    chain = a_chain(key)
    named = (
        signing_pb2.SIGN_MODE_UNSPECIFIED,
        signing_pb2.SIGN_MODE_DIRECT,
        signing_pb2.SIGN_MODE_TEXTUAL,
        signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON,
    )
    singles = [tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode=mode)) for mode in named]
    arrays = st.builds(CompactBitArray, extra_bits_stored=st.integers(0, 9), elems=st.binary(max_size=3))
    modes = st.recursive(
        st.sampled_from(singles),
        lambda inner: st.builds(several, arrays, st.lists(inner, max_size=4)),
    )
    mode = data.draw(modes)
    signature = data.draw(st.none() | st.binary(max_size=80))
    draft = Draft(
        chain, key, change=lambda info: info.mode_info.CopyFrom(mode), raw_signature=signature, gas=200_000
    )

    [result] = chain.block(draft.raw())

    assert result.codespace in {"", "sdk"}, result.log
    assert result.code in {0, 4, 14, 37}, result.log
