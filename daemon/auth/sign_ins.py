"""Browsers that are signed in: begun with a password or a link, used, ended."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from daemon.api.clock import Clock
from daemon.auth.guard import PasswordCheck
from daemon.auth.identity import Identity, SignInMethod
from daemon.auth.refusals import SignInEnded, SignInLinkSpent
from daemon.auth.scopes import ROLE_SCOPES, Role
from daemon.auth.secret import derive_csrf_token, hash_secret, new_secret
from daemon.errors import NotFound
from daemon.settings import AuthSettings
from storage import audit, sign_ins, users
from storage.db import Database
from storage.errors import WriteFailed
from storage.sign_ins import SignInRecord
from storage.tx import Tx

LINK_LIFETIME: Final = timedelta(minutes=10)
_USE_INTERVAL: Final = timedelta(minutes=5)
"""How often a browser's use is written down at most."""


@dataclass(frozen=True, slots=True)
class IssuedSignIn:
    """What a browser gets: the cookie's secret, and the token that its pages send along."""

    user: str
    secret: str = field(repr=False)
    csrf: str = field(repr=False)
    ends_at: datetime
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class IssuedSignInLink:
    """A secret that signs in once, and until when."""

    user: str
    secret: str = field(repr=False)
    expires_at: datetime


class SignIns:
    """Signs browsers in and out."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        password_check: PasswordCheck,
        settings: AuthSettings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._password_check = password_check
        self._idle = timedelta(hours=settings.sign_in_idle_hours)
        self._longest = timedelta(days=settings.sign_in_days)

    async def sign_in_with_password(self, name: str, password: str, address: str) -> IssuedSignIn:
        """Sign in; raise :class:`SignInFailed` or :class:`Throttled`."""
        user = await self._password_check.check(name, password, address)
        fresh, now = self._build_sign_in(user.name), self._clock.now()
        await self._database.write(
            lambda tx: self._insert_sign_in(tx, fresh, now, "password", address)
        )
        return fresh

    async def sign_in_with_link(self, secret: str, address: str) -> IssuedSignIn:
        """Spend a link and sign in; raise :class:`LinkSpent`. Of two at once, one gets in."""
        now = self._clock.now()

        def job(tx: Tx) -> IssuedSignIn:
            user = sign_ins.redeem_sign_in_link(tx, hash_secret(secret), now)
            if user is None:
                raise SignInLinkSpent("This sign-in link was used before, or its time is over.")
            fresh = self._build_sign_in(user)
            self._insert_sign_in(tx, fresh, now, "link", address)
            return fresh

        return await self._database.write(job)

    async def create_link(self, user: str, who: str) -> IssuedSignInLink:
        """Make a link that signs `user` in once, within ten minutes; raise :class:`NotFound`."""
        now = self._clock.now()
        link = IssuedSignInLink(user, new_secret(), now + LINK_LIFETIME)

        def job(tx: Tx) -> None:
            found = users.get_user(tx, user)
            if found is None or found.disabled_at is not None:
                raise NotFound(f"There is no user {user} who can sign in.")
            sign_ins.insert_sign_in_link(
                tx, hash_secret(link.secret), user, who, now, link.expires_at
            )
            audit.insert_audit_entry(tx, now, who, "make_link", user)

        await self._database.write(job)
        return link

    async def identify(self, secret: str) -> Identity:
        """Return whose browser has this cookie; raise :class:`SignInOver`."""
        return await self.get_identity(hash_secret(secret))

    async def get_identity(self, id_hash: str) -> Identity:
        """Return the identity of a sign-in by its stored hash; raise :class:`SignInOver`."""
        now = self._clock.now()
        found = await self._database.read(
            lambda reader: sign_ins.get_current_sign_in(reader, id_hash, now)
        )
        if found is None:
            raise SignInEnded("The sign-in has ended.")
        await self._record_use(found, now)
        scopes = ROLE_SCOPES[Role(found.role)]
        return Identity(found.user, found.user, scopes, SignInMethod.BROWSER, id_hash)

    async def sign_out(self, secret: str) -> None:
        """Sign a browser out; idempotent."""
        now, id_hash = self._clock.now(), hash_secret(secret)

        def job(tx: Tx) -> None:
            if found := sign_ins.get_current_sign_in(tx, id_hash, now):
                audit.insert_audit_entry(tx, now, found.user, "sign_out", found.user)
            sign_ins.delete_sign_in(tx, id_hash)

        await self._database.write(job)

    def _build_sign_in(self, user: str) -> IssuedSignIn:
        secret = new_secret()
        ends_at = self._clock.now() + self._longest
        return IssuedSignIn(user, secret, derive_csrf_token(secret), ends_at, self._longest)

    def _insert_sign_in(
        self, tx: Tx, fresh: IssuedSignIn, now: datetime, method: str, address: str
    ) -> None:
        id_hash, idle_until = hash_secret(fresh.secret), now + self._idle
        sign_ins.insert_sign_in(tx, id_hash, fresh.user, now, idle_until, fresh.ends_at)
        users.record_last_sign_in(tx, fresh.user, now)
        detail = {"way": method, "address": address}
        audit.insert_audit_entry(tx, now, fresh.user, "sign_in", fresh.user, detail=detail)

    async def _record_use(self, found: SignInRecord, now: datetime) -> None:
        if now - found.last_used_at >= _USE_INTERVAL:
            with contextlib.suppress(WriteFailed):  # a full disk must not shut anybody out
                await self._database.write(
                    lambda tx: sign_ins.record_sign_in_use(tx, found.id_hash, now, now + self._idle)
                )
