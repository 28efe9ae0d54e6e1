"""Saved filters over HTTP: kept, used, changed and deleted, by roles, and bad input."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from daemon.auth import ALL_SCOPES, ROLE_SCOPES, Principal, Role, SignInMethod
from daemon.auth.identity import Scope
from daemon.contacts.prospect_filters import MAX_FIELD_LENGTH
from daemon.contacts.saved_filters import MAX_NAME_LENGTH
from tests.helpers.client.http import HttpClient, HttpServer

PATH = "/v1/saved-filters"
OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)


async def add_prospect(api: HttpClient, phone: str, permission: str) -> None:
    """Add somebody of the fair."""
    statement = {"statement": "ticked the box"} if permission == "opted_in" else {}
    made = await api.post(
        "/v1/prospects", phone=phone, cartera_origen="feria", permission=permission, **statement
    )
    assert made.status == 201


async def issue_token(server: HttpServer, role: Role, *scopes: Scope) -> str:
    """Return a token of somebody with a role; with all that the role may, if no scope is named."""
    auth = server.services.auth
    await auth.users.create_user("vera", role, "root")
    allowed = frozenset(scopes) or ROLE_SCOPES[role]
    issued = await auth.tokens.issue_token(OWNER, "vera", "test", allowed, timedelta(hours=1))
    return issued.token


async def test_a_filter_finds_the_same_people_wherever_it_is_used(api: HttpClient) -> None:
    """Its count is that of the list, of a selection and of a campaign's audience."""
    await add_prospect(api, "+5491141234567", "opted_in")
    await add_prospect(api, "+5491141234568", "public_source")
    fields = {"permission": "opted_in", "text": "FERIA"}
    saved = await api.post(PATH, name="Aceptaron", filter=fields)
    assert (saved.status, saved.document["count"]) == (201, 1)
    assert saved.document["filter"] == fields | {"validation": None, "import_id": ""}
    listed = (await api.get("/v1/prospects?permission=opted_in&text=FERIA")).document["items"]
    selected = (await api.post("/v1/prospects/selection", filter=fields)).document
    made = await api.post("/v1/campaigns", name="Marzo", saved_filter=saved.document["id"])
    campaign = made.document["campaign"]
    counted = (await api.get(f"/v1/campaigns/{campaign['id']}/audience")).document
    assert (len(listed), selected["count"], counted["total"]) == (1, 1, 1)
    assert [each["name"] for each in (await api.get(PATH)).document["items"]] == ["Aceptaron"]
    assert (await api.get(f"{PATH}/ACEPTARÓN")).document == saved.document
    deleted = await api.call("DELETE", f"{PATH}/{saved.document['id']}")
    assert (deleted.status, deleted.document["name"]) == (200, "Aceptaron")
    assert (await api.get(PATH)).document["items"] == []


async def test_bad_input_is_a_sentence(api: HttpClient) -> None:
    """And what is not there any more is 404."""
    made = await api.post(PATH, name="Feria", filter={"text": "feria"})
    one = f"{PATH}/{made.document['id']}"
    cases: list[tuple[str, str, dict[str, Any], int]] = [
        ("POST", PATH, {"name": "féria", "filter": {"text": "a"}}, 409),
        ("POST", PATH, {"name": "Todos", "filter": {}}, 400),
        ("POST", PATH, {"name": " ", "filter": {"text": "a"}}, 400),
        ("POST", PATH, {"name": "\N{COMBINING ACUTE ACCENT}", "filter": {"text": "a"}}, 400),
        ("POST", PATH, {"name": "x" * (MAX_NAME_LENGTH + 1), "filter": {"text": "a"}}, 400),
        ("POST", PATH, {"name": "Otro", "filter": {"text": "a" * 201}}, 400),
        ("POST", PATH, {"name": "Otro", "filter": {"color": "red"}}, 400),
        ("POST", PATH, {"name": "Otro", "filter": {"import_id": "imp_1"}}, 400),
        ("PATCH", one, {}, 400),
        ("PATCH", one, {"filter": {"text": " "}}, 400),
        ("PATCH", f"{PATH}/flt_1", {"name": "Otro"}, 404),
        ("PATCH", one, {"name": "Otro", "changed_at": "2026-01-01T00:00:00Z"}, 409),
        ("PATCH", one, {"name": "Otro", "changed_at": "2026-01-01T00:00:00"}, 400),
        ("DELETE", f"{one}?changed_at=2026-01-01T00:00:00Z", {}, 409),
        ("DELETE", f"{one}?changed_at=yesterday", {}, 400),
        ("DELETE", f"{PATH}/flt_1", {}, 404),
        ("POST", "/v1/campaigns", {"name": "Otra", "saved_filter": "flt_1"}, 404),
    ]
    for method, path, body, status in cases:
        reply = await api.call(method, path, json=body)
        assert (method, path, body, reply.status) == (method, path, body, status)
        assert reply.document["detail"]
    assert (await api.get("/v1/campaigns")).document["items"] == []


