"""What hardware wallets sign: a transaction as JSON, by the rules of Cosmos' amino JSON.

Keys are sorted and there are no spaces; numbers of 64 bits are text, enums numbers, an Any is its amino name
with its value; what is empty is left out, except where the published declarations say otherwise.
Transfers, governance and grants have the published names, messages of Evergrid their type URL for a name, as
declarations without one have. All else is refused by name: what is not in the document would not be signed.
"""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from abci_app.kernel.errors import NotSupported
from protocol.descriptors import message_class
from protocol.gen.google.protobuf.duration_pb2 import Duration
from protocol.gen.google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.kernel.tx import Tx

# The amino names of what may stand in an Any.
NAMES: Final = {
    "cosmos.authz.v1beta1.GenericAuthorization": "cosmos-sdk/GenericAuthorization",
    "cosmos.authz.v1beta1.MsgExec": "cosmos-sdk/MsgExec",
    "cosmos.authz.v1beta1.MsgGrant": "cosmos-sdk/MsgGrant",
    "cosmos.authz.v1beta1.MsgRevoke": "cosmos-sdk/MsgRevoke",
    "cosmos.bank.v1beta1.MsgMultiSend": "cosmos-sdk/MsgMultiSend",
    "cosmos.bank.v1beta1.MsgSend": "cosmos-sdk/MsgSend",
    "cosmos.feegrant.v1beta1.AllowedMsgAllowance": "cosmos-sdk/AllowedMsgAllowance",
    "cosmos.feegrant.v1beta1.BasicAllowance": "cosmos-sdk/BasicAllowance",
    "cosmos.feegrant.v1beta1.MsgGrantAllowance": "cosmos-sdk/MsgGrantAllowance",
    "cosmos.feegrant.v1beta1.MsgRevokeAllowance": "cosmos-sdk/MsgRevokeAllowance",
    "cosmos.feegrant.v1beta1.PeriodicAllowance": "cosmos-sdk/PeriodicAllowance",
    "cosmos.gov.v1.MsgCancelProposal": "cosmos-sdk/v1/MsgCancelProposal",
    "cosmos.gov.v1.MsgDeposit": "cosmos-sdk/v1/MsgDeposit",
    "cosmos.gov.v1.MsgSubmitProposal": "cosmos-sdk/v1/MsgSubmitProposal",
    "cosmos.gov.v1.MsgVote": "cosmos-sdk/v1/MsgVote",
}
# Fields that are written also where they are empty.
ALWAYS: Final = frozenset(
    {
        "cosmos.authz.v1beta1.MsgGrant.grant",
        "cosmos.bank.v1beta1.Input.coins",
        "cosmos.bank.v1beta1.MsgMultiSend.inputs",
        "cosmos.bank.v1beta1.MsgMultiSend.outputs",
        "cosmos.bank.v1beta1.MsgSend.amount",
        "cosmos.bank.v1beta1.Output.coins",
        "cosmos.feegrant.v1beta1.BasicAllowance.spend_limit",
        "cosmos.feegrant.v1beta1.PeriodicAllowance.basic",
        "cosmos.feegrant.v1beta1.PeriodicAllowance.period",
        "cosmos.feegrant.v1beta1.PeriodicAllowance.period_can_spend",
        "cosmos.feegrant.v1beta1.PeriodicAllowance.period_reset",
        "cosmos.feegrant.v1beta1.PeriodicAllowance.period_spend_limit",
        "cosmos.gov.v1.MsgCancelProposal.proposal_id",
        "cosmos.gov.v1.MsgDeposit.amount",
        "cosmos.gov.v1.MsgDeposit.proposal_id",
        "cosmos.gov.v1.MsgSubmitProposal.initial_deposit",
        "cosmos.gov.v1.MsgVote.proposal_id",
    }
)
OWN: Final = "evergrid."
_TEXT_NUMBERS: Final = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})
_ESCAPES: Final = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})
_ANY: Final = "google.protobuf.Any"
SECONDS_A_DAY: Final = 86_400
SECOND_NS: Final = 10**9
SHOWN: Final = 200


