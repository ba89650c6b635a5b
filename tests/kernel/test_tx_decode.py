"""Which bytes are a transaction, and which are not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.errors import TxParseError
from abci_app.kernel.strict import DEPTH_MAX, Walker
from abci_app.kernel.tx import Tx, decode, sign_bytes, signers
from abci_app.modules import authz, bank, gov, poc  # noqa: F401 - their messages are what transactions carry
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2
from protocol.gen.cosmos.authz.v1beta1 import tx_pb2 as authz_tx
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.gov.v1 import gov_pb2
from protocol.gen.cosmos.gov.v1 import tx_pb2 as gov_tx
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2
from protocol.gen.google.protobuf import any_pb2, descriptor_pb2
from tests.ground import ALICE, BOB, CHAIN_ID, Draft, a_send, coins, pack, raw_of, sign_digest

AUTH_INFO = Draft([a_send()], fee=coins(100)).auth_info().SerializeToString(deterministic=True)
SIGNATURE = b"\x01" * 64
MEMO_TAG, AMOUNT_TAG = 2, 3


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, content: bytes | int) -> bytes:
    """One encoded field: a length-delimited one from bytes, a varint from a number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def with_body(body_bytes: bytes) -> bytes:
    return raw_of(body_bytes, AUTH_INFO, [SIGNATURE])


def with_message(type_url: str, value: bytes) -> bytes:
    return with_body(field(1, field(1, type_url.encode()) + field(2, value)))


def a_body(*messages: Message) -> bytes:
    body = tx_pb2.TxBody(messages=[pack(message) for message in messages or (a_send(),)])
    return body.SerializeToString(deterministic=True)


def refusal(raw: bytes) -> str:
    with pytest.raises(TxParseError) as caught:
        decode(raw)
    assert (caught.value.codespace, caught.value.code) == ("sdk", 2)
    assert str(caught.value).endswith(": tx parse error")
    return str(caught.value)


# what is accepted


def test_a_transaction_is_what_was_signed() -> None:
    draft = Draft([a_send(amount=7)], fee=coins(100), memo="hello", gas_limit=99)

    raw = draft.raw()
    tx = decode(raw)

    assert (tx.raw, tx.hash) == (raw, hashlib.sha256(raw).digest())
    assert [(route.type_url, message) for route, message in tx.messages] == [
        ("/cosmos.bank.v1beta1.MsgSend", a_send(amount=7))
    ]
    assert (tx.body.memo, tx.gas_limit, list(tx.fee.amount)) == ("hello", 99, coins(100))
    assert signers(tx) == (ALICE.address,)
    assert tx.fee_payer == ALICE.address


def test_what_is_signed_is_the_sha256_of_the_sign_document() -> None:
    tx = decode(Draft([a_send()]).raw())

    digest = sign_bytes(tx, CHAIN_ID, 17)

    assert digest == sign_digest(tx.body_bytes, tx.auth_info_bytes, CHAIN_ID, 17)


def test_signers_are_those_of_the_messages_in_order_and_once_then_the_payer() -> None:
    messages = [a_send(BOB), a_send(ALICE), a_send(BOB)]

    tx = decode(Draft(messages, payer="payer").raw())

    assert signers(tx) == (BOB.address, ALICE.address, "payer")
    assert tx.fee_payer == "payer"


def test_explicit_defaults_and_any_order_of_fields_are_accepted_since_wallets_write_them() -> None:
    message = field(3, field(2, b"5") + field(1, b"nevg")) + field(2, BOB.address.encode()) + field(1, b"")
    body = field(3, 0) + field(1, field(2, message) + field(1, b"/cosmos.bank.v1beta1.MsgSend"))

    tx = decode(with_body(body))

    ((_, sent),) = tx.messages
    assert sent == bank_tx.MsgSend(to_address=BOB.address, amount=coins(5))


def test_an_unknown_field_of_the_body_is_passed_over_when_its_number_says_that_it_may_be() -> None:
    tx = decode(with_body(a_body() + field(1024 + 7, b"from a later version")))

    assert len(tx.messages) == 1