async def test_a_filter_has_one_limit_wherever_it_is_used(api: HttpClient) -> None:
    """What a list finds can be kept as a filter."""
    long = "a" * (MAX_FIELD_LENGTH + 1)
    for path in ("/v1/prospects", "/v1/exports/prospects.csv"):
        for field in ("text", "import_id"):
            assert (await api.get(f"{path}?{field}={long[1:]}")).status == 200
            assert (await api.get(f"{path}?{field}={long}")).status == 400


async def test_who_may_only_look_changes_nothing(api: HttpClient, server: HttpServer) -> None:
    """Each change is in the audit, with who made it."""
    made = await api.post(PATH, name="Feria", filter={"text": "feria"})
    viewer = server.public
    token = await issue_token(server, Role.VIEWER)
    viewer.session.headers["Authorization"] = f"Bearer {token}"
    one = f"{PATH}/{made.document['id']}"
    assert (await viewer.get(one)).status == 200
    for method, path in (("POST", PATH), ("PATCH", one), ("DELETE", one)):
        assert (await viewer.call(method, path, json={"name": "Mío"})).status == 403
    await api.call("PATCH", one, json={"name": "Feria marzo"})
    await api.call("DELETE", one)
    entries = (await api.get(f"/v1/audit?subject={made.document['id']}")).document["items"]
    assert [each["entry"]["action"] for each in entries] == [
        *("saved_filter_deleted", "saved_filter_changed", "saved_filter_created")
    ]
    assert entries[1]["entry"]["detail"] == {"name": "Feria marzo", "before": "Feria"}


async def test_a_page_reads_in_its_language_what_a_filter_became(
    api: HttpClient, server: HttpServer
) -> None:
    """The refusal has the sentence of the filter, which is no sentence of the catalogue."""
    made = await api.post(PATH, name="Feria", filter={"permission": "opted_in"})
    path = f"{PATH}/{made.document['id']}"
    page = {
        "Authorization": f"Bearer {await issue_token(server, Role.OPERATOR)}",
        "Sec-Fetch-Site": "same-origin",
        "Accept-Language": "es-AR",
    }
    body = {"name": "Otro", "changed_at": "2026-01-01T00:00:00Z"}
    late = await server.public.call("PATCH", path, json=body, headers=page)
    assert late.status == 409
    assert late.document["detail"].endswith("Ahora es Feria: Personas cuyo permiso es: Aceptó.")


async def test_who_may_not_read_prospects_reads_no_filter_through_a_campaign(
    api: HttpClient, server: HttpServer
) -> None:
    """A filter has a name and words that are searched for; a campaign would answer with both."""
    made = await api.post(PATH, name="Feria", filter={"text": "Ana Sosa"})
    draft = await api.post("/v1/campaigns", name="Marzo")
    one = f"/v1/campaigns/{draft.document['campaign']['id']}"
    scopes = (Scope.CAMPAIGNS_WRITE, Scope.CAMPAIGNS_READ)
    token = await issue_token(server, Role.OPERATOR, *scopes)
    narrow = server.public
    narrow.session.headers["Authorization"] = f"Bearer {token}"
    saved = made.document["id"]
    for refused in (
        await narrow.call("PATCH", one, json={"saved_filter": saved}),
        await narrow.call("POST", "/v1/campaigns", json={"name": "Mayo", "saved_filter": saved}),
        await narrow.get("/pieces/campaigns/new"),
    ):
        assert (refused.status, "prospects:read" in str(refused.document)) == (403, True)
    assert (await narrow.call("PATCH", one, json={"name": "Abril"})).status == 200
    page = await narrow.get(f"/campaigns/{draft.document['campaign']['id']}")
    assert (page.status, "Feria" in page.document) == (200, False)