def sign_document(tx: Tx, chain_id: str, account_number: int, sequence: int) -> bytes:
    """The JSON that one signer signs; raises NotSupported where the transaction holds what it cannot say."""
    _check_said(tx)
    fee: dict[str, Any] = {
        "amount": [_fields(coin) for coin in tx.fee.amount],
        "gas": str(tx.fee.gas_limit),
    }
    fee |= {name: text for name, text in (("payer", tx.fee.payer), ("granter", tx.fee.granter)) if text}
    document = {
        "account_number": str(account_number),
        "chain_id": chain_id,
        "fee": fee,
        "memo": tx.body.memo,
        "msgs": [_named(message) for _, message in tx.messages],
        "sequence": str(sequence),
    }
    if tx.body.timeout_height:
        document["timeout_height"] = str(tx.body.timeout_height)
    return encode(document)


def sign_bytes(tx: Tx, chain_id: str, account_number: int, sequence: int) -> bytes:
    """The digest (32 bytes) that a signer signs in SIGN_MODE_LEGACY_AMINO_JSON; raises NotSupported."""
    return sha256(sign_document(tx, chain_id, account_number, sequence)).digest()


def encode(document: dict[str, Any]) -> bytes:
    """Sorted, without spaces, and escaped as Go's encoder does; such characters stand in text only."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPES).encode()


def _check_said(tx: Tx) -> None:
    """Raises NotSupported for parts of a body that the document has no place for, hence nobody would sign."""
    body = tx.body
    unsaid = [
        name
        for name, found in (
            ("unordered", body.unordered),
            ("timeout_timestamp", body.HasField("timeout_timestamp")),
            ("extension options", body.extension_options or body.non_critical_extension_options),
            ("unknown fields", len(UnknownFieldSet(body))),
        )
        if found
    ]
    if unsaid:
        raise NotSupported(f"{', '.join(unsaid)} in amino JSON: sign with SIGN_MODE_DIRECT")


def _named(message: Message) -> dict[str, Any]:
    return {"type": name_of(message.DESCRIPTOR.full_name), "value": _fields(message)}


def name_of(full_name: str) -> str:
    """What a message is called in the document; raises NotSupported where it has no form."""
    if full_name.startswith(OWN):
        return f"/{full_name}"
    if full_name not in NAMES:
        raise NotSupported(f"/{full_name[:SHOWN]} has no amino JSON form: sign with SIGN_MODE_DIRECT")
    return NAMES[full_name]


def _fields(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if cast("Any", field).label == FieldDescriptor.LABEL_REPEATED:
            found: Any = [_single(field, each) for each in value]
            is_empty = not found
        elif field.message_type is not None:
            is_empty = not message.HasField(field.name)
            found = _single(field, value)
        else:
            is_empty = value == field.default_value
            found = _single(field, value)
        if not is_empty or field.full_name in ALWAYS:
            out[field.name] = found
    return out


def _single(field: Any, value: Any) -> Any:
    if field.message_type is None:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return b64encode(value).decode()
        return str(value) if field.cpp_type in _TEXT_NUMBERS else value
    if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
        return time_text(value)
    if field.message_type.full_name == Duration.DESCRIPTOR.full_name:
        return str(value.seconds * SECOND_NS + value.nanos)
    if field.message_type.full_name == _ANY:
        return _packed(value.type_url, value.value)
    return _fields(value)


def _packed(type_url: str, value: bytes) -> dict[str, Any] | None:
    if not type_url:
        return None
    full_name = type_url.removeprefix("/")
    name_of(full_name)
    try:
        return _named(message_class(full_name).FromString(value))
    except DecodeError as error:
        raise NotSupported(f"{type_url}: what it holds is no text: it has no amino JSON form") from error


def time_text(stamp: Timestamp) -> str:
    """RFC 3339 in UTC, with as many decimals as there are; the calendar by Hinnant's `civil_from_days`."""
    days, second = divmod(stamp.seconds, SECONDS_A_DAY)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    fraction = f".{stamp.nanos:09d}".rstrip("0") if stamp.nanos else ""
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{clock}{fraction}Z"
