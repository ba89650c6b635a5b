"""What a transaction must prove before its messages run."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.context import Context, Gas, Mode
from abci_app.kernel.errors import QueryError, TxError
from abci_app.kernel.module import QUERIES
from abci_app.kernel.tx import decode
from abci_app.modules import auth, bank
from abci_app.modules.auth import accounts, signatures
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2, query_pb2
from protocol.gen.cosmos.base.v1beta1 import coin_pb2
from protocol.gen.cosmos.crypto.ed25519 import keys_pb2 as ed25519
from protocol.gen.cosmos.crypto.secp256k1 import keys_pb2
from protocol.gen.cosmos.tx.signing.v1beta1 import signing_pb2
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.evergrid.auth.v1 import auth_pb2 as evergrid_auth
from protocol.gen.google.protobuf import any_pb2, timestamp_pb2
from tests.ground import (
    ALICE,
    BOB,
    CAROL,
    CHAIN_ID,
    ORDER,
    SECOND_NS,
    START_NS,
    Draft,
    a_context,
    a_ground,
    a_key,
    a_send,
    ante,
    coins,
    events_of,
    pack,
    raw_of,
    state_of,
)


def refused(ctx: Context, raw: bytes, *, mode: Mode = Mode.DELIVER) -> tuple[int, str]:
    """Code and text with which the ante chain, in a branch as always, refuses; nothing changed."""
    before = state_of(ctx)
    with pytest.raises(TxError) as caught, ctx.branch() as branch:
        ante(branch, raw, mode=mode)
    assert state_of(ctx) == before
    assert ctx.events == []
    assert caught.value.codespace == "sdk"
    return caught.value.code, str(caught.value)


def sequence_of(ctx: Context, address: str) -> int:
    account = auth.account(ctx, address)
    assert account is not None
    return account.sequence


# what passes


def test_a_signed_transaction_raises_the_sequence_and_keeps_the_key() -> None:
    ctx = a_ground()

    ante(ctx, Draft([a_send()]).raw())

    account = auth.account(ctx, ALICE.address)
    assert account is not None
    assert account.sequence == 1
    assert account.pub_key == pack(keys_pb2.PubKey(key=ALICE.public))


def test_the_events_come_in_the_order_that_readers_know() -> None:
    ctx = a_ground()

    tx = ante(ctx, Draft([a_send()], fee=coins(100)).raw())

    kinds = [(kind, list(attributes)) for kind, attributes in events_of(ctx)]
    assert kinds == [
        ("coin_spent", ["spender", "amount"]),
        ("coin_received", ["receiver", "amount"]),
        ("transfer", ["recipient", "sender", "amount"]),
        ("message", ["sender"]),
        ("tx", ["fee", "fee_payer"]),
        ("tx", ["acc_seq"]),
        ("tx", ["signature"]),
    ]
    values = [attributes for kind, attributes in events_of(ctx) if kind == "tx"]
    assert values == [
        {"fee": "100nevg", "fee_payer": ALICE.address},
        {"acc_seq": f"{ALICE.address}/0"},
        {"signature": base64.b64encode(tx.signatures[0]).decode()},
    ]


def test_all_signers_of_all_messages_sign() -> None:
    ctx = a_ground()
    draft = Draft(
        [a_send(), a_send(BOB, ALICE)], signers=[ALICE, BOB], sequences=[0, 0], account_numbers=[0, 1]
    )

    ante(ctx, draft.raw())

    assert (sequence_of(ctx, ALICE.address), sequence_of(ctx, BOB.address)) == (1, 1)


def test_after_the_first_transaction_the_key_need_not_be_shown() -> None:
    ctx = a_ground()
    ante(ctx, Draft([a_send()]).raw())
    draft = Draft([a_send()], sequences=[1])
    auth_info = draft.auth_info()
    auth_info.signer_infos[0].ClearField("public_key")

    ante(ctx, draft.sign(draft.body().SerializeToString(), auth_info.SerializeToString()))

    assert sequence_of(ctx, ALICE.address) == 2


def test_a_transaction_that_was_sent_once_cannot_be_sent_again() -> None:
    ctx = a_ground()
    raw = Draft([a_send()]).raw()
    ante(ctx, raw)
    ctx.events.clear()

    code, text = refused(ctx, raw)

    assert (code, text) == (32, "account sequence mismatch, expected 1, got 0: incorrect account sequence")


# what does not


def with_body(change: Callable[[tx_pb2.TxBody], object]) -> bytes:
    draft = Draft([a_send()])
    body = draft.body()
    change(body)
    return draft.raw(body)


def with_auth_info(change: Callable[[tx_pb2.AuthInfo], object]) -> bytes:
    draft = Draft([a_send()])
    auth_info = draft.auth_info()
    change(auth_info)
    return draft.sign(draft.body().SerializeToString(), auth_info.SerializeToString())


def with_key(key: any_pb2.Any) -> bytes:
    return with_auth_info(lambda info: info.signer_infos[0].public_key.CopyFrom(key))


def stamp(time_ns: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=time_ns // SECOND_NS, nanos=time_ns % SECOND_NS)


def unsigned(count: int) -> bytes:
    draft = Draft([a_send()])
    body, info = draft.body().SerializeToString(), draft.auth_info().SerializeToString()
    return raw_of(body, info, [b"\x01" * 64] * count)


FAILED_SIGNATURE = (
    "signature verification failed; please verify account number (0) and chain-id "
    f"({CHAIN_ID}): (unable to verify single signer signature): unauthorized"
)
STRANGER = a_key("stranger")
REFUSED: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "a critical extension": (
        lambda: with_body(lambda body: body.extension_options.add(type_url="/x")),
        31,
        "/x: unknown extension options",
    ),
    "an unordered transaction": (
        lambda: with_body(lambda body: setattr(body, "unordered", True)),
        18,
        "unordered transaction must have timeout_timestamp set: invalid request",
    ),
    "no message": (lambda: Draft([]).raw(), 18, "must contain at least one message: invalid request"),
    "no signature": (lambda: unsigned(0), 15, "no signatures supplied"),
    "a signature too many": (
        lambda: unsigned(2),
        4,
        "wrong number of signers; expected 1, got 2: unauthorized",
    ),
    "a signer too few": (
        lambda: Draft([a_send(), a_send(BOB)]).raw(),
        4,
        "wrong number of signers; expected 2, got 1: unauthorized",
    ),
    "a gas limit of zero": (
        lambda: Draft([a_send()], gas_limit=0).raw(),
        41,
        "must provide positive gas: invalid gas limit",
    ),
    "a gas limit above 63 bits": (
        lambda: Draft([a_send()], gas_limit=2**63).raw(),
        18,
        f"invalid gas supplied; {2**63} > {2**63 - 1}: invalid request",
    ),
    "a height that is past": (
        lambda: with_body(lambda body: setattr(body, "timeout_height", 4)),
        30,
        "block height: 5, timeout height: 4: tx timeout height",
    ),
    "a time that is past": (
        lambda: with_body(lambda body: body.timeout_timestamp.CopyFrom(stamp(START_NS - 1))),
        42,
        f"block time: {START_NS} ns, timeout timestamp: {START_NS - 1} ns: tx timeout",
    ),
    "a long memo": (
        lambda: Draft([a_send()], memo="x" * 257).raw(),
        12,
        "maximum number of characters is 256 but received 257 characters: memo too large",
    ),
    "a payer that is no account": (
        lambda: Draft([a_send(STRANGER)], signers=[STRANGER]).raw(),
        9,
        f"fee payer address: {STRANGER.address} does not exist: unknown address",
    ),
    "more fee than there is": (
        lambda: Draft([a_send()], fee=coins(1001)).raw(),
        5,
        "spendable balance 1000nevg is smaller than 1001nevg: insufficient funds: insufficient funds",
    ),
    "a fee of the same coin twice": (
        lambda: Draft([a_send()], fee=coins(1) * 2).raw(),
        13,
        "invalid fee amount: duplicate denom: nevg: insufficient fee",
    ),
    "a fee granter that grants nothing": (
        lambda: with_auth_info(lambda info: setattr(info.fee, "granter", BOB.address)),
        38,
        f"{BOB.address} does not allow to pay fees for {ALICE.address}: fee-grant not found: not found",
    ),
    "a fee granter that is no address": (
        lambda: with_auth_info(lambda info: setattr(info.fee, "granter", "bob\0")),
        7,
        (
            "invalid fee granter address: decoding bech32 failed: "
            "invalid character or separator: invalid address"
        ),
    ),
    "another's key": (
        lambda: with_key(pack(keys_pb2.PubKey(key=BOB.public))),
        8,
        f"pubKey does not match signer address {ALICE.address} with signer index: 0: invalid pubkey",
    ),
    "a key of another length": (
        lambda: with_key(pack(keys_pb2.PubKey(key=ALICE.public[:-1]))),
        8,
        "the key has 32 bytes, not 33: invalid pubkey",
    ),
    "a key of another kind": (
        lambda: with_key(pack(ed25519.PubKey(key=bytes(32)))),
        8,
        (
            "keys of type /cosmos.crypto.ed25519.PubKey cannot sign, "
            "only /cosmos.crypto.secp256k1.PubKey and /cosmos.crypto.multisig.LegacyAminoPubKey: "
            "invalid pubkey"
        ),
    ),
    "no key at the first transaction": (
        lambda: with_auth_info(lambda info: info.signer_infos[0].ClearField("public_key")),
        8,
        "pubkey on account is not set: invalid pubkey",
    ),
    "a sequence ahead": (
        lambda: Draft([a_send()], sequences=[3]).raw(),
        32,
        "account sequence mismatch, expected 0, got 3: incorrect account sequence",
    ),
    "a signature for another chain": (
        lambda: Draft([a_send()], chain_id="other-1").raw(),
        4,
        FAILED_SIGNATURE,
    ),
    "a signature for another account number": (
        lambda: Draft([a_send()], account_numbers=[9]).raw(),
        4,
        FAILED_SIGNATURE,
    ),
    "an empty signature outside of a simulation": (
        lambda: raw_of(*parts(mode=signing_pb2.SIGN_MODE_DIRECT), [b""]),
        4,
        FAILED_SIGNATURE,
    ),
    "no sign mode outside of a simulation": (
        lambda: Draft([a_send()], mode=signing_pb2.SIGN_MODE_UNSPECIFIED).raw(),
        37,
        "sign mode SIGN_MODE_UNSPECIFIED: sign with SIGN_MODE_DIRECT: feature not supported",
    ),
    "a signature over other bytes than its mode says": (
        lambda: Draft([a_send()], mode=signing_pb2.SIGN_MODE_LEGACY_AMINO_JSON).raw(),
        4,
        FAILED_SIGNATURE,
    ),
    "a sign mode that nobody knows": (
        lambda: Draft([a_send()], mode=99).raw(),
        37,
        "sign mode 99: sign with SIGN_MODE_DIRECT: feature not supported",
    ),
}


def parts(*, mode: int) -> tuple[bytes, bytes]:
    draft = Draft([a_send()], mode=mode)
    return draft.body().SerializeToString(), draft.auth_info().SerializeToString()


@pytest.mark.parametrize(("make", "code", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_its_code_and_text_is(make: Callable[[], bytes], code: int, text: str) -> None:
    assert refused(a_ground(), make()) == (code, text)


def test_a_signer_that_is_no_address_is_named() -> None:
    message = a_send()
    message.from_address = "alice\0"

    code, text = refused(a_ground(), Draft([message]).raw())

    assert code == 7
    assert text.startswith("invalid signer address 'alice\\x00': decoding bech32 failed")


def test_more_signatures_than_the_limit_are_refused() -> None:
    ctx = a_ground()
    keys = [ALICE, BOB, CAROL, *(a_key(f"key {i}") for i in range(5))]
    for key in keys:
        auth.ensure_account(ctx, key.address)
    numbers = [getattr(auth.account(ctx, key.address), "account_number", -1) for key in keys]
    draft = Draft([a_send(key) for key in keys], keys, [0] * 8, numbers)

    code, text = refused(ctx, draft.raw())

    assert (code, text) == (14, "signatures: 8, limit: 7: maximum number of signatures exceeded")


def test_a_high_s_is_refused_though_the_curve_would_take_it() -> None:
    body, auth_info = parts(mode=signing_pb2.SIGN_MODE_DIRECT)
    signature = decode(Draft([a_send()]).raw()).signatures[0]
    mirrored = signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")

    code, text = refused(a_ground(), raw_of(body, auth_info, [mirrored]))

    assert (code, text) == (4, FAILED_SIGNATURE)


@given(st.integers(0, 63), st.integers(1, 255))
def test_no_changed_signature_is_valid(at: int, change: int) -> None:
    body, auth_info = parts(mode=signing_pb2.SIGN_MODE_DIRECT)
    signature = bytearray(decode(Draft([a_send()]).raw()).signatures[0])
    signature[at] ^= change

    code, _ = refused(a_ground(), raw_of(body, auth_info, [bytes(signature)]))

    assert code == 4


# fees and gas


@pytest.mark.parametrize("mode", [Mode.CHECK, Mode.RECHECK])
def test_a_mempool_asks_for_the_minimum_fee(mode: Mode) -> None:
    ctx = a_ground(minimum_gas_price_micro=1001)
    low, enough = Draft([a_send()], fee=coins(200)).raw(), Draft([a_send()], fee=coins(201)).raw()

    code, text = refused(ctx, low, mode=mode)
    ante(ctx, enough, mode=mode)

    assert (code, text) == (13, "insufficient fees; got: 200nevg required: 201nevg: insufficient fee")
    assert sequence_of(ctx, ALICE.address) == 1


def test_a_block_does_not_ask_for_the_minimum_fee() -> None:
    ctx = a_ground(minimum_gas_price_micro=1000)

    ante(ctx, Draft([a_send()]).raw(), mode=Mode.DELIVER)

    assert sequence_of(ctx, ALICE.address) == 1


def test_a_fee_of_zero_is_no_fee_and_no_error() -> None:
    ctx = a_ground()

    ante(ctx, Draft([a_send()], fee=coins(0)).raw(), mode=Mode.CHECK)

    assert bank.balance(ctx, ALICE.address, "nevg") == 1000
    assert ("tx", {"fee": "", "fee_payer": ALICE.address}) in events_of(ctx)


def test_a_waived_fee_is_not_asked_for() -> None:
    ctx = a_ground(minimum_gas_price_micro=1000)

    ante(ctx, Draft([a_send()]).raw(), mode=Mode.CHECK, waived=True)

    assert bank.balance(ctx, ALICE.address, "nevg") == 1000


def test_a_named_payer_pays_and_signs() -> None:
    ctx = a_ground({ALICE.address: 10, BOB.address: 500})
    draft = Draft([a_send()], [ALICE, BOB], [0, 0], [0, 1], fee=coins(100), payer=BOB.address)

    ante(ctx, draft.raw())

    assert bank.balance(ctx, ALICE.address, "nevg") == 10
    assert bank.balance(ctx, BOB.address, "nevg") == 400


def test_running_out_of_gas_names_the_place_and_both_numbers() -> None:
    ctx = a_ground()
    raw = Draft([a_send()], gas_limit=3000).raw()
    ctx.gas = Gas(3000)

    code, text = refused(ctx, raw)

    assert code == 11
    expected = f"out of gas in location: txSize; gasWanted: 3000, gasUsed: {ctx.gas.used}: out of gas"
    assert text == expected
    assert ctx.gas.used > 3000


def gas_of(ctx: Context, raw: bytes, mode: Mode) -> int:
    ctx.gas = Gas()
    with ctx.branch() as branch:
        tx = ante(branch, raw, mode=mode)
        for route, message in tx.messages:
            route.handler(branch, message)
    return ctx.gas.used


@pytest.mark.parametrize("fee", [[], coins(100), coins(10**3)])
def test_a_simulation_without_signature_and_fee_uses_nearly_the_gas_of_the_real_transaction(
    fee: list[coin_pb2.Coin],
) -> None:
    draft = Draft([a_send()], gas_limit=0, mode=signing_pb2.SIGN_MODE_UNSPECIFIED)
    body, info = draft.body().SerializeToString(), draft.auth_info().SerializeToString()
    funds = {ALICE.address: 10**6, BOB.address: 1}

    simulated = gas_of(a_ground(funds), raw_of(body, info, [b""]), Mode.SIMULATE)
    real = gas_of(a_ground(funds), Draft([a_send()], fee=fee).raw(), Mode.DELIVER)

    # The smallest factor by which clients multiply what a simulation used.
    assert simulated * 14 >= real * 10
    assert simulated <= real * 15 // 10


# signatures are verified once


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The signatures that the library was asked about, in order."""
    asked: list[bytes] = []
    verify = signatures.verify_signature

    def counted(key: bytes, digest: bytes, signature: bytes) -> bool:
        asked.append(signature)
        return verify(key, digest, signature)

    signatures.forget()
    monkeypatch.setattr(signatures, "verify_signature", counted)
    return asked


