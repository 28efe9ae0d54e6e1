"""What a token says, and reading one: each way in which it can be wrong is an error of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from daemon.auth.refusals import (
    TokenAlgorithmRefused,
    TokenAudienceMismatch,
    TokenExpired,
    TokenKeyUnknown,
    TokenUnreadable,
)

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "leadmaster"
_MAX_TOKEN_LENGTH: Final = 4096


class TokenClaims(msgspec.Struct, frozen=True):
    """The claims that every token of ours has; times are seconds since 1970."""

    iss: str
    aud: str
    sub: str
    jti: str
    scope: str
    iat: int
    exp: int


_REQUIRED_CLAIMS: Final = list(TokenClaims.__struct_fields__)
_DECODE_OPTIONS: Final[Any] = {
    "require": _REQUIRED_CLAIMS,
    "strict_aud": True,
    # Time is the house's own clock, which the library can't ask: `read` compares.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


def encode_token(claims: TokenClaims, kid: str, key: Ed25519PrivateKey) -> str:
    """Return the token that says this."""
    return jwt.encode(msgspec.to_builtins(claims), key, algorithm=ALGORITHM, headers={"kid": kid})


def decode_token(
    token: str,
    audience: str,
    now: datetime,
    find_key: Callable[[str], Ed25519PublicKey | None],
) -> TokenClaims:
    """Return what a token says, once its signature, its audience and its time are found good.

    Raises one of the errors of a token in :mod:`daemon.auth.refusals`; none repeats any of it.
    """
    key = find_key(_read_key_id(token))
    if key is None:
        raise TokenKeyUnknown("The token's key is not, or no longer, one of this installation.")
    try:
        said = jwt.decode(
            token, key, [ALGORITHM], audience=audience, issuer=ISSUER, options=_DECODE_OPTIONS
        )
        claims = msgspec.convert(said, TokenClaims)
    except jwt.InvalidSignatureError:
        raise TokenKeyUnknown("The token was not signed by this installation.") from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise TokenAudienceMismatch("The token was made for another place than this one.") from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenUnreadable(f"The token does not say {error.claim}.") from None
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise TokenUnreadable("The token is not as this installation writes them.") from None
    if claims.exp <= now.timestamp():
        raise TokenExpired("The token's life is over.")
    return claims


def _read_key_id(token: str) -> str:
    """Return the key id of a token of the accepted algorithm."""
    try:
        plausible = token.isascii() and len(token) <= _MAX_TOKEN_LENGTH
        header = jwt.get_unverified_header(token) if plausible else {}
    except jwt.InvalidTokenError:
        header = {}
    if "alg" not in header:
        raise TokenUnreadable("What was sent is not a token.")
    if header["alg"] != ALGORITHM:
        raise TokenAlgorithmRefused(f"The token is not signed with {ALGORITHM}.")
    return str(header.get("kid", ""))
