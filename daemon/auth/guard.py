"""The check of a name and a password: throttled, audited, and as slow for names that nobody has."""

from __future__ import annotations

from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.auth.passwords import Passwords
from daemon.auth.refusals import SignInFailed, SignInThrottled
from daemon.auth.throttle import SignInThrottle
from storage import audit, users
from storage.db import Database
from storage.tx import Tx
from storage.users import UserRecord

log = structlog.get_logger("auth")

UNKNOWN_USER: Final = "nobody"
"""What the audit calls a name that no user has: people type passwords there by mistake."""


class PasswordCheck:
    """Lets a user through who knows their password."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._throttle = SignInThrottle(clock)

    async def check(self, name: str, password: str, address: str) -> UserRecord:
        """Return the user; raise :class:`SignInFailed`, or :class:`Throttled` before looking.

        `address` is whom the network says it comes from.
        """
        try:
            self._throttle.admit(name, address)
        except SignInThrottled as error:
            log.warning("sign_in_throttled", address=address, seconds=error.seconds)
            raise
        user = await self._database.read(lambda reader: users.get_user(reader, name))
        active = user if user and user.disabled_at is None else None
        fits = await self._passwords.verify(password, active.password_hash if active else None)
        if active is None or not fits:
            await self._audit_failure(user.name if user else UNKNOWN_USER, address)
            raise SignInFailed("The user name or the password is wrong.")
        self._throttle.reset_after_success(name, address)
        return active

    async def _audit_failure(self, subject: str, address: str) -> None:
        log.warning("sign_in_failed", user=subject, address=address)
        now = self._clock.now()

        def job(tx: Tx) -> None:
            audit.insert_audit_entry(
                tx, now, UNKNOWN_USER, "fail_sign_in", subject, detail={"address": address}
            )

        await self._database.write(job)