def test_a_signature_that_a_mempool_verified_is_not_verified_again(verifications: list[bytes]) -> None:
    raw = Draft([a_send()]).raw()

    ante(a_ground(), raw, mode=Mode.CHECK)
    ante(a_ground(), raw, mode=Mode.RECHECK)
    ante(a_ground(), raw, mode=Mode.DELIVER)

    assert len(verifications) == 1


def test_a_block_is_verified_ahead_and_then_not_again(verifications: list[bytes]) -> None:
    ctx = a_ground()
    txs = [decode(Draft([a_send()], sequences=[n]).raw()) for n in range(3)]

    pending = auth.pending_signatures(ctx, txs)
    auth.remember_signatures(pending, [signatures.verify_signature(*signed) for signed in pending])
    for tx in txs:
        ante(ctx, tx.raw)

    assert len(pending) == 3
    assert len(verifications) == 3
    assert auth.pending_signatures(ctx, txs) == []


def test_what_was_found_invalid_ahead_stays_invalid(verifications: list[bytes]) -> None:
    ctx = a_ground()
    tx = decode(Draft([a_send()], chain_id="other-1").raw())

    pending = auth.pending_signatures(ctx, [tx])
    auth.remember_signatures(pending, [signatures.verify_signature(*signed) for signed in pending])

    assert refused(ctx, tx.raw) == (4, FAILED_SIGNATURE)
    assert len(verifications) == 1


