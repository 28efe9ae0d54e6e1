"""Campaigns over HTTP: two operators without collision, bad input, and lists for spreadsheets."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from daemon.auth import ALL_SCOPES, Principal, Role, SignInMethod
from daemon.auth.access import ROUTE_SCOPES
from daemon.auth.identity import Scope
from tests.helpers.client.http import HttpClient, HttpServer, create_ready_session

pytestmark = pytest.mark.slow

FOOTER = "Soy {quien}; tu número lo tomamos de {origen_en_palabras}. Respondé BAJA y listo."
OWNER = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)
PEOPLE = 6


async def sign_in_leo(server: HttpServer) -> HttpClient:
    """Return a client of another operator."""
    auth = server.services.auth
    await auth.users.create_user("leo", Role.OPERATOR, "root")
    scopes = ALL_SCOPES - {"admin", "rules:write"}
    token = (await auth.tokens.issue_token(OWNER, "leo", "test", scopes, timedelta(hours=1))).token
    server.public.session.headers["Authorization"] = f"Bearer {token}"
    return server.public


async def add_text(api: HttpClient) -> str:
    """Store an approved text for first contacts; return its id."""
    made = await api.post(
        "/v1/texts",
        name="Feria",
        purpose="first_contact",
        body="Hola {nombre}, ¿hablamos?",
        footer=FOOTER,
        fallbacks={"origen_en_palabras": "la feria"},
    )
    text: str = made.document["id"]
    await api.post(f"/v1/texts/{text}/approve", version=1)
    return text


async def start_campaign(api: HttpClient, **draft: object) -> str:
    """Start a campaign with six people who agreed; return its path."""
    await create_ready_session(api)
    for n in range(PEOPLE):
        made = await api.post(
            "/v1/prospects",
            phone=f"+54911412345{n:02}",
            name="=1+1 Sosa" if n == 0 else f"Persona{n} Sosa",
            cartera_origen="feria",
            permission="opted_in",
            statement="ticked the box",
        )
        await api.post(
            f"/v1/prospects/{made.document['id']}/validate", validated=True, reason="I called"
        )
    draft |= {"name": "Feria", "session": "ventas", "text": await add_text(api)}
    made = await api.post("/v1/campaigns", **draft)
    path = f"/v1/campaigns/{made.document['campaign']['id']}"
    run = (await api.post(f"{path}/dry-run")).document
    assert run["outlooks"]["by_hand"] == PEOPLE
    started = await api.post(f"{path}/start", hash=run["hash"], reason="the fair is over")
    assert started.document["will_leave"] == PEOPLE
    return path


async def work_off(client: HttpClient, path: str) -> list[str]:
    """Take, open and confirm people until there are none; return their prospects."""
    done = []
    while person := (await client.post(f"{path}/next")).document["person"]:
        opened = await client.post(f"{path}/people/{person['prospect']}/open")
        assert opened.document["link"].startswith("https://wa.me/54911412345")
        sent = await client.post(f"{path}/people/{person['prospect']}/sent")
        assert sent.document["state"] == "sent"
        done.append(person["prospect"])
    return done


async def test_two_operators_at_once_write_to_nobody_twice(
    api: HttpClient, server: HttpServer
) -> None:
    """Each person has one operator; neither opens or confirms the other's."""
    path, leo = await start_campaign(api), await sign_in_leo(server)
    mine = (await api.post(f"{path}/next")).document["person"]
    theirs = (await leo.post(f"{path}/next")).document["person"]
    assert mine["prospect"] != theirs["prospect"]
    for step, body in (("open", {}), ("sent", {}), ("return", {}), ("skip", {"reason": "mine"})):
        refused = await leo.post(f"{path}/people/{mine['prospect']}/{step}", **body)
        assert (step, refused.status) == (step, 403)
    done = await asyncio.gather(work_off(api, path), work_off(leo, path))
    assert len({*done[0], *done[1]}) == len(done[0]) + len(done[1]) == PEOPLE


async def sign_in_eva(server: HttpServer) -> None:
    """Let the public client be a program for campaigns, without the right to prospects."""
    auth = server.services.auth
    await auth.users.create_user("eva", Role.OPERATOR, "root")
    scopes = {Scope.CAMPAIGNS_READ, Scope.CAMPAIGNS_WRITE, Scope.MESSAGES_READ}
    token = (await auth.tokens.issue_token(OWNER, "eva", "test", scopes, timedelta(hours=1))).token
    server.public.session.headers["Authorization"] = f"Bearer {token}"


