"""Browser sign-ins and sign-in links: created, used, ended."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.auth.access_changes import AccessChanges
from daemon.auth.errors import SignInEnded, SignInLinkSpent
from daemon.auth.identity import ROLE_SCOPES, Principal, Role, SignInMethod
from daemon.auth.password_check import PasswordCheck
from daemon.errors import NotFound
from daemon.settings import AuthSettings
from storage import audit, users
from storage.db import Database
from storage.errors import WriteFailed
from storage.tx import Tx
from storage.users import SignInRecord

_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return 256 random bits as text for a URL or a cookie."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """Return the hash of a secret, which is stored in its place."""
    # Fast, unlike a password's: nobody guesses 256 random bits.
    return hashlib.sha256(_encode_text(secret)).hexdigest()


def derive_csrf_token(secret: str) -> str:
    """Return the CSRF token of a cookie's secret, from which the secret can't be derived."""
    return hmac.new(_encode_text(secret), b"csrf", hashlib.sha256).hexdigest()


def is_same_secret(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(_encode_text(given), _encode_text(expected))


def _encode_text(text: str) -> bytes:
    """Return the bytes of a text from a header."""
    # aiohttp decodes bytes that are no UTF-8 to surrogates; a plain encode() would raise.
    return text.encode(errors="surrogateescape")


LINK_LIFETIME: Final = timedelta(minutes=10)
_USE_INTERVAL: Final = timedelta(minutes=5)
"""How often at most a browser's use is stored: not a write for every request."""


class IssuedSignIn(Struct, frozen=True):
    """A new sign-in: the secret for the cookie, and the CSRF token for the pages."""

    user: str
    secret: str
    csrf: str
    ends_at: datetime
    lasts: timedelta

    def __repr__(self) -> str:
        """Keep the secrets out of logs."""
        return f"IssuedSignIn({self.user}, {self.ends_at:%Y-%m-%d})"


class IssuedSignInLink(Struct, frozen=True):
    """A secret that signs a user in once, until it expires."""

    user: str
    secret: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"IssuedSignInLink({self.user}, {self.expires_at:%Y-%m-%d})"


class SignIns:
    """Signs browsers in and out."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        password_check: PasswordCheck,
        settings: AuthSettings,
        changes: AccessChanges,
    ) -> None:
        self._changes = changes
        self._database = database
        self._clock = clock
        self._password_check = password_check
        self._idle = timedelta(hours=settings.sign_in_idle_hours)
        self._longest = timedelta(days=settings.sign_in_days)

    async def sign_in_with_password(self, name: str, password: str, address: str) -> IssuedSignIn:
        """Sign in; raise :class:`SignInFailed` or :class:`SignInThrottled`."""
        user = await self._password_check.check(name, password, address)
        fresh, now = self._build_sign_in(user.name), self._clock.now()
        # On a full disk, too: the red button is behind the sign-in.
        await self._database.write(
            lambda tx: self._insert_sign_in(tx, fresh, now, "password", address),
            uses_ballast=True,
        )
        return fresh

    async def sign_in_with_link(self, secret: str, address: str) -> IssuedSignIn:
        """Redeem a link and sign in; raise :class:`SignInLinkSpent`."""
        now = self._clock.now()

        def job(tx: Tx) -> IssuedSignIn:
            # In one transaction with the sign-in: of two attempts at once, one succeeds.
            user = users.redeem_sign_in_link(tx, hash_secret(secret), now)
            if user is None:
                raise SignInLinkSpent("This sign-in link was already used, or has expired.")
            fresh = self._build_sign_in(user)
            self._insert_sign_in(tx, fresh, now, "link", address)
            return fresh

        return await self._database.write(job, uses_ballast=True)

    async def create_link(self, user: str, who: str) -> IssuedSignInLink:
        """Make a link that signs `user` in once, within ten minutes; raise :class:`NotFound`."""
        now = self._clock.now()
        link = IssuedSignInLink(user, new_secret(), now + LINK_LIFETIME)

        def job(tx: Tx) -> None:
            found = users.get_user(tx, user)
            if found is None or found.disabled_at is not None:
                raise NotFound(f"There is no user {user} who can sign in.")
            users.insert_sign_in_link(tx, hash_secret(link.secret), user, who, now, link.expires_at)
            audit.insert_audit_entry(tx, now, who, "make_link", user)

        await self._database.write(job, uses_ballast=True)
        return link

    async def identify(self, secret: str, address: str = "") -> Principal:
        """Return the identity of a cookie that came from an address; raise :class:`SignInEnded`."""
        return await self.get_identity(hash_secret(secret), address)

    async def get_identity(self, id_hash: str, address: str = "") -> Principal:
        """Return the identity of a sign-in by its hash; raise :class:`SignInEnded`."""
        now = self._clock.now()
        found = await self._database.read(
            lambda reader: users.get_current_sign_in(reader, id_hash, now)
        )
        if found is None:
            raise SignInEnded("The sign-in has ended.")
        await self._record_use(found, now, address)
        # By today's role: a change of roles holds at once.
        scopes = ROLE_SCOPES[Role(found.role)]
        return Principal(found.user, found.user, scopes, SignInMethod.BROWSER, id_hash)

    async def sign_out(self, secret: str) -> None:
        """Sign a browser out; idempotent."""
        now, id_hash = self._clock.now(), hash_secret(secret)

        def job(tx: Tx) -> str | None:
            found = users.get_current_sign_in(tx, id_hash, now)
            if found is not None:
                audit.insert_audit_entry(tx, now, found.user, "sign_out", found.user)
            users.delete_sign_in(tx, id_hash)
            return None if found is None else found.user

        if (user := await self._database.write(job)) is not None:
            self._changes.report(user)

    def _build_sign_in(self, user: str) -> IssuedSignIn:
        secret = new_secret()
        ends_at = self._clock.now() + self._longest
        return IssuedSignIn(user, secret, derive_csrf_token(secret), ends_at, self._longest)

    def _insert_sign_in(
        self, tx: Tx, fresh: IssuedSignIn, now: datetime, method: str, address: str
    ) -> None:
        id_hash, idle_until = hash_secret(fresh.secret), now + self._idle
        users.insert_sign_in(tx, id_hash, fresh.user, now, idle_until, fresh.ends_at)
        users.record_last_sign_in(tx, fresh.user, now)
        users.record_user_seen(tx, fresh.user, now, address)
        detail = {"method": method, "address": address}
        audit.insert_audit_entry(tx, now, fresh.user, "sign_in", fresh.user, detail=detail)

    async def _record_use(self, found: SignInRecord, now: datetime, address: str) -> None:
        def job(tx: Tx) -> None:
            users.record_sign_in_use(tx, found.id_hash, now, now + self._idle)
            users.record_user_seen(tx, found.user, now, address)

        if now - found.last_used_at >= _USE_INTERVAL:
            with contextlib.suppress(WriteFailed):  # a full disk must not shut anybody out
                await self._database.write(job)