def test_signers_without_an_account_are_left_to_their_turn() -> None:
    signatures.forget()
    tx = decode(Draft([a_send(STRANGER)], signers=[STRANGER]).raw())

    assert auth.pending_signatures(a_ground(), [tx]) == []


def test_the_memory_of_signatures_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    signatures.forget()
    monkeypatch.setattr(signatures, "REMEMBERED_MAX", 3)
    signed = [(bytes((n,)), b"", b"") for n in range(5)]

    signatures.remember(signed, [True] * 5)

    assert list(signatures._remembered) == signed[2:]


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=70))
def test_malformed_parts_are_invalid_and_nothing_else(key: bytes, digest: bytes, signature: bytes) -> None:
    assert signatures.verify_signature(key, digest, signature) is False


# accounts


def test_accounts_are_numbered_in_the_order_in_which_they_come() -> None:
    ctx = a_ground()

    auth.ensure_account(ctx, STRANGER.address)
    auth.ensure_account(ctx, STRANGER.address)
    auth.ensure_account(ctx, a_key("next").address)

    numbers = [
        getattr(auth.account(ctx, key.address), "account_number", -1) for key in (STRANGER, a_key("next"))
    ]
    assert numbers[1] == numbers[0] + 1
    assert numbers[0] == 5  # after three keys and the two module accounts of bank