@given(st.text(max_size=40), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=70))
def test_whatever_a_wallet_encodes_canonically_is_decoded_to_the_same(
    memo: str, gas_limit: int, sequence: int, signature: bytes
) -> None:
    draft = Draft([a_send(), a_send(BOB, ALICE)], sequences=[sequence], memo=memo, gas_limit=gas_limit)
    body, auth_info = draft.body(), draft.auth_info()

    tx = decode(raw_of(body.SerializeToString(), auth_info.SerializeToString(), [signature]))

    assert (tx.body, tx.auth_info, tx.signatures) == (body, auth_info, (signature,))


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
)
def test_packed_and_negative_numbers_are_accepted_as_protobuf_writes_them(
    nonces: list[int], count: int, height: int, claims: bytes
) -> None:
    batch = poc_pb2.MsgSubmitPocBatch(
        nonces=nonces, nonce_count=count, poc_stage_start_height=height, claims=claims
    )

    tx = decode(with_body(a_body(batch)))

    assert tx.messages[0][1] == batch


# what is refused


def test_an_unregistered_type_is_named() -> None:
    assert refusal(with_message("/x", b"")) == "unable to resolve type URL /x: tx parse error"


def test_a_type_url_is_not_echoed_at_any_length() -> None:
    assert len(refusal(with_message("/" + "x" * 10_000, b""))) < 300


def test_a_type_with_a_host_before_its_slash_is_not_resolved() -> None:
    raw = with_message("type.googleapis.com/cosmos.bank.v1beta1.MsgSend", a_send().SerializeToString())

    assert "unable to resolve type URL" in refusal(raw)


def test_a_message_within_a_proposal_is_read_as_strictly() -> None:
    inner = any_pb2.Any(type_url="/x")
    proposal = gov_tx.MsgSubmitProposal(messages=[inner], proposer=ALICE.address)

    assert "unable to resolve type URL /x" in refusal(with_body(a_body(proposal)))


MESSAGE = a_send().SerializeToString(deterministic=True)
SEND = "/cosmos.bank.v1beta1.MsgSend"
REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    (
        "a critical unknown field of the body",
        lambda: with_body(a_body() + field(31, b"")),
        "unknown field 31",
    ),
    ("an unknown field of the auth info", lambda: raw_of(a_body(), AUTH_INFO + field(1031, 1), []), "1031"),
    (
        "an unknown field of a message",
        lambda: with_message(SEND, MESSAGE + field(1031, 1)),
        "unknown field 1031",
    ),
    ("a tip", lambda: raw_of(a_body(), AUTH_INFO + field(3, b""), []), "unknown field 3"),
    ("an unknown field of the raw transaction", lambda: with_body(a_body()) + field(4, b""), "unknown field"),
    (
        "a number where text belongs",
        lambda: with_body(a_body() + field(2, 1)),
        "field 2 has the wrong wire type 0",
    ),
    (
        "text where a number belongs",
        lambda: with_body(a_body() + field(3, b"1")),
        "field 3 has the wrong wire type 2",
    ),
    ("a field twice", lambda: with_body(a_body() + field(2, b"a") + field(2, b"b")), "field 2 stands twice"),
    ("a message's field twice", lambda: with_message(SEND, field(1, b"a") * 2), "field 1 stands twice"),
    ("a padded number", lambda: with_body(a_body() + b"\x18\x85\x00"), "a varint is not minimal"),
    ("a padded tag", lambda: with_body(a_body() + b"\x98\x00\x05"), "a varint is not minimal"),
    ("a padded length", lambda: with_body(a_body() + b"\x12\x81\x00a"), "a varint is not minimal"),
    ("a padded length of the body", lambda: b"\x0a\x81\x00a", "a varint is not minimal"),
    ("a number above 64 bits", lambda: with_body(b"\x18" + b"\xff" * 9 + b"\x02"), "above 64 bits"),
    ("a number without end", lambda: with_body(b"\x18" + b"\xff" * 10 + b"\x01"), "longer than 10 bytes"),
    ("a truth value of two", lambda: with_body(a_body() + field(4, 2)), "field 4 is out of range: 2"),
    (
        "an enum above 32 bits",
        lambda: with_message("/cosmos.gov.v1.MsgVote", field(3, 1 << 31)),
        "out of range",
    ),
    ("a body that ends early", lambda: with_body(a_body()[:-1]), "longer than its message"),
    ("a number cut off", lambda: with_body(a_body() + b"\x18"), "unexpected end"),
    ("bytes that end early", lambda: with_body(a_body())[:-1], "unexpected end"),
    ("text that is no UTF-8", lambda: with_body(a_body() + field(2, b"\xff")), "not UTF-8"),
    ("a body after the auth info", lambda: field(2, AUTH_INFO) + field(1, a_body()), "out of order"),
    ("a body after a signature", lambda: field(3, SIGNATURE) + field(1, a_body()), "out of order"),
    ("two bodies", lambda: field(1, a_body()) * 2, "stands twice"),
    ("an empty body that is written", lambda: field(1, b"") + field(2, AUTH_INFO), "without content"),
    ("an Any with its value twice", lambda: with_body(field(1, field(2, b"") * 2)), "field 2 stands twice"),
    ("an Any with a third field", lambda: with_body(field(1, field(3, b""))), "unknown field"),
    ("a group", lambda: with_body(a_body() + b"\xfb\x40\xfc\x40"), "unknown field 1039"),
]


