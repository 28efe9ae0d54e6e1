"""Browsers that are signed in: begun with a password or a link, used, ended."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from daemon.api.clock import Clock
from daemon.auth.guard import Guard
from daemon.auth.identity import Identity, SignInMethod
from daemon.auth.refusals import LinkSpent, SignInOver
from daemon.auth.scopes import ROLE_SCOPES, Role
from daemon.auth.secret import csrf_token, hashed, new_secret
from daemon.errors import NotFound
from daemon.settings import AuthSettings
from storage import audit, sign_ins, users
from storage.db import Database
from storage.errors import WriteFailed
from storage.sign_ins import SignInRecord
from storage.tx import Tx

LINK_LIFE: Final = timedelta(minutes=10)
_COARSE: Final = timedelta(minutes=5)
"""How often a browser's use is written down at most."""


@dataclass(frozen=True, slots=True)
class NewSignIn:
    """What a browser gets: the cookie's secret, and the token that its pages send along."""

    user: str
    secret: str = field(repr=False)
    csrf: str = field(repr=False)
    ends_at: datetime
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class NewLink:
    """A secret that signs in once, and until when."""

    user: str
    secret: str = field(repr=False)
    expires_at: datetime


class SignIns:
    """Signs browsers in and out."""

    def __init__(
        self, database: Database, clock: Clock, guard: Guard, settings: AuthSettings
    ) -> None:
        self._database = database
        self._clock = clock
        self._guard = guard
        self._idle = timedelta(hours=settings.sign_in_idle_hours)
        self._longest = timedelta(days=settings.sign_in_days)

    async def by_password(self, name: str, password: str, address: str) -> NewSignIn:
        """Sign in; raise :class:`SignInFailed` or :class:`Throttled`."""
        user = await self._guard.check(name, password, address)
        fresh, now = self._fresh(user.name), self._clock.now()
        await self._database.write(lambda tx: self._begin(tx, fresh, now, "password", address))
        return fresh

    async def by_link(self, secret: str, address: str) -> NewSignIn:
        """Spend a link and sign in; raise :class:`LinkSpent`. Of two at once, one gets in."""
        now = self._clock.now()

        def job(tx: Tx) -> NewSignIn:
            user = sign_ins.spend_link(tx, hashed(secret), now)
            if user is None:
                raise LinkSpent("This sign-in link was used before, or its time is over.")
            fresh = self._fresh(user)
            self._begin(tx, fresh, now, "link", address)
            return fresh

        return await self._database.write(job)

    async def make_link(self, user: str, who: str) -> NewLink:
        """Make a link that signs `user` in once, within ten minutes; raise :class:`NotFound`."""
        now = self._clock.now()
        link = NewLink(user, new_secret(), now + LINK_LIFE)

        def job(tx: Tx) -> None:
            found = users.get(tx, user)
            if found is None or found.disabled_at is not None:
                raise NotFound(f"There is no user {user} who can sign in.")
            sign_ins.add_link(tx, hashed(link.secret), user, who, now, link.expires_at)
            audit.add(tx, now, who, "make_link", user)

        await self._database.write(job)
        return link

    async def identify(self, secret: str) -> Identity:
        """Return whose browser has this cookie; raise :class:`SignInOver`."""
        return await self.standing(hashed(secret))

    async def standing(self, id_hash: str) -> Identity:
        """Return the identity of a sign-in by its stored hash; raise :class:`SignInOver`."""
        now = self._clock.now()
        found = await self._database.read(lambda reader: sign_ins.current(reader, id_hash, now))
        if found is None:
            raise SignInOver("The sign-in has ended.")
        await self._note_use(found, now)
        scopes = ROLE_SCOPES[Role(found.role)]
        return Identity(found.user, found.user, scopes, SignInMethod.BROWSER, id_hash)

    async def end(self, secret: str) -> None:
        """Sign a browser out; idempotent."""
        now, id_hash = self._clock.now(), hashed(secret)

        def job(tx: Tx) -> None:
            if found := sign_ins.current(tx, id_hash, now):
                audit.add(tx, now, found.user, "sign_out", found.user)
            sign_ins.end(tx, id_hash)

        await self._database.write(job)

    def _fresh(self, user: str) -> NewSignIn:
        secret = new_secret()
        ends_at = self._clock.now() + self._longest
        return NewSignIn(user, secret, csrf_token(secret), ends_at, self._longest)

    def _begin(self, tx: Tx, fresh: NewSignIn, now: datetime, way: str, address: str) -> None:
        id_hash, idle_until = hashed(fresh.secret), now + self._idle
        sign_ins.begin(tx, id_hash, fresh.user, now, idle_until, fresh.ends_at)
        users.note_sign_in(tx, fresh.user, now)
        detail = {"way": way, "address": address}
        audit.add(tx, now, fresh.user, "sign_in", fresh.user, detail=detail)

    async def _note_use(self, found: SignInRecord, now: datetime) -> None:
        if now - found.last_used_at >= _COARSE:
            with contextlib.suppress(WriteFailed):  # a full disk must not shut anybody out
                await self._database.write(
                    lambda tx: sign_ins.note_use(tx, found.id_hash, now, now + self._idle)
                )