def ask(ctx: Context, request: object) -> object:
    (query,) = [route for route in QUERIES.values() if route.route.request is type(request)]
    return query.answer(ctx, request)


def test_an_account_is_answered_as_a_base_account_and_a_modules_as_its_own_kind() -> None:
    ctx = a_ground()
    collector = auth.ensure_module_account(ctx, "fee_collector")

    mine = ask(ctx, query_pb2.QueryAccountRequest(address=ALICE.address))
    modules = ask(ctx, query_pb2.QueryAccountRequest(address=collector))

    assert isinstance(mine, query_pb2.QueryAccountResponse)
    assert isinstance(modules, query_pb2.QueryAccountResponse)
    assert mine.account == pack(auth_pb2.BaseAccount(address=ALICE.address))
    assert modules.account.type_url == "/cosmos.auth.v1beta1.ModuleAccount"
    assert auth_pb2.ModuleAccount.FromString(modules.account.value).name == "fee_collector"


def test_an_unknown_account_is_answered_with_the_text_that_wallets_match() -> None:
    with pytest.raises(QueryError) as caught:
        ask(a_ground(), query_pb2.QueryAccountRequest(address=STRANGER.address))

    assert (caught.value.status, str(caught.value)) == ("NotFound", f"account {STRANGER.address} not found")