@pytest.mark.parametrize(
    ("make", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused_is(make: Callable[[], bytes], reason: str) -> None:
    assert reason in refusal(make())


def test_padded_numbers_are_found_in_packed_fields_too() -> None:
    numbers = b"\x01\x82\x00\x03"

    raw = with_message("/evergrid.poc.v1.MsgSubmitPocBatch", field(7, numbers))

    assert "field 7 has a varint that is padded" in refusal(raw)


def test_of_a_oneof_only_one_member_may_stand() -> None:
    # Two modes of one signer: whichever a reader takes, another may take the other.
    single = field(1, field(1, 1))
    info = field(1, field(2, single + single))

    assert "field 1 stands twice" in refusal(raw_of(a_body(), info, []))


def a_nest(depth: int) -> gov_tx.MsgSubmitProposal:
    proposal = gov_tx.MsgSubmitProposal(proposer="p")
    for _ in range(depth):
        proposal = gov_tx.MsgSubmitProposal(messages=[pack(proposal)], proposer="p")
    return proposal


def test_messages_nest_up_to_a_limit() -> None:
    # Body, then an Any and a message for each level.
    deepest = (DEPTH_MAX - 1) // 2

    assert len(decode(with_body(a_body(a_nest(deepest - 1)))).messages) == 1
    assert f"deeper than {DEPTH_MAX}" in refusal(with_body(a_body(a_nest(deepest))))
    assert f"deeper than {DEPTH_MAX}" in refusal(with_body(a_body(a_nest(500))))


@pytest.mark.parametrize("levels", [DEPTH_MAX // 2, 500])
def test_the_limit_of_nesting_holds_where_an_any_begins_at_an_odd_depth(levels: int) -> None:
    deep = pack(a_nest(levels))
    in_body = a_body(authz_tx.MsgGrant(grant=authz_pb2.Grant(authorization=deep)))
    in_key = tx_pb2.AuthInfo(signer_infos=[tx_pb2.SignerInfo(public_key=deep)])

    for raw in (with_body(in_body), raw_of(a_body(), in_key.SerializeToString(), [SIGNATURE])):
        assert f"deeper than {DEPTH_MAX}" in refusal(raw)


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(0, 10**9), (0, -1), (253_402_300_800, 0), (-62_135_596_801, 0)]
)
def test_a_timestamp_that_is_no_time_is_refused(seconds: int, nanos: int) -> None:
    message = authz_tx.MsgGrant()
    message.grant.expiration.seconds, message.grant.expiration.nanos = seconds, nanos

    # JSON cannot write it, so one transaction would take whole pages of answers from everybody.
    assert "google.protobuf.Timestamp" in refusal(with_body(a_body(message)))


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(1, 10**9), (1, -1), (-1, 1), (315_576_000_001, 0), (-315_576_000_001, 0)]
)
def test_a_duration_that_is_no_span_is_refused(seconds: int, nanos: int) -> None:
    message = gov_tx.MsgUpdateParams()
    message.params.voting_period.seconds, message.params.voting_period.nanos = seconds, nanos

    assert "google.protobuf.Duration" in refusal(with_body(a_body(message)))


