"""No password, token, cookie or link shows up in a log line, a repr, or the audit."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog

from daemon import logs
from daemon.auth import Role, Scope
from daemon.http.auth.sign_in import (
    CredentialsBody,
    LinkSignInBody,
    PasswordChangeBody,
    SignInTokenBody,
)
from daemon.http.auth.users import NewPasswordBody, NewUserBody
from storage import users
from tests.helpers.auth import OWNER, PASSWORD, AuthHouse


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return everything that is logged, down to the smallest word."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level=logging.DEBUG, stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_nothing_secret_is_logged_or_audited(house: AuthHouse, log: io.StringIO) -> None:
    """A day of signing in, well and badly, leaves none of its secrets behind."""
    await house.user()
    browser = await house.browser("ana")
    link = await house.auth.sign_ins.make_link("ana", "root")
    token = await house.token("ana")
    await house.bearer(token).call("GET", "/v1/sessions")
    await house.bearer(token + "x").call("GET", "/v1/sessions")
    await house.bearer(token).call("GET", "/v1/forgotten")
    await browser.call("POST", "/v1/halt", {"X-CSRF-Token": "x"})
    await house.public.call("POST", "/v1/sign-in/link", link=link.secret)
    await house.public.call("POST", "/v1/sign-in/link", link=link.secret)
    for _ in range(6):
        await house.public.call("POST", "/v1/sign-in", user="ana", password="hunter2hunter2")
    secrets = {
        PASSWORD,
        "hunter2hunter2",
        token,
        link.secret,
        browser.headers["Cookie"].partition("=")[2],
        browser.headers["X-CSRF-Token"],
    }
    written = log.getvalue()
    assert "sign_in_failed" in written
    assert "sign_in_throttled" in written
    audited = await house.database.read(
        lambda r: "\n".join(str(tuple(row)) for row in r.all("SELECT * FROM audit"))
    )
    for secret in secrets:
        assert secret not in written
        assert secret not in audited


async def test_no_repr_shows_a_secret(house: AuthHouse) -> None:
    """What a traceback or a careless log line would print is safe."""
    await house.user()
    user = await house.database.read(lambda reader: users.get(reader, "ana"))
    assert user is not None
    fresh = await house.auth.sign_ins.by_password("ana", PASSWORD, "")
    link = await house.auth.sign_ins.make_link("ana", "root")
    shown = repr(
        [
            user,
            fresh,
            link,
            await house.auth.sign_ins.identify(fresh.secret),
            CredentialsBody(user="ana", password=PASSWORD),
            SignInTokenBody(user="ana", password=PASSWORD),
            LinkSignInBody(link=link.secret),
            PasswordChangeBody(current=PASSWORD, new=PASSWORD),
            NewUserBody(name="ana", role=Role.ADMIN, password=PASSWORD),
            NewPasswordBody(password=PASSWORD),
            OWNER,
            house.auth,
        ]
    )
    for secret in (PASSWORD, fresh.secret, fresh.csrf, link.secret, user.password_hash or "-"):
        assert secret not in shown


async def test_a_new_token_hides_itself(house: AuthHouse) -> None:
    """Even the object that carries it out shows only the record."""
    await house.user()
    wanted, life = {Scope.RULES_READ}, timedelta(hours=1)
    made = await house.auth.tokens.make(OWNER, "ana", "crm", wanted, life)
    assert made.token not in repr(made)
    assert made.record.id in repr(made)
