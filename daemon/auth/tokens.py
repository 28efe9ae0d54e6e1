"""Tokens for programs: encoded, decoded, issued and revoked."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.auth.access_changes import AccessChanges
from daemon.auth.errors import (
    ScopeMissing,
    TokenAlgorithmRefused,
    TokenAudienceMismatch,
    TokenExpired,
    TokenKeyUnknown,
    TokenRevoked,
    TokenUnreadable,
)
from daemon.auth.identity import ROLE_SCOPES, Principal, Role, Scope, SignInMethod
from daemon.auth.signing_keys import SigningKeys
from daemon.errors import BadRequest, NotFound
from daemon.late_imports import LateImport
from storage import audit, tokens, users
from storage.db import Database
from storage.errors import WriteFailed
from storage.ids import new_id
from storage.tokens import TokenRecord
from storage.tx import Tx

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_JWT: Final = LateImport("jwt")
"""Most installations give no program a token; the library brings 80 modules, and cryptography."""

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "leadmaster"
LONGEST_TOKEN_LIFE: Final = timedelta(days=365)
_MAX_TOKEN_LENGTH: Final = 4096


class TokenClaims(msgspec.Struct, frozen=True):
    """The claims of every token; times are seconds since 1970."""

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
    # PyJWT compares with the machine's time and not with the injected clock's: `decode_token` does.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


def encode_token(claims: TokenClaims, kid: str, key: Ed25519PrivateKey) -> str:
    """Return a signed token with these claims."""
    import jwt  # noqa: PLC0415 - loaded by now

    return jwt.encode(msgspec.to_builtins(claims), key, algorithm=ALGORITHM, headers={"kid": kid})


def decode_token(
    token: str,
    audience: str,
    now: datetime,
    find_key: Callable[[str], Ed25519PublicKey | None],
) -> TokenClaims:
    """Return the claims of a token, after checking signature, audience, issuer and expiry.

    Raises one of the token errors of :mod:`daemon.auth.errors`, which contain no part of it.
    """
    import jwt  # noqa: PLC0415 - loaded by now

    key = find_key(_read_key_id(token))
    if key is None:
        raise TokenKeyUnknown(
            "The token was signed with a key that this installation does not have."
        )
    try:
        decoded = jwt.decode(
            token, key, [ALGORITHM], audience=audience, issuer=ISSUER, options=_DECODE_OPTIONS
        )
        claims = msgspec.convert(decoded, TokenClaims)
    except jwt.InvalidSignatureError:
        raise TokenKeyUnknown("The token was not signed by this installation.") from None
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise TokenAudienceMismatch("The token is for another installation.") from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenUnreadable(f"The token does not say {error.claim}.") from None
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise TokenUnreadable(
            "The token does not have the form that this installation writes."
        ) from None
    if claims.exp <= now.timestamp():
        raise TokenExpired("The token has expired.")
    return claims


def _read_key_id(token: str) -> str:
    """Return the key id in a token's header; raise for another algorithm."""
    import jwt  # noqa: PLC0415 - loaded by now

    # The algorithm is fixed and never taken from the token, which may name "none".
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


_USE_INTERVAL: Final = timedelta(minutes=10)
"""How often at most a token's use is stored: not a write for every request."""
_LISTED_AFTER_EXPIRY: Final = timedelta(days=30)
"""How long an expired token stays in the list."""


class IssuedToken(Struct, frozen=True):
    """A new token, shown only once, and its stored record."""

    token: str
    record: TokenRecord

    def __repr__(self) -> str:
        """Keep the token out of logs."""
        return f"IssuedToken({self.record.id})"


