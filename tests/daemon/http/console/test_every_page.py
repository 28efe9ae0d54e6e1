"""Every route of the console, in both languages: on an empty database and on a full one.

A page without a variable or without a word is an error 500 here, not in front of a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from msgspec.structs import replace

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.auth import ALL_SCOPES, ROLE_SCOPES, Principal, Role, Scope, SignInMethod
from daemon.campaigns.service import CampaignChange
from daemon.contacts.prospect_filters import ProspectFilter
from daemon.gate.consent import Permission
from daemon.http import console as pages
from daemon.http.console.accounts import USER_DIALOGS
from daemon.http.console.campaigns import CONTROLS
from daemon.http.console.deliveries import ROW_DEEDS
from daemon.http.console.dialogs import SELECTION_ACTIONS
from daemon.http.console.layout import THEMES
from daemon.http.console.navigation import PLACES
from daemon.http.console.saved_filters import SAVED_FILTER_ACTIONS
from daemon.sessions.signal_check import RejectedSignal
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import ConnectionState
from storage import deliveries, imports, messages, rulesets
from storage.bans import insert_ban
from storage.client_terms import USUAL_COLUMNS, DeliveryTerms
from storage.deliveries import DeliveryEvidence, DeliveryFact, DeliveryGround, NewDeliveryRow
from storage.outcomes import Outcome
from storage.prospects import ProspectRecord
from storage.texts import NewTextVersion, TextPurpose
from storage.tx import Tx
from tests.helpers.client.console import (
    HTMX_HEADERS,
    ConsoleServer,
    build_prospect_csv,
    check_page_words,
    get_page,
    move_message_to_state,
    open_console,
    render,
    update_session_record,
)
from tests.helpers.client.http import DAYTIME, build_settings
from tests.helpers.services.database import list_prospects

pytestmark = pytest.mark.slow

EVIDENCE: Final = {
    DeliveryFact.VALIDATION: "inbound",
    DeliveryFact.PERMISSION: "relationship",
    DeliveryFact.INTENT: "asked",
    DeliveryFact.SHARING: "decision",
}
ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "/": ("/",),
    "/pieces/today": ("/pieces/today",),
    "/sign-in": ("/sign-in", "/sign-in?ended", "/sign-in?back=/messages%3Fstate=held"),
    "/chats": (
        "/chats",
        "/chats?tab=mine",
        "/chats?tab=strangers",
        "/chats?tab=all&text=x",
        "/chats?tab=no_outcome",
    ),
    "/chats/{contact}": ("/chats/{contact}", "/chats/{contact}?tab=all"),
    "/pieces/chats/list": ("/pieces/chats/list?tab=snoozed",),
    "/pieces/sidebar": ("/pieces/sidebar?page=messages",),
    "/pieces/chats/{contact}": ("/pieces/chats/{contact}",),
    "/pieces/chats/tabs": ("/pieces/chats/tabs?tab=messages",),
    "/pieces/chats/{contact}/minor": ("/pieces/chats/{contact}/minor",),
    "/pieces/chats/{contact}/close": ("/pieces/chats/{contact}/close",),
    "/pieces/chats/{contact}/private": ("/pieces/chats/{contact}/private",),
    "/pieces/chats/{contact}/take-over": ("/pieces/chats/{contact}/take-over",),
    "/pieces/chats/{contact}/share/{client}": ("/pieces/chats/{contact}/share/{client}",),
    "/pieces/clients/new": ("/pieces/clients/new",),
    "/pieces/clients/{id}/terms": ("/pieces/clients/{client}/terms",),
    "/pieces/clients/{id}/later-opt-outs": ("/pieces/clients/{client}/later-opt-outs",),
    "/deliveries": ("/deliveries", "/deliveries?month=2026-11"),
    "/deliveries/new": (
        *(
            "/deliveries/new?client={client}",
            "/deliveries/new?client={client}&text=x&decided=pro_1",
        ),
    ),
    "/deliveries/{id}": ("/deliveries/{delivery}",),
    "/pieces/deliveries/{id}": ("/pieces/deliveries/{delivery}",),
    "/pieces/deliveries/{id}/rows/{number}/{deed}": tuple(
        f"/pieces/deliveries/{{delivery}}/rows/1/{deed}" for deed in ROW_DEEDS
    ),
    "/pieces/prospects/{id}/outcome": ("/pieces/prospects/{prospect}/outcome",),
    "/sessions": ("/sessions",),
    "/sessions/{name}": ("/sessions/{session}",),
    "/pieces/sessions/new": ("/pieces/sessions/new",),
    "/pieces/sessions/{name}": ("/pieces/sessions/{session}",),
    "/pieces/sessions/{name}/linking-answers": ("/pieces/sessions/{session}/linking-answers",),
    "/pieces/sessions/{name}/pairing-code": ("/pieces/sessions/{session}/pairing-code",),
    "/pieces/sessions/{name}/resume-new-chats": ("/pieces/sessions/{session}/resume-new-chats",),
    "/bans/{id}": ("/bans/{ban}",),
    "/pieces/sessions/{name}/timeline": ("/pieces/sessions/{session}/timeline",),
    "/pieces/sessions/{name}/{action}": (
        *("/pieces/sessions/{session}/stop", "/pieces/sessions/{session}/restart"),
        *("/pieces/sessions/{session}/logout", "/pieces/sessions/{session}/delete"),
    ),
    "/messages": ("/messages", "/messages?text=hola&limit=2"),
    "/messages/new": (
        *("/messages/new", "/messages/new?prospect={prospect}", "/messages/new?to=11"),
    ),
    "/pieces/messages/people": (
        *("/pieces/messages/people?text=pe", "/pieces/messages/people?text=%2B5491144440000"),
    ),
    "/pieces/messages/unknown": ("/pieces/messages/unknown?text=11",),
    "/pieces/messages/{id}/sent": ("/pieces/messages/{message}/sent",),
    "/messages/{id}": ("/messages/{message}",),
    "/pieces/messages/{id}": ("/pieces/messages/{message}",),
    "/pieces/messages/{id}/cancel": ("/pieces/messages/{message}/cancel",),
    "/pieces/messages/{id}/settle": ("/pieces/messages/{message}/settle",),
    "/review": ("/review",),
    "/review/numbers": ("/review/numbers",),
    "/review/unconfirmed": ("/review/unconfirmed",),
    "/pieces/review/unconfirmed": ("/pieces/review/unconfirmed",),
    "/review/{id}": ("/review/{message}", "/review/{prospect}"),
    "/pieces/review/queue": ("/pieces/review/queue", "/pieces/review/queue?tab=numbers"),
    "/pieces/review/cases/{id}": (
        *("/pieces/review/cases/{message}", "/pieces/review/cases/{prospect}"),
    ),
    "/pieces/review/cases/{id}/{decision}": (
        *("/pieces/review/cases/{message}/approve", "/pieces/review/cases/{message}/reject"),
        *("/pieces/review/cases/{prospect}/approve", "/pieces/review/cases/{prospect}/reject"),
    ),
    "/review/meanings": ("/review/meanings",),
    "/review/meanings/{id}": ("/review/meanings/{unread}", "/review/meanings/{child}"),
    "/pieces/review/tabs": ("/pieces/review/tabs?tab=meanings",),
    "/pieces/review/meanings/queue": ("/pieces/review/meanings/queue",),
    "/pieces/review/meanings/cases/{id}": ("/pieces/review/meanings/cases/{unread}",),
    "/pieces/review/meanings/cases/{id}/{meaning}": (
        *("/pieces/review/meanings/cases/{child}/minor",),
        *("/pieces/review/meanings/cases/{child}/neither",),
    ),
    "/manual": ("/manual",),
    "/pieces/manual": ("/pieces/manual", "/pieces/manual?was={message}"),
    "/pieces/manual/{id}/not-sent": ("/pieces/manual/{message}/not-sent",),
    "/quarantine": ("/quarantine",),
    "/pieces/quarantine": ("/pieces/quarantine",),
    "/pieces/quarantine/{id}/settle": ("/pieces/quarantine/{signal}/settle",),
    "/prospects": (
        *("/prospects", "/prospects?text=p&limit=2&import_id={import_id}"),
        *("/prospects?saved_filter={filter}", "/prospects?saved_filter={filter}&text=p"),
        "/prospects?saved_filter=deleted",
    ),
    "/pieces/saved-filters": ("/pieces/saved-filters?saved_filter={filter}&all=true",),
    "/pieces/saved-filters/new": ("/pieces/saved-filters/new?text=p&permission=opted_in",),
    "/pieces/saved-filters/{id}/{action}": (
        *(f"/pieces/saved-filters/{{filter}}/{action}?text=p" for action in SAVED_FILTER_ACTIONS),
    ),
    "/prospects/{id}": ("/prospects/{prospect}",),
    "/pieces/prospects/new": ("/pieces/prospects/new",),
    "/pieces/prospects/{id}": ("/pieces/prospects/{prospect}",),
    **{
        f"/pieces/{rows}/selection/{{action}}": tuple(
            f"/pieces/{rows}/selection/{action}" for action in actions
        )
        for rows, actions in SELECTION_ACTIONS.items()
    },
    "/pieces/prospects/{id}/validate": ("/pieces/prospects/{prospect}/validate",),
    "/pieces/prospects/{id}/consent": ("/pieces/prospects/{prospect}/consent",),
    "/pieces/prospects/{id}/given": ("/pieces/prospects/{prospect}/given",),
    "/pieces/prospects/{id}/withdraw/{record}": ("/pieces/prospects/{prospect}/withdraw/{record}",),
    "/pieces/prospects/{id}/correct": ("/pieces/prospects/{prospect}/correct",),
    "/pieces/contacts/{id}/{action}": (
        *("/pieces/contacts/{contact}/suppress", "/pieces/contacts/{contact}/lift"),
    ),
    "/prospects/import": ("/prospects/import",),
    "/pieces/imports/preview": ("/pieces/imports/preview?upload={upload}",),
    "/prospects/import/history": ("/prospects/import/history",),
    "/pieces/history/none": ("/pieces/history/none",),
    "/pieces/history/preview": ("/pieces/history/preview?upload={upload}",),
    "/pieces/do-not-call/preview": ("/pieces/do-not-call/preview?upload={upload}",),
    "/prospects/imports/{id}": ("/prospects/imports/{import_id}",),
    "/pieces/imports/{id}/undo": ("/pieces/imports/{import_id}/undo",),
    "/pieces/imports/{id}/undone": ("/pieces/imports/{import_id}/undone",),
    "/prospects/imports/{id}/rejects.csv": ("/prospects/imports/{import_id}/rejects.csv",),
    "/rules": ("/rules",),
    "/pieces/rules/accept": (),
    "/pieces/rules/discard": (),
    "/pieces/rules/rollback/{hash}": ("/pieces/rules/rollback/{hash}",),
    "/pieces/rules/change/{target}": ("/pieces/rules/change/gate.thresholds.allow",),
    "/pieces/rules/preview": (*("/pieces/rules/preview?target=gate.thresholds.allow&value=90",),),
    "/phases": ("/phases",),
    "/texts": ("/texts",),
    "/texts/new": ("/texts/new", "/texts/new?purpose=answer"),
    "/texts/{id}": ("/texts/{text}",),
    "/campaigns": ("/campaigns",),
    "/campaigns/{id}": ("/campaigns/{draft}", "/campaigns/{campaign}"),
    "/campaigns/{id}/work": ("/campaigns/{campaign}/work",),
    "/campaigns/{id}/report": (
        *("/campaigns/{campaign}/report", "/campaigns/{campaign}/report?other={draft}"),
    ),
    "/pieces/campaigns/new": (
        *("/pieces/campaigns/new", "/pieces/campaigns/new?saved_filter={filter}"),
        "/pieces/campaigns/new?saved_filter=deleted",
    ),
    "/pieces/campaigns/{id}/audience": ("/pieces/campaigns/{draft}/audience",),
    "/pieces/campaigns/{id}/audience/people": (
        *(
            f"/pieces/campaigns/{{draft}}/audience/people?group={group}"
            for group in ("all", "relationship", "suppressed", "left_out")
        ),
    ),
    "/pieces/campaigns/{id}/dry-run": (
        *("/pieces/campaigns/{draft}/dry-run", "/pieces/campaigns/{campaign}/dry-run"),
    ),
    "/pieces/campaigns/{id}/dry-run/people": (
        "/pieces/campaigns/{campaign}/dry-run/people?outlook=approval",
    ),
    "/pieces/campaigns/{id}/live": ("/pieces/campaigns/{campaign}/live",),
    "/pieces/campaigns/{id}/people": (
        *("/pieces/campaigns/{campaign}/people?stage=queued",),
        *("/pieces/campaigns/{campaign}/people?state=waiting",),
    ),
    "/pieces/campaigns/{id}/control/{action}": (
        *(f"/pieces/campaigns/{{campaign}}/control/{each}" for each in CONTROLS),
    ),
    "/pieces/campaigns/{id}/work": ("/pieces/campaigns/{campaign}/work",),
    "/pieces/campaigns/{id}/people/{prospect}/skip": (
        "/pieces/campaigns/{campaign}/people/{prospect}/skip",
    ),
    "/pieces/texts/choices": ("/pieces/texts/choices?prospect={prospect}",),
    "/prospects/{id}/dossier": ("/prospects/{prospect}/dossier",),
    "/pieces/prospects/{id}/forget": ("/pieces/prospects/{prospect}/forget",),
    "/pieces/phases/{number}/open": ("/pieces/phases/3/open",),
    "/users": ("/users",),
    "/pieces/users/new": ("/pieces/users/new",),
    "/pieces/users/{name}/{action}": tuple(
        f"/pieces/users/{{user}}/{action}" for action in USER_DIALOGS
    ),
    "/tokens": ("/tokens",),
    "/pieces/tokens/new": ("/pieces/tokens/new",),
    "/pieces/tokens/{id}/revoke": ("/pieces/tokens/{token}/revoke",),
    "/invites": ("/invites",),
    "/invites/{code}": ("/invites/{invite}",),
    "/pieces/invites/new": ("/pieces/invites/new",),
    "/alerts": ("/alerts",),
    "/pieces/alerts/test": ("/pieces/alerts/test",),
    "/backups": ("/backups",),
    "/personal-data": ("/personal-data",),
    "/budgets": ("/budgets",),
    "/pieces/budgets/{phone}/{budget}": ("/pieces/budgets/{phone}/new_chats",),
    "/audit": ("/audit", "/audit?limit=2"),
    "/pieces/halt": ("/pieces/halt",),
    "/pieces/halt-banner": ("/pieces/halt-banner",),
}
"""Every route that shows something, with what is asked of it. `test_rules_states` has rules that
wait, without which there is nothing to accept."""
OTHERS: Final = {
    *("/static/{version}/{name}", "/reveal"),
    "/pieces/campaigns/{id}/next",
    *("/pieces/chats/{contact}/check", "/pieces/messages/check", "/pieces/texts/preview"),
}
"""Routes that show no words, or are asked with a body."""
WRITTEN: Final = frozenset(
    {
        *("Persona", "guía", "feria", "Nombre", "Teléfono", "Origen", "Ya era cliente"),
        *("Saludo", "Feria", "el lunes te digo", "tengo 14 años", "¿Cuánto sale?"),
        *("quiero más información", "la feria terminó", "no es un número", "Nadie"),
    }
)
"""What people wrote in `fill`, past the interface; and the words that an invite suggests."""
PLANTED: Final = (
    *("The fault of it.", "Nothing to do.", "El error que se vio."),
    *("msg_01KJSZZ9AY009DSVVVPQSHRKK1", "awaiting_scan", "message.changed"),
    *("Vence 2026-03-10 09:30", "undelivered", '{"outcome": "interested"}'),
)
"""What no page may say, in one of its languages at least."""
ADMIN: Final = Principal("root", "", ALL_SCOPES, SignInMethod.CONTROL)
PAGES: Final = [tab.path for place in PLACES for tab in place.tabs]


def test_no_route_is_forgotten() -> None:
    """A new page or piece has its row here."""
    paths = {route.path for route in pages.routes if isinstance(route, web.RouteDef)}
    assert paths == set(ROUTES) | OTHERS


async def fill(console: ConsoleServer) -> dict[str, str]:
    """Bring in people, a session and messages of several states; return what paths name."""
    await console.add_ready_session()
    content = build_prospect_csv(5) + "Nadie;no es un número;web\n".encode()
    await console.import_list(content)
    upload = await console.api.call("POST", "/v1/uploads?filename=l.csv", data=content)
    database = console.services.database
    (prospect, *_) = await database.read(list_prospects)
    await console.services.outbox.stop(1)
    states = (MessageState.HELD, MessageState.SENT, MessageState.BLOCKED, MessageState.DEFERRED)
    for number, state in enumerate(states):
        order = {"to": f"+54911412345{number:02d}", "text": "Hola", "session": "ventas"}
        reply = await console.api.call("POST", "/v1/messages", json=order)
        move = partial(move_message_to_state, reply.document["id"], state, "simulated")
        await database.write(move)
    (held, *_) = await database.read(
        lambda r: [each for each in messages.list_messages(r, limit=9) if each.state == "held"]
    )
    (past, *_) = await database.read(imports.list_imports)
    (live, *_) = await database.read(lambda reader: rulesets.list_activations(reader, 1))
    for wire_id, text in (("W1", "el lunes te digo"), ("W2", "tengo 14 años")):
        signal = InboundMessage(wire_id, parse_identity(prospect.phone), text, DAYTIME)
        await console.services.signal_handlers.inbound.handle_inbound("ventas", signal)
    child, unread = (
        each.message.id for each in await console.services.classification.list_waiting()
    )
    half = RejectedSignal("ventas", "simulated", "InboundMessage", "text_unstorable", "It.", {})
    await console.services.signal_handlers.quarantine.handle_rejected("ventas", half)
    (kept,) = await console.services.signal_handlers.quarantine.list_signals()
    given = await console.services.consents.record_given_number(
        prospect.id, where="feria", how="form", who="eva"
    )
    client = await console.services.sharing.add_client("Dentalia SA", "eva")
    await console.services.outcomes.record(prospect.contact, Outcome.INTERESTED, "eva")
    new = NewTextVersion(body="Hola {nombre}", footer="", fallbacks={})
    saved = await console.services.texts.create("Saludo", TextPurpose.ANSWER, "es", new, "eva")
    await console.services.auth.users.create_user("eva", Role.VIEWER, "ana")
    token = await console.services.auth.tokens.issue_token(
        ADMIN, "eva", "crm", {Scope.SESSIONS_READ}, timedelta(hours=1)
    )
    await console.services.texts.approve(saved.id, 1, "eva")
    invite = await console.services.invites.create_invite("ventas", "feria", "ana")
    change = CampaignChange(name="Feria", session="ventas", typed="Hola")
    running = (await console.services.campaigns.create(change, "eva")).campaign.id
    run = await console.services.dry_runs.run(running, "eva")
    await console.services.campaigns.start(running, run.hash, "eva", "la feria terminó")
    audience = ProspectFilter(
        permission=Permission.RELATIONSHIP, validation=ValidationState.VALIDATED, text="a"
    )
    saved_filter = await console.services.saved_filters.create("Feria", audience, "eva")
    other = replace(change, name="Otra", audience=audience)
    draft = (await console.services.campaigns.create(other, "eva")).campaign.id
    return {
        "invite": invite.code,
        "filter": saved_filter.id,
        "phone": str(console.services.sessions.view("ventas").phone),
        "user": "eva",
        "token": token.record.id,
        "text": saved.id,
        "campaign": running,
        "draft": draft,
        "client": client.id,
        "delivery": await add_delivery(console, client.id, prospect),
        "record": str(given.record),
        "signal": kept.id,
        "child": child,
        "unread": unread,
        "session": "ventas",
        "ban": await add_ban(console),
        "message": held.id,
        "prospect": prospect.id,
        "contact": prospect.contact,
        "import_id": past.record.id,
        "upload": upload.document["upload"],
        "hash": live.hash,
    }


async def add_delivery(console: ConsoleServer, client: str, prospect: ProspectRecord) -> str:
    """Store a delivery of one person, by a decision; return its id."""
    services = console.services
    terms = DeliveryTerms(
        price_cents=450_000,
        currency="ARS",
        dispute_days=7,
        reasons=("Ya era cliente",),
        exclusive_days=0,
        columns=USUAL_COLUMNS,
        silence_accepts=False,
        language="es",
    )
    await services.client_terms.set_terms(client, terms, "eva")
    evidence = [
        DeliveryEvidence(fact=fact, value=value, at=DAYTIME, quote="¿Cuánto sale?", source="eva")
        for fact, value in EVIDENCE.items()
    ]
    row = NewDeliveryRow(
        contact=prospect.contact,
        name="Ana",
        phone=prospect.phone,
        cells={},
        evidence=evidence,
        ground=DeliveryGround.DECISION,
    )

    def job(tx: Tx) -> str:
        id_ = deliveries.insert_delivery(tx, client, terms, number=1, at=DAYTIME, who="eva")
        services.deliveries.store_rows(tx, id_, terms, [(1, row)], DAYTIME)
        return id_

    return await services.database.write(job)


async def add_ban(console: ConsoleServer) -> str:
    """Enter a ban of the session's number, which the platform lifted since; return its id."""
    phone = console.services.sessions.view("ventas").phone
    ban = await console.services.database.write(
        lambda tx: insert_ban(
            tx, phone=phone, session="ventas", at=DAYTIME, reason_code="banned_same_message"
        )
    )
    return ban.id


