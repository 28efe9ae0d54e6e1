"""Users: the first over the control socket, roles and passwords, disabling, the last admin."""

from __future__ import annotations

import pytest

from daemon.auth import Role
from daemon.errors import BadRequest, Conflict, NotFound
from tests.helpers.auth import PASSWORD, AuthHouse


async def test_the_first_user_is_made_on_the_machine(house: AuthHouse) -> None:
    """From the network nobody can: there is nobody yet who may."""
    first = {"name": "ana", "role": "admin", "password": PASSWORD}
    assert (await house.public.call("POST", "/v1/users", **first)).code == "unauthorized"
    made = await house.control.call("POST", "/v1/users", **first)
    assert made.status == 201
    browser = await house.browser("ana")
    second = await browser.call("POST", "/v1/users", name="eva", role="viewer")
    assert (second.status, second.document["has_password"]) == (201, False)


async def test_the_list_shows_no_hashes(house: AuthHouse) -> None:
    """Names, roles and times; whether there is a password, and not a letter of it."""
    browser = await house.browser(await house.user())
    (shown,) = (await browser.call("GET", "/v1/users")).document["items"]
    assert shown == {
        "name": "ana",
        "role": "admin",
        "has_password": True,
        "created_at": "2026-03-03T15:00:00Z",
        "signed_in_at": "2026-03-03T15:00:00Z",
        "disabled_at": None,
    }


@pytest.mark.parametrize("name", ["", "Ana", "ana/crm", "-ana", "a" * 33, "ana maria", "ana\n"])
async def test_odd_names_are_refused(house: AuthHouse, name: str) -> None:
    """A name is part of the audit and of tokens: it must be told from all else."""
    with pytest.raises(BadRequest, match="name"):
        await house.auth.users.create(name, Role.VIEWER, "root")


async def test_a_name_is_given_once(house: AuthHouse) -> None:
    """Also that of somebody who is disabled: the audit would mix two people."""
    await house.user("ana")
    await house.user("eva")
    await house.auth.users.disable("eva", "ana")
    with pytest.raises(Conflict, match="eva"):
        await house.user("eva")


async def test_one_administrator_remains(house: AuthHouse) -> None:
    """The last can be neither disabled nor made less; a disabled one does not count."""
    await house.user("ana")
    await house.user("eva")
    await house.auth.users.disable("eva", "ana")
    await house.auth.users.disable("eva", "ana")
    for refused in (
        house.auth.users.disable("ana", "ana"),
        house.auth.users.set_role("ana", Role.VIEWER, "ana"),
    ):
        with pytest.raises(Conflict, match="only administrator"):
            await refused
    await house.auth.users.set_role("ana", Role.ADMIN, "ana")
    await house.auth.users.enable("eva", "ana")
    demoted = await house.auth.users.set_role("ana", Role.VIEWER, "eva")
    assert demoted.role == "viewer"


async def test_every_order_goes_over_http_and_into_the_audit(house: AuthHouse) -> None:
    """Role, password, disable, enable, revoke: each answers with the user as they are then."""
    admin = await house.browser(await house.user())
    eva = await house.browser(await house.user("eva", Role.OPERATOR))
    assert (await eva.call("GET", "/v1/users")).code == "scope_missing"
    changed = await admin.call("POST", "/v1/users/eva/role", role="viewer")
    assert changed.document["role"] == "viewer"
    assert (await admin.call("POST", "/v1/users/eva/revoke")).status == 200
    assert (await eva.call("GET", "/v1/rules")).code == "sign_in_over"
    new = "a sentence that is long"
    assert (await admin.call("POST", "/v1/users/eva/password", password=new)).status == 200
    disabled = await admin.call("POST", "/v1/users/eva/disable")
    assert disabled.document["disabled_at"]
    refused = await house.public.call("POST", "/v1/sign-in", user="eva", password=new)
    assert refused.code == "sign_in_failed"
    assert (await admin.call("POST", "/v1/users/eva/enable")).document["disabled_at"] is None
    again = await house.public.call("POST", "/v1/sign-in", user="eva", password=new)
    assert again.status == 200
    assert await house.audited("eva") == [
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


async def test_disabling_ends_what_enabling_does_not_bring_back(house: AuthHouse) -> None:
    """A browser and a link of before stay worthless; the user signs in anew."""
    await house.user("ana")
    eva = await house.browser(await house.user("eva"))
    link = await house.auth.sign_ins.make_link("eva", "ana")
    await house.auth.users.disable("eva", "ana")
    await house.auth.users.enable("eva", "ana")
    assert (await eva.call("GET", "/v1/rules")).code == "sign_in_over"
    spent = await house.public.call("POST", "/v1/sign-in/link", link=link.secret)
    assert spent.code == "link_spent"
    assert (await (await house.browser("eva")).call("GET", "/v1/rules")).status == 200


async def test_nobody_is_not_found(house: AuthHouse) -> None:
    """Orders about a user who is not there are 404, and leave no trace."""
    await house.user()
    users = house.auth.users
    for order in (
        users.get("eva"),
        users.set_password("eva", PASSWORD, "ana"),
        users.set_role("eva", Role.ADMIN, "ana"),
        users.disable("eva", "ana"),
        users.revoke("eva", "ana"),
    ):
        with pytest.raises(NotFound, match="eva"):
            await order
    assert await house.audited("eva") == []