class Tokens:
    """Issues, verifies and revokes tokens.

    `longest` is the longest life of one; its uses are counted by the days of `zone`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        keys: SigningKeys,
        longest: timedelta,
        changes: AccessChanges,
        zone: ZoneInfo,
    ) -> None:
        self._changes = changes
        self._zone = zone
        self._unstored_uses: Counter[str] = Counter()
        self._database = database
        self._clock = clock
        self._keys = keys
        self._longest = longest
        self._audience = f"leadmaster:{database.instance_id}"

    async def issue_token(
        self, maker: Principal, user: str, name: str, scopes: Collection[Scope], life: timedelta
    ) -> IssuedToken:
        """Issue a token that acts for `user`. It is not stored, and can't be shown again.

        Raises :class:`ScopeMissing` for a scope that maker or user do not have, :class:`NotFound`
        without such a user, :class:`BadRequest` for a life that is too long.
        """
        if not scopes:
            raise BadRequest("scopes: a token needs at least one.")
        if not timedelta() < life <= self._longest:
            raise BadRequest(
                f"A token is valid for up to {self._longest / timedelta(days=1):g} days."
            )
        for scope in sorted(scopes):
            maker.require(scope)
        # Whole seconds, as the claims have them.
        now = self._clock.now().replace(microsecond=0)
        words = tuple(sorted(scopes))
        record = TokenRecord(
            new_id("tok", now), user, name, words, maker.who, made_at=now, expires_at=now + life
        )
        await _JWT.ensure_loaded()
        await self._database.write(lambda tx: _insert_token(tx, record))
        return IssuedToken(
            encode_token(self._build_claims(record), self._keys.kid, self._keys.private),
            record,
        )

    async def verify_token(self, token: str, address: str = "") -> Principal:
        """Return the identity of a token that came from an address; raise one of the token errors.

        Its scopes are those that it was issued with, as far as its user's role still has them.
        """
        await _JWT.ensure_loaded()
        now, find_key = self._clock.now(), self._keys.get_verifying_key
        claims = decode_token(token, self._audience, now, find_key)
        return await self.get_identity(claims.jti, claims.sub, address)

    async def get_identity(self, token: str, user: str, address: str = "") -> Principal:
        """Return the identity of a token by its id; `address` is where it came from, if known.

        Raises :class:`TokenRevoked` or :class:`TokenExpired`.
        """
        # Asked at every request, although the signature is valid: revoking must hold at once.
        found = await self._database.read(
            lambda reader: tokens.get_active_token(reader, token, user)
        )
        if found is None:
            raise TokenRevoked("The token was revoked.")
        if found.token.expires_at <= self._clock.now():
            raise TokenExpired("The token has expired.")
        await self._record_use(found.token, address)
        mine = ROLE_SCOPES[Role(found.role)]
        scopes = mine.intersection(map(Scope, found.token.scopes))
        return Principal(f"{user}/{found.token.name}", user, scopes, SignInMethod.TOKEN, token)

    async def list_tokens(self, *, after: str, limit: int) -> list[TokenRecord]:
        """Return at most `limit` tokens after the one named, oldest first."""
        found = await self._database.read(
            lambda reader: tokens.list_tokens(reader, after=after, limit=limit)
        )
        return [self._add_unstored_uses(record) for record in found]

    async def revoke_token(self, token: str, who: str) -> TokenRecord:
        """Revoke a token by its id; idempotent. Raises :class:`NotFound`."""
        now = self._clock.now()

        def job(tx: Tx) -> TokenRecord:
            if tokens.revoke_token(tx, token, now):
                audit.insert_audit_entry(tx, now, who, "revoke_token", token)
            found = tokens.get_token(tx, token)
            if found is None:
                raise NotFound(f"There is no token {token[:40]}.")
            return found

        revoked = await self._database.write(job)
        self._changes.report(revoked.user)
        return revoked

    def _build_claims(self, record: TokenRecord) -> TokenClaims:
        return TokenClaims(
            iss=ISSUER,
            aud=self._audience,
            sub=record.user,
            jti=record.id,
            scope=" ".join(record.scopes),
            iat=int(record.made_at.timestamp()),
            exp=int(record.expires_at.timestamp()),
        )

    async def _record_use(self, token: TokenRecord, address: str) -> None:
        now = self._clock.now()
        self._unstored_uses[token.id] += 1
        if token.last_used_at is None or now - token.last_used_at >= _USE_INTERVAL:
            uses = self._unstored_uses.pop(token.id)
            with contextlib.suppress(WriteFailed):  # a full disk must not shut anybody out
                await self._database.write(
                    lambda tx: tokens.record_token_uses(
                        tx, token.id, now, address=address, uses=uses, day=self.get_day(now)
                    )
                )

    def get_day(self, at: datetime) -> date:
        """Return the day whose uses are counted at a moment."""
        return at.astimezone(self._zone).date()

    def _add_unstored_uses(self, record: TokenRecord) -> TokenRecord:
        more, today = self._unstored_uses[record.id], self.get_day(self._clock.now())
        if not more or record.uses_on != today:
            return record
        return replace(record, uses=record.uses + more)


def _insert_token(tx: Tx, record: TokenRecord) -> None:
    """Store a token; raise where its user does not exist or lacks its scopes."""
    user = users.get_user(tx, record.user)
    if user is None or user.disabled_at is not None:
        raise NotFound(f"There is no user {record.user} who can have tokens.")
    if excess := set(record.scopes) - ROLE_SCOPES[Role(user.role)]:
        raise ScopeMissing(
            f"{user.name} is {user.role}, which does not have {', '.join(sorted(excess))}."
        )
    tokens.delete_expired_tokens(tx, record.made_at - _LISTED_AFTER_EXPIRY)
    tokens.insert_token(tx, record)
    audit.insert_audit_entry(
        tx,
        record.made_at,
        record.made_by,
        "make_token",
        record.id,
        detail={"user": user.name, "name": record.name, "scopes": list(record.scopes)},
    )
