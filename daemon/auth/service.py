"""The authentication service: builds its parts, and rechecks long-lived connections."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.auth.access_changes import AccessChanges
from daemon.auth.identity import Principal, SignInMethod
from daemon.auth.password_check import PasswordCheck, Passwords
from daemon.auth.sign_ins import SignIns
from daemon.auth.signing_keys import SigningKeys, choose_key_source
from daemon.auth.tokens import LONGEST_TOKEN_LIFE, Tokens
from daemon.auth.users import Users
from daemon.settings import Settings
from storage.db import Database


class AuthService(Struct, frozen=True):
    """The parts of authentication, each built once."""

    users: Users
    password_check: PasswordCheck
    sign_ins: SignIns
    tokens: Tokens
    keys: SigningKeys
    access_changes: AccessChanges
    public_url: str
    """The base of sign-in links; empty: the daemon's own address."""

    @classmethod
    async def open(
        cls,
        database: Database,
        clock: Clock,
        settings: Settings,
        *,
        environ: Mapping[str, str] = os.environ,
        passwords: Passwords | None = None,
    ) -> AuthService:
        """Build the service; the key that signs tokens is created at the first start.

        Raises :class:`StartRefused` where the key can't be trusted.
        """
        passwords = passwords or Passwords()
        longest = min(timedelta(days=settings.auth.token_days), LONGEST_TOKEN_LIFE)
        keys = SigningKeys(database, clock, choose_key_source(settings.state_dir, environ), longest)
        await keys.open()
        changes = AccessChanges()
        guard = PasswordCheck(database, clock, passwords)
        return cls(
            users=Users(database, clock, passwords, changes),
            password_check=guard,
            sign_ins=SignIns(database, clock, guard, settings.auth, changes),
            tokens=Tokens(
                database, clock, keys, longest, changes, ZoneInfo(settings.daemon.time_zone)
            ),
            keys=keys,
            access_changes=changes,
            public_url=settings.auth.public_url.rstrip("/"),
        )

    async def refresh_identity(self, identity: Principal) -> Principal:
        """Return an identity with its present scopes, for connections that outlive a request.

        Raises what a new request with these credentials would raise.
        """
        match identity.method:
            case SignInMethod.TOKEN:
                return await self.tokens.get_identity(identity.key, identity.user)
            case SignInMethod.BROWSER:
                return await self.sign_ins.get_identity(identity.key)
            case SignInMethod.CONTROL:
                return identity
