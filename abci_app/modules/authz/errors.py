"""What can be wrong with a message of authz; codes are those of the Cosmos SDK."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class AuthzError(TxError):
    codespace = "authz"


class NoAuthorization(AuthzError):
    code, text = 2, "authorization not found"


class InvalidExpiration(AuthzError):
    code, text = 3, "expiration time of authorization should be more than current time"


class UnknownAuthorization(AuthzError):
    code, text = 4, "unknown authorization type"


class AuthorizationExpired(AuthzError):
    code, text = 6, "authorization expired"


class GranteeIsGranter(AuthzError):
    code, text = 7, "grantee and granter should be different"