@pytest.mark.parametrize("address", ["", "evergrid1x", "\0", "cosmos1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnrql8a"])
def test_what_is_no_address_is_an_invalid_argument(address: str) -> None:
    with pytest.raises(QueryError) as caught:
        ask(a_ground(), query_pb2.QueryAccountInfoRequest(address=address))

    assert caught.value.status == "InvalidArgument"


def test_all_accounts_are_answered_by_address_and_those_of_modules_by_name() -> None:
    ctx = a_ground()

    everyone = ask(ctx, query_pb2.QueryAccountsRequest())
    modules = ask(ctx, query_pb2.QueryModuleAccountsRequest())

    assert isinstance(everyone, query_pb2.QueryAccountsResponse)
    assert isinstance(modules, query_pb2.QueryModuleAccountsResponse)
    assert len(everyone.accounts) == 5
    names = [auth_pb2.ModuleAccount.FromString(packed.value).name for packed in modules.accounts]
    assert names == ["community_pool", "fee_collector"]


# genesis


@given(st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True), st.integers(0, 2**63))
def test_an_exported_genesis_builds_the_same_state(names: list[str], sequence: int) -> None:
    ctx = a_ground()
    for name in names:
        key = a_key(name)
        auth.ensure_account(ctx, key.address)
        account = auth.account(ctx, key.address)
        assert account is not None
        account.sequence = sequence
        account.pub_key.CopyFrom(pack(keys_pb2.PubKey(key=key.public)))
        accounts.set_account(ctx, account)
    exported = auth.MODULE.export_genesis(ctx)

    again = a_context()
    assert auth.MODULE.validate_genesis(exported) == []
    auth.MODULE.init_genesis(again, exported)

    assert auth.MODULE.export_genesis(again) == exported
    of_auth = {key: value for key, value in state_of(ctx).items() if key.startswith(b"auth/")}
    assert state_of(again) == of_auth


