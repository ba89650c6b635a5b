"""What can be wrong with a message of gov; codes are those of the Cosmos SDK."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class GovError(TxError):
    codespace = "gov"


class UnknownProposal(GovError):
    code, text = 2, "unknown proposal"


class InactiveProposal(GovError):
    code, text = 3, "inactive proposal"


class InvalidVote(GovError):
    code, text = 7, "invalid vote option"


class UnroutableMessage(GovError):
    code, text = 10, "proposal message not recognized by router"


class NoMessages(GovError):
    code, text = 11, "no messages proposed"


class InvalidMessage(GovError):
    code, text = 12, "invalid proposal message"


class InvalidSigner(GovError):
    code, text = 13, "expected gov account as only signer for proposal message"


class MetadataTooLong(GovError):
    code, text = 15, "metadata too long"


class DepositTooSmall(GovError):
    code, text = 16, "minimum deposit is too small"


class InvalidProposer(GovError):
    code, text = 18, "invalid proposer"


class InvalidProposal(GovError):
    code, text = 21, "invalid proposal"


class SummaryTooLong(GovError):
    code, text = 22, "summary too long"


class InvalidDepositDenom(GovError):
    code, text = 23, "invalid deposit denom"


class DepositsSpent(GovError):
    """Messages of a proposal would leave the gov account with less than the deposits that it owes."""

    code, text = 30, "messages spend deposits of open proposals"