async def make_filtered_campaigns(api: HttpClient, server: HttpServer) -> tuple[str, str]:
    """Return the ids of a running campaign and of a draft for people named Sosa; sign in eva."""
    audience = {"text": "Sosa", "permission": "opted_in"}
    path = await start_campaign(api, audience=audience)
    new = {"phone": "+5491141234599", "name": "Eva Sosa", "cartera_origen": "feria"}
    await api.post("/v1/prospects", **new, permission="opted_in", statement="ticked the box")
    draft = await api.post("/v1/campaigns", name="Marzo", audience=audience)
    assert (await api.get(path)).document["campaign"]["audience"] == audience
    assert (await api.get(path)).document["withheld"] == []
    await sign_in_eva(server)
    return path.rpartition("/")[2], draft.document["campaign"]["id"]


async def test_no_page_shows_the_words_of_a_filter_without_the_right_to_prospects(
    api: HttpClient, server: HttpServer
) -> None:
    """They may be somebody's name. What can't be read there can't be overwritten there either."""
    running, draft = await make_filtered_campaigns(api, server)
    for method, route in ROUTE_SCOPES:
        if method == "GET" and "campaigns" in route:
            for one, other in ((running, draft), (draft, running)):
                path = route.format(id=one, other=other, action="pause", prospect="pro_1")
                shown = await server.public.get(path)
                assert (route, "Sosa" in str(shown.document)) == (route, False)
    for one in (running, draft):
        page = (await server.public.get(f"/campaigns/{one}")).document
        assert "Its filter is shown to whoever may read prospects" in page
        assert 'name="audience.' not in page


async def test_an_answer_without_the_words_of_a_filter_says_so(
    api: HttpClient, server: HttpServer
) -> None:
    """Whichever action it answers."""
    running, draft = await make_filtered_campaigns(api, server)
    eva, path = server.public, f"/v1/campaigns/{running}"
    run = (await eva.post(f"{path}/dry-run")).document
    answers = [
        *(await eva.get("/v1/campaigns")).document["items"],
        (await eva.get(path)).document,
        (await eva.call("PATCH", f"/v1/campaigns/{draft}", json={"name": "Mayo"})).document,
        (await eva.post(f"{path}/start", hash=run["hash"], reason="one more")).document,
        (await eva.post(f"{path}/pause", reason="a wrong text")).document,
        (await eva.post(f"{path}/resume", reason="it is right")).document,
        (await eva.post(f"{path}/cancel", reason="a holiday")).document,
    ]
    assert [each["withheld"] for each in answers] == [["audience.text"]] * 8
    assert all("text" not in each["campaign"]["audience"] for each in answers)
    assert answers[-1]["campaign"]["audience"] == {"permission": "opted_in"}


async def test_who_may_not_read_prospects_sets_no_filter(
    api: HttpClient, server: HttpServer
) -> None:
    """It would replace one that it does not read, and count whom one of its own finds."""
    _, draft = await make_filtered_campaigns(api, server)
    eva, path = server.public, f"/v1/campaigns/{draft}"
    for audience in ({"text": "+5491141234502"}, {"permission": "refused"}, {}):
        new = {"name": "Abril", "audience": audience}
        for refused in (
            await eva.call("PATCH", path, json={"audience": audience}),
            await eva.call("POST", "/v1/campaigns", json=new),
        ):
            assert (refused.status, "prospects:read" in str(refused.document)) == (403, True)
    kept = (await api.get(path)).document["campaign"]["audience"]
    assert kept == {"text": "Sosa", "permission": "opted_in"}
    assert (await eva.post("/v1/campaigns", name="Abril")).status == 201


async def opt_out_after_dry_run(api: HttpClient, path: str, phone: str) -> str:
    """Make a dry run, let one of its people opt out, and return its hash."""
    run = (await api.post(f"{path}/dry-run")).document
    await api.post("/v1/suppressions", phone=phone, reason="asked us on the phone")
    return str(run["hash"])


