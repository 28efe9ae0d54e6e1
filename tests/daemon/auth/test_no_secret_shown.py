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
from daemon.http.v1.sign_in import (
    CredentialsBody,
    LinkSignInBody,
    PasswordChangeBody,
    SignInTokenBody,
)
from daemon.http.v1.users import NewPasswordBody, NewUserBody
from storage import users
from tests.helpers.client.auth import CONTROL_IDENTITY, PASSWORD, AuthServices


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return everything that is logged, down to the smallest word."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure_logging(level=logging.DEBUG, stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_nothing_secret_is_logged_or_audited(
    services: AuthServices, log: io.StringIO
) -> None:
    """A day of signing in, well and badly, leaves none of its secrets behind."""
    await services.create_user()
    browser = await services.sign_in_browser("ana")
    link = await services.auth.sign_ins.create_link("ana", "root")
    token = await services.create_token("ana")
    await services.bearer(token).call("GET", "/v1/sessions")
    await services.bearer(token + "x").call("GET", "/v1/sessions")
    await services.bearer(token).call("GET", "/v1/forgotten")
    await browser.call("POST", "/v1/halt", {"X-CSRF-Token": "x"})
    await services.public.call("POST", "/v1/sign-in/link", link=link.secret)
    await services.public.call("POST", "/v1/sign-in/link", link=link.secret)
    for _ in range(6):
        await services.public.call("POST", "/v1/sign-in", user="ana", password="hunter2hunter2")
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
    audited = await services.database.read(
        lambda r: "\n".join(str(tuple(row)) for row in r.all("SELECT * FROM audit"))
    )
    for secret in secrets:
        assert secret not in written
        assert secret not in audited


async def test_no_repr_shows_a_secret(services: AuthServices) -> None:
    """What a traceback or a careless log line would print is safe."""
    await services.create_user()
    user = await services.database.read(lambda reader: users.get_user(reader, "ana"))
    assert user is not None
    fresh = await services.auth.sign_ins.sign_in_with_password("ana", PASSWORD, "")
    link = await services.auth.sign_ins.create_link("ana", "root")
    shown = repr(
        [
            user,
            fresh,
            link,
            await services.auth.sign_ins.identify(fresh.secret),
            CredentialsBody(user="ana", password=PASSWORD),
            SignInTokenBody(user="ana", password=PASSWORD),
            LinkSignInBody(link=link.secret),
            PasswordChangeBody(current=PASSWORD, new=PASSWORD),
            NewUserBody(name="ana", role=Role.ADMIN, password=PASSWORD),
            NewPasswordBody(password=PASSWORD),
            CONTROL_IDENTITY,
            services.auth,
        ]
    )
    for secret in (PASSWORD, fresh.secret, fresh.csrf, link.secret, user.password_hash or "-"):
        assert secret not in shown


async def test_a_new_token_hides_itself(services: AuthServices) -> None:
    """Even the object that carries it out shows only the record."""
    await services.create_user()
    wanted, life = {Scope.RULES_READ}, timedelta(hours=1)
    made = await services.auth.tokens.issue_token(CONTROL_IDENTITY, "ana", "crm", wanted, life)
    assert made.token not in repr(made)
    assert made.record.id in repr(made)