async def test_every_route_on_a_full_database(console: ConsoleServer) -> None:
    """As a page, and as the piece that a script asks for; before a halt and during one.

    In both languages, and in the words of a person: nothing of the other language, no id, no state.
    """
    names = await fill(console)
    paths = [path.format(**names) for row in ROUTES.values() for path in row]
    shown = await render(console, *paths)
    assert shown.count("<html") == sum("/pieces/" not in path for path in paths) - 1
    await console.api.post("/v1/halt", reason="un simulacro")
    await check_page_words(console, *paths, headers=HTMX_HEADERS, people_wrote=WRITTEN)


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_word_is_found_on_a_page(console: ConsoleServer, planted: str) -> None:
    """An id, a state, a column or a sentence of the other language, as a session's fault."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await check_page_words(console, "/sessions")
    await update_session_record(console, "ventas", connection=ConnectionState.FAILED, fault=planted)
    with pytest.raises(AssertionError):
        await check_page_words(console, "/sessions")


REASONS: Final[Mapping[str, str]] = {
    "/v1/messages/{deferred}/cancel": "/messages/{deferred}",
    "/v1/prospects/{prospect}/validate": "/prospects/{prospect}",
    "/v1/quarantine/{signal}/settle": "/audit?limit=200",
    "/v1/imports/{import_id}/undo": "/audit?limit=200",
    "/v1/campaigns/{campaign}/pause": "/audit?limit=200",
    "/v1/campaigns/{campaign}/resume": "/audit?limit=200",
    "/v1/campaigns/{campaign}/cancel": "/audit?limit=200",
    "/v1/prospects/{prospect}/outcome": "/prospects/{prospect}",
    "/v1/suppressions": "/prospects/{prospect}",
    "/v1/suppressions/lift": "/prospects/{prospect}",
    "/v1/halt": "/audit?limit=200",
    "/v1/resume": "/audit?limit=200",
}
"""What asks for a reason, with the page where somebody reads it."""


async def test_each_reason_that_is_asked_for_is_read_somewhere(console: ConsoleServer) -> None:
    """It stands on the page of what it is about, or in the audit."""
    names = await fill(console)
    found = await console.services.database.read(lambda r: messages.list_messages(r, limit=9))
    names["deferred"] = next(each.id for each in found if each.state == "deferred")
    more: dict[str, dict[str, object]] = {
        "/validate": {"validated": True},
        "/outcome": {"outcome": "number_does_not_exist"},
        "/suppressions": {"phone": names["contact"]},
        "/lift": {"phone": names["contact"]},
    }
    unread = []
    for number, (path, page) in enumerate(REASONS.items()):
        reason = f"porque así conviene, {number}"
        body = next((each for end, each in more.items() if path.endswith(end)), {})
        reply = await console.api.call(
            "POST", path.format(**names), json={**body, "reason": reason}
        )
        assert reply.status < 300, (path, reply.document)
        if reason not in (await get_page(console, page.format(**names))).document:
            unread.append(path)
    assert unread == []


@pytest.mark.parametrize("role", Role)
async def test_every_page_on_an_empty_database(short_folder: Path, role: Role) -> None:
    """For each role: what one may not do is not offered."""
    async with open_console(build_settings(short_folder), ROLE_SCOPES[role]) as console:
        pieces = ("/pieces/today", "/pieces/manual", "/pieces/review/queue", "/pieces/halt-banner")
        await render(console, *PAGES, "/prospects/import", "/quarantine", *pieces)


@pytest.mark.parametrize(
    "path",
    [
        "/bans/ban_0",
        *("/sessions/nobody", "/pieces/sessions/nobody", "/pieces/sessions/ventas/dance"),
        *("/messages/msg_0", "/review/msg_0", "/pieces/review/cases/msg_0/dance"),
        *("/prospects/pro_0", "/prospects/imports/imp_0", "/pieces/contacts/con_0/dance"),
        *("/pieces/rules/accept", "/pieces/rules/discard", "/pieces/rules/rollback/0000"),
        "/pieces/quarantine/qua_0/settle",
        *("/review/meanings/inb_0", "/pieces/review/meanings/cases/inb_0/minor"),
        *("/pieces/prospects/pro_0/consent", "/pieces/prospects/pro_0/given"),
        *("/pieces/prospects/pro_0/withdraw/1", "/pieces/prospects/pro_0/withdraw/one"),
    ],
)
async def test_every_problem_is_a_page_and_a_piece(console: ConsoleServer, path: str) -> None:
    """What is not there is said in the language of the page."""
    assert "<html" in await render(console, path, status=404)
    assert "<html" not in await render(console, path, status=404, headers=HTMX_HEADERS)


async def test_every_appearance(console: ConsoleServer) -> None:
    """Light, dark or as the machine has it; the language by the browser's wish as well."""
    for theme in (*THEMES, "odd"):
        headers = {"Cookie": f"theme={theme}", "Accept-Language": "es-AR"}
        for path in (*PAGES, "/sign-in"):
            shown = (await get_page(console, path, **headers)).document
            chosen = theme if theme in THEMES else "auto"
            assert re.search(rf'<html lang="es" data-theme="{chosen}"', shown)


NOBODY: Final = sorted(
    {
        re.sub(r"{(?!upload)\w+}", "nobody", path)
        for paths in ROUTES.values()
        for path in paths
        if "{" in path.partition("?")[0]
    }
    | {"/pieces/rules/change/nobody", "/pieces/sessions/nobody/nothing"}
)
"""Each route that names something, with a name that nobody has."""


@pytest.mark.parametrize("full", [False, True])
async def test_what_does_not_exist_is_404(console: ConsoleServer, *, full: bool) -> None:
    """A piece like its page: an empty list of somebody who does not exist would say otherwise."""
    if full:
        await fill(console)
    answers = {path: (await console.api.get(path)).status for path in NOBODY}
    assert {path: status for path, status in answers.items() if status != 404} == {}
