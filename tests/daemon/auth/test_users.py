"""Users: the first over the control socket, roles and passwords, disabling, the last admin."""

from __future__ import annotations

import pytest

from daemon.auth import Role
from daemon.errors import BadRequest, Conflict, NotFound
from tests.helpers.client.auth import PASSWORD, AuthServices


async def test_the_first_user_is_made_on_the_machine(services: AuthServices) -> None:
    """From the network nobody can: there is nobody yet who may."""
    first = {"name": "ana", "role": "admin", "password": PASSWORD}
    assert (await services.public.call("POST", "/v1/users", **first)).code == "unauthorized"
    made = await services.control.call("POST", "/v1/users", **first)
    assert made.status == 201
    browser = await services.sign_in_browser("ana")
    second = await browser.call("POST", "/v1/users", name="eva", role="viewer")
    assert (second.status, second.document["has_password"]) == (201, False)


async def test_the_list_shows_no_hashes(services: AuthServices) -> None:
    """Names, roles and times; whether there is a password, and not a letter of it."""
    browser = await services.sign_in_browser(await services.create_user())
    (shown,) = (await browser.call("GET", "/v1/users")).document["items"]
    assert shown == {
        "name": "ana",
        "role": "admin",
        "has_password": True,
        "created_at": "2026-03-03T15:00:00Z",
        "signed_in_at": "2026-03-03T15:00:00Z",
        "disabled_at": None,
        "phone": None,
        "language": None,
        "seen_at": "2026-03-03T15:00:00Z",
        "seen_from": "127.0.0.1",
    }


@pytest.mark.parametrize("name", ["", "Ana", "ana/crm", "-ana", "a" * 33, "ana maria", "ana\n"])
async def test_odd_names_are_refused(services: AuthServices, name: str) -> None:
    """A name is part of the audit and of tokens: it must be told from all else."""
    with pytest.raises(BadRequest, match="name"):
        await services.auth.users.create_user(name, Role.VIEWER, "root")


async def test_a_name_is_given_once(services: AuthServices) -> None:
    """Also that of somebody who is disabled: the audit would mix two people."""
    await services.create_user("ana")
    await services.create_user("eva")
    await services.auth.users.disable("eva", "ana")
    with pytest.raises(Conflict, match="eva"):
        await services.create_user("eva")


async def test_one_administrator_remains(services: AuthServices) -> None:
    """The last can be neither disabled nor made less; a disabled one does not count."""
    await services.create_user("ana")
    await services.create_user("eva")
    await services.auth.users.disable("eva", "ana")
    await services.auth.users.disable("eva", "ana")
    for refused in (
        services.auth.users.disable("ana", "ana"),
        services.auth.users.set_role("ana", Role.VIEWER, "ana"),
    ):
        with pytest.raises(Conflict, match="only administrator"):
            await refused
    await services.auth.users.set_role("ana", Role.ADMIN, "ana")
    await services.auth.users.enable("eva", "ana")
    demoted = await services.auth.users.set_role("ana", Role.VIEWER, "eva")
    assert demoted.role == "viewer"


async def test_every_order_goes_over_http_and_into_the_audit(services: AuthServices) -> None:
    """Role, password, disable, enable, revoke: each answers with the user as they are then."""
    admin = await services.sign_in_browser(await services.create_user())
    eva = await services.sign_in_browser(await services.create_user("eva", Role.OPERATOR))
    assert (await eva.call("GET", "/v1/users")).code == "scope_missing"
    changed = await admin.call("POST", "/v1/users/eva/role", role="viewer")
    assert changed.document["role"] == "viewer"
    assert (await admin.call("POST", "/v1/users/eva/revoke")).status == 200
    assert (await eva.call("GET", "/v1/rules")).code == "sign_in_over"
    new = "a sentence that is long"
    assert (await admin.call("POST", "/v1/users/eva/password", password=new)).status == 200
    disabled = await admin.call("POST", "/v1/users/eva/disable")
    assert disabled.document["disabled_at"]
    refused = await services.public.call("POST", "/v1/sign-in", user="eva", password=new)
    assert refused.code == "sign_in_failed"
    assert (await admin.call("POST", "/v1/users/eva/enable")).document["disabled_at"] is None
    again = await services.public.call("POST", "/v1/sign-in", user="eva", password=new)
    assert again.status == 200
    assert await services.list_audited_actions("eva") == [
        "create_user",
        "sign_in",
        "set_role",
        "revoke_user",
        "set_password",
        "disable_user",
        "fail_sign_in",
        "enable_user",
        "sign_in",
    ]


async def test_disabling_ends_what_enabling_does_not_bring_back(services: AuthServices) -> None:
    """A browser and a link of before stay worthless; the user signs in anew."""
    await services.create_user("ana")
    eva = await services.sign_in_browser(await services.create_user("eva"))
    link = await services.auth.sign_ins.create_link("eva", "ana")
    await services.auth.users.disable("eva", "ana")
    await services.auth.users.enable("eva", "ana")
    assert (await eva.call("GET", "/v1/rules")).code == "sign_in_over"
    spent = await services.public.call("POST", "/v1/sign-in/link", link=link.secret)
    assert spent.code == "link_spent"
    assert (await (await services.sign_in_browser("eva")).call("GET", "/v1/rules")).status == 200


async def test_nobody_is_not_found(services: AuthServices) -> None:
    """Orders about a user who is not there are 404, and leave no trace."""
    await services.create_user()
    users = services.auth.users
    for order in (
        users.get_user("eva"),
        users.set_password("eva", PASSWORD, "ana"),
        users.set_role("eva", Role.ADMIN, "ana"),
        users.disable("eva", "ana"),
        users.revoke_access("eva", "ana"),
    ):
        with pytest.raises(NotFound, match="eva"):
            await order
    assert await services.list_audited_actions("eva") == []


async def test_nobody_disables_themselves(services: AuthServices) -> None:
    """Another administrator does, so that a slip locks nobody out; the last one stays."""
    browser = await services.sign_in_browser(await services.create_user("ana"))
    await services.create_user("eva")
    own = await browser.call("POST", "/v1/users/ana/disable")
    assert (own.status, own.document["detail"]) == (409, "Nobody can disable themselves.")
    assert (await browser.call("POST", "/v1/users/eva/disable")).status == 200
    last = await services.control.call("POST", "/v1/users/ana/disable")
    assert (last.status, last.document["code"]) == (409, "conflict")


async def test_a_user_has_an_own_number(services: AuthServices) -> None:
    """In its normal form; what is no number is refused with what to write, and empty is none."""
    await services.create_user("ana")
    path = "/v1/users/ana/phone"
    stored = await services.control.call("POST", path, phone="+54 9 11 4123-4567")
    assert stored.document["phone"] == "+5491141234567"
    wrong = await services.control.call("POST", path, phone="11 4123-4567")
    assert (wrong.status, wrong.document["code"]) == (422, "number_rejected")
    gone = await services.control.call("POST", path, phone="")
    assert gone.document["phone"] is None