def test_the_last_timestamp_and_the_longest_duration_are_taken() -> None:
    ends = authz_tx.MsgGrant()
    ends.grant.expiration.seconds, ends.grant.expiration.nanos = 253_402_300_799, 999_999_999
    spans = gov_tx.MsgUpdateParams()
    spans.params.voting_period.seconds, spans.params.voting_period.nanos = -315_576_000_000, -1

    assert len(decode(with_body(a_body(ends, spans))).messages) == 2


# what must hold for all bytes

SIGNED = Draft(
    [a_send(), gov_tx.MsgVote(proposal_id=3, voter=ALICE.address, option=gov_pb2.VOTE_OPTION_YES)],
    fee=coins(100),
    memo="memo",
).raw()


def assert_has_one_meaning(raw: bytes, tx: Tx) -> None:
    """TxRaw is canonical, and nothing in the parts is unknown to their types or lost in them."""
    assert raw_of(tx.body_bytes, tx.auth_info_bytes, tx.signatures) == raw
    for message in (tx.auth_info, *(message for _, message in tx.messages)):
        encoded = message.SerializeToString(deterministic=True)
        clean = type(message).FromString(encoded)
        clean.DiscardUnknownFields()
        assert clean.SerializeToString(deterministic=True) == encoded


@given(st.data())
def test_a_changed_transaction_has_one_meaning_or_is_no_transaction(data: st.DataObject) -> None:
    raw = bytearray(SIGNED)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["change", "insert", "remove", "repeat"])):
            case "change":
                raw[at] = data.draw(st.integers(0, 255))
            case "insert":
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=3))
            case "remove":
                del raw[at : at + data.draw(st.integers(1, 3))]
            case _:
                raw[at:at] = raw[at : at + data.draw(st.integers(1, 40))]
        if not raw:
            break

    try:
        tx = decode(bytes(raw))
    except TxParseError:
        return

    assert_has_one_meaning(bytes(raw), tx)


def test_every_single_changed_byte_gives_one_meaning_or_none() -> None:
    decoded = 0
    for at in range(len(SIGNED)):
        for value in (0, 1, 0x0A, 0x12, 0x7F, 0x80, 0xFF, SIGNED[at] ^ 1):
            raw = SIGNED[:at] + bytes((value,)) + SIGNED[at + 1 :]
            try:
                tx = decode(raw)
            except TxParseError:
                continue
            decoded += 1
            assert_has_one_meaning(raw, tx)

    assert decoded > 0


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_decoded_or_refused_and_nothing_else(raw: bytes) -> None:
    for attempt in (raw, field(1, raw) if raw else b"", with_body(raw) if raw else b""):
        try:
            tx = decode(attempt)
        except TxParseError:
            continue
        assert_has_one_meaning(attempt, tx)


def test_a_type_that_holds_itself_is_read_at_every_depth() -> None:
    walker = Walker(lambda _type_url: None)
    inner = descriptor_pb2.DescriptorProto(name="inner")
    outer = descriptor_pb2.DescriptorProto(name="outer", nested_type=[inner]).SerializeToString()

    walker.check(outer, descriptor_pb2.DescriptorProto)

    with pytest.raises(TxParseError, match="DescriptorProto: field 1 stands twice"):
        walker.check(outer + field(3, field(1, b"a") * 2), descriptor_pb2.DescriptorProto)
