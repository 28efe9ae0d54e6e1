"""Users: created, changed, disabled and enabled; every change is audited."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.auth.access_changes import AccessChanges
from daemon.auth.identity import Role
from daemon.auth.password_check import Passwords
from daemon.errors import BadRequest, Conflict, NotFound, NumberRejected
from storage import audit, tokens, users
from storage.db import Database
from storage.tx import Reader, Tx
from storage.users import UserRecord

_NO_REGION: Final = "ZZ"
"""A user's own number is written with its country: users may live anywhere."""
_USER_NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class Users:
    """Creates and changes users."""

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, changes: AccessChanges
    ) -> None:
        self._changes = changes
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def list_users(self) -> list[UserRecord]:
        """Return all users by name, the disabled ones too."""
        return await self._database.read(users.list_users)

    async def get_user(self, name: str) -> UserRecord:
        """Return a user, disabled or not; raise :class:`NotFound`."""
        return await self._database.read(lambda reader: _require_user(reader, name))

    async def create_user(
        self, name: str, role: Role, who: str, *, password: str | None = None
    ) -> UserRecord:
        """Add a user; without a password they sign in by link.

        Raises :class:`BadRequest`, :class:`PasswordRefused`, or :class:`Conflict` where the name
        is taken, also by a disabled user.
        """
        if not _USER_NAME_PATTERN.fullmatch(name):
            raise BadRequest(
                f"name: {name[:40]!r} can't be a user's name.",
                hint="Use up to 32 lower-case letters, digits, dots, hyphens or underscores.",
            )
        hashed = None if password is None else await self._passwords.hash(password, name)
        now = self._clock.now()

        def job(tx: Tx) -> UserRecord:
            if not users.insert_user(tx, name, role, hashed, now):
                raise Conflict(f"The user {name} exists already.")
            audit.insert_audit_entry(tx, now, who, "create_user", name, detail={"role": role})
            return _require_user(tx, name)

        return await self._database.write(job)

    async def set_password(self, name: str, password: str, who: str) -> UserRecord:
        """Set a new password and sign the user out everywhere; tokens stay valid.

        Raises :class:`NotFound` or :class:`PasswordRefused`.
        """
        await self.get_user(name)
        hashed = await self._passwords.hash(password, name)

        def step(tx: Tx) -> None:
            users.set_user_password(tx, name, hashed)
            users.delete_user_sign_ins(tx, name)

        return await self._change_user(name, who, "set_password", step)

    async def set_role(self, name: str, role: Role, who: str) -> UserRecord:
        """Give a user another role; it applies at once, to tokens too.

        Raises :class:`NotFound`, or :class:`Conflict` where no administrator would be left.
        """

        def step(tx: Tx) -> None:
            if role is not Role.ADMIN:
                _require_another_admin(tx, name)
            users.set_user_role(tx, name, role)

        return await self._change_user(name, who, "set_role", step, {"role": role})

    async def set_phone(self, name: str, phone: str | None, who: str) -> UserRecord:
        """Store a user's own number, or None; raise :class:`NotFound` or `NumberRejected`."""
        own = _parse_own_number(phone) if phone else None
        return await self._change_user(
            name, who, "set_user_phone", lambda tx: users.set_user_phone(tx, name, own)
        )

    async def set_language(self, name: str, language: str | None, who: str) -> UserRecord:
        """Store the language of a user's pages; None: as their browser asks."""
        return await self._change_user(
            name,
            who,
            "set_user_language",
            lambda tx: users.set_user_language(tx, name, language),
            {"language": language or ""},
        )

    async def disable(self, name: str, who: str, *, by_user: str = "") -> UserRecord:
        """Disable a user at once: end their sign-ins and revoke their tokens. Idempotent.

        Raises :class:`NotFound`, or :class:`Conflict` where no administrator would be left, and
        for the user who asks (``by_user``).
        """
        if name == by_user:
            raise Conflict(
                "Nobody can disable themselves.", hint="Ask another administrator to do it."
            )

        def step(tx: Tx) -> None:
            _require_another_admin(tx, name)
            now = self._clock.now()
            users.set_user_disabled(tx, name, now)
            users.delete_user_sign_ins(tx, name)
            tokens.revoke_user_tokens(tx, name, now)

        return await self._change_user(name, who, "disable_user", step)

    async def enable(self, name: str, who: str) -> UserRecord:
        """Enable a user again; revoked tokens stay revoked. Raises :class:`NotFound`."""
        return await self._change_user(
            name, who, "enable_user", lambda tx: users.set_user_disabled(tx, name, None)
        )

    async def revoke_access(self, name: str, who: str) -> UserRecord:
        """Revoke all of a user's tokens and sign them out everywhere. Raises :class:`NotFound`."""

        def step(tx: Tx) -> None:
            users.delete_user_sign_ins(tx, name)
            tokens.revoke_user_tokens(tx, name, self._clock.now())

        return await self._change_user(name, who, "revoke_user", step)

    async def _change_user(
        self,
        name: str,
        who: str,
        action: str,
        step: Callable[[Tx], None],
        detail: dict[str, object] | None = None,
    ) -> UserRecord:
        """Change an existing user and audit it, in one transaction."""

        def job(tx: Tx) -> UserRecord:
            _require_user(tx, name)
            step(tx)
            audit.insert_audit_entry(tx, self._clock.now(), who, action, name, detail=detail)
            return _require_user(tx, name)

        changed = await self._database.write(job)
        self._changes.report(name)
        return changed


def _require_user(reader: Reader, name: str) -> UserRecord:
    found = users.get_user(reader, name)
    if found is None:
        raise NotFound(f"There is no user {name}.")
    return found


def _parse_own_number(phone: str) -> str:
    try:
        return numbers.parse_phone(phone, _NO_REGION).e164
    except numbers.NumberUnusable as error:
        raise NumberRejected(f"phone: {error.sentence}") from error


def _require_another_admin(tx: Tx, name: str) -> None:
    """Raise :class:`Conflict` where the user is the last active administrator."""
    user = _require_user(tx, name)
    is_admin = user.role == Role.ADMIN and user.disabled_at is None
    if is_admin and users.count_active_users(tx, Role.ADMIN) == 1:
        raise Conflict(
            f"{name} is the only administrator.", hint="Make somebody else an administrator first."
        )