async def test_a_dry_run_names_nobody_without_the_right_to_prospects(
    api: HttpClient, server: HttpServer
) -> None:
    """How many moved is shown, on the page too; who they are, to whoever may read prospects."""
    await start_campaign(api)
    made = await api.post("/v1/campaigns", name="Mayo", session="ventas", typed="Hola de nuevo")
    path = f"/v1/campaigns/{made.document['campaign']['id']}"
    await sign_in_eva(server)
    hash_ = await opt_out_after_dry_run(api, path, "+5491141234502")
    refused = await server.public.post(f"{path}/start", hash=hash_, reason="one more")
    assert (refused.status, refused.document["code"]) == (409, "dry_run_moved")
    assert refused.document["detail"] == "Since the dry run, 1 moved. Nothing was started."
    hash_ = await opt_out_after_dry_run(api, path, "+5491141234503")
    run = (await server.public.post(f"{path}/dry-run")).document
    assert run["withheld"] == ["moved.name", "opted_out_since.names"]
    assert [each["name"] for each in run["moved"]] == [""]
    assert (run["opted_out_since"]["count"], run["opted_out_since"]["names"]) == (1, [])
    named = (await api.get(f"{path}/dry-run")).document
    assert named["withheld"] == []
    assert named["opted_out_since"]["names"] == [named["moved"][0]["name"]] == ["Persona3 Sosa"]
    id_ = made.document["campaign"]["id"]
    for page in (f"/campaigns/{id_}", f"/pieces/campaigns/{id_}/dry-run"):
        shown = (await server.public.get(page)).document
        assert "Since the last dry run 1 opted out" in shown
        assert "Their names are shown to whoever may read prospects" in shown
        assert "Sosa" not in shown
        assert named["moved"][0]["prospect"] not in shown


async def test_bad_input_is_a_sentence(api: HttpClient) -> None:
    """And what is not there is 404; a draft may lack everything but its name."""
    made = await api.post("/v1/campaigns", name="  Feria  marzo ")
    assert made.document["campaign"]["name"] == "Feria marzo"
    path = f"/v1/campaigns/{made.document['campaign']['id']}"
    assert (await api.post("/v1/campaigns", name="féria MARZO")).status == 409
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("", {"session": "nobody"}, 400),
        ("", {"text": "txt_1"}, 400),
        ("", {"ends_at": "2020-01-01T00:00:00Z"}, 400),
        ("", {"audience": {"color": "red"}}, 400),
        ("/dry-run", {}, 409),
        ("/start", {"hash": "x", "reason": "now then"}, 409),
        ("/pause", {"reason": "not begun"}, 409),
        ("/people/prs_1/open", {}, 404),
        ("/people/prs_1/skip", {"reason": "why not"}, 404),
    ]
    for rest, body, status in cases:
        method = "POST" if rest else "PATCH"
        reply = await api.call(method, path + rest, json=body)
        assert (rest, body, reply.status) == (rest, body, status)
        assert reply.document["detail"]
    assert (await api.get("/v1/campaigns/cmp_1")).status == 404
    assert (await api.get("/v1/campaigns/cmp_1/report")).status == 404
    assert (await api.get(f"{path}/dry-run")).status == 404


async def test_people_as_csv_and_as_a_workbook(api: HttpClient) -> None:
    """Numbers are text, and a name that looks like a formula is none."""
    path = await start_campaign(api)
    await work_off(api, path)
    url = f"{api.base}{path}/people"
    async with api.session.get(f"{url}.csv") as answer:
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["state"] for row in rows] == ["sent"] * PEOPLE
    assert (rows[0]["name"], rows[0]["phone"]) == ("'=1+1 Sosa", "+5491141234500")
    async with api.session.get(f"{url}.xlsx") as answer:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(await answer.read()))
    head, first, *_ = workbook.get_sheet_by_index(0).to_python()
    cells = dict(zip(head, first, strict=True))
    assert (cells["name"], cells["phone"]) == ("=1+1 Sosa", "+5491141234500")
    funnel = (await api.get(f"{path}/funnel")).document
    assert (funnel["queued"], funnel["allowed"], funnel["sent"]) == (PEOPLE, PEOPLE, PEOPLE)
    made = await api.post("/v1/campaigns", name="Otra", session="ventas")
    other = made.document["campaign"]["id"]
    beside = (await api.get(f"{path}/compare/{other}")).document
    assert (beside["first"]["stages"]["sent"], beside["second"]["stages"]["sent"]) == (PEOPLE, 0)
    assert beside["differs"] == ["text"]
    assert {each["verdict"] for each in beside["shares"]} == {"too_few"}
    assert (await api.get(f"{path}/compare/cmp_1")).status == 404
    listed = (await api.get(f"{path}/people?stage=sent&limit=4")).document
    rest = (await api.get(f"{path}/people?stage=sent&limit=4&after={listed['next']}")).document
    assert len(listed["items"]) + len(rest["items"]) == PEOPLE
