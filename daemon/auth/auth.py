"""The auth room: builds its parts once, and looks again at whoever stays connected."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from daemon.api.clock import Clock
from daemon.auth.guard import Guard
from daemon.auth.identity import Identity, SignInMethod
from daemon.auth.key_source import key_source
from daemon.auth.keys import Keys
from daemon.auth.passwords import Passwords
from daemon.auth.sign_ins import SignIns
from daemon.auth.tokens import Tokens
from daemon.auth.users import Users
from daemon.settings import Settings
from storage.db import Database


@dataclass(frozen=True, slots=True)
class Auth:
    """Who may come in, by which way."""

    users: Users
    guard: Guard
    sign_ins: SignIns
    tokens: Tokens
    keys: Keys
    public_url: str
    """What sign-in links begin with; empty: the address of the daemon's own door."""

    @classmethod
    async def open(
        cls,
        database: Database,
        clock: Clock,
        settings: Settings,
        *,
        environ: Mapping[str, str] = os.environ,
        passwords: Passwords | None = None,
    ) -> Auth:
        """Build the room; the key of tokens is made at the first start.

        Raises :class:`StartRefused` where the key can't be trusted.
        """
        passwords = passwords or Passwords()
        longest = timedelta(days=settings.auth.token_days)
        keys = Keys(database, clock, key_source(settings.state_dir, environ), longest)
        await keys.open()
        guard = Guard(database, clock, passwords)
        return cls(
            users=Users(database, clock, passwords),
            guard=guard,
            sign_ins=SignIns(database, clock, guard, settings.auth),
            tokens=Tokens(database, clock, keys, longest),
            keys=keys,
            public_url=settings.auth.public_url.rstrip("/"),
        )

    async def recheck(self, identity: Identity) -> Identity:
        """Return an identity as it is now: for connections that outlive one request.

        Raises what a new request would be refused with.
        """
        match identity.way:
            case SignInMethod.TOKEN:
                return await self.tokens.standing(identity.key, identity.user)
            case SignInMethod.BROWSER:
                return await self.sign_ins.standing(identity.key)
            case SignInMethod.CONTROL:
                return identity