def test_everything_wrong_with_a_genesis_is_named_at_once() -> None:
    base = auth_pb2.BaseAccount(address=ALICE.address)
    genesis = evergrid_auth.GenesisState(
        accounts=[
            pack(base),
            pack(base),
            pack(auth_pb2.BaseAccount(address="nobody", account_number=7)),
            pack(auth_pb2.ModuleAccount(base_account=auth_pb2.BaseAccount(address=BOB.address), name="gov")),
        ]
    )

    errors = auth.MODULE.validate_genesis(genesis)

    assert errors[0] == "fees.denom is empty"
    assert errors[1] == f"accounts[1]: {ALICE.address} is accounts[0] already"
    assert errors[2].startswith("accounts[2]: 'nobody': decoding bech32 failed")
    assert errors[3] == "accounts[2]: its number is 7, its place 2"
    assert errors[4] == f"accounts[3]: {BOB.address} is not the address of module gov"
    assert len(errors) == 5


def test_an_account_of_no_known_kind_is_named() -> None:
    genesis = evergrid_auth.GenesisState(
        fees=evergrid_auth.FeeParams(denom="nevg"), accounts=[any_pb2.Any(type_url="/x")]
    )

    assert auth.MODULE.validate_genesis(genesis) == ["accounts[0]: '/x' is no kind of account"]
