"""The pages of messages in every state, in both languages: message, review, by hand, Today."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon.auth import ROLE_SCOPES, Role
from daemon.auth.identity import Scope
from rules.verdict import DeferKind, Verdict, VetoEffect
from statemachines.message import CANCELLABLE_STATES, MessageState
from storage import decisions, inbound, messages
from storage.decisions import DecisionRecord
from storage.inbound import InboundRecord
from storage.tx import Tx
from tests.helpers.client.console import (
    ANA_ROW,
    BETO_ROW,
    HTMX_HEADERS,
    ConsoleServer,
    hold_messages,
    move_message_to_state,
    open_console,
    queue_manual_messages,
    render,
)
from tests.helpers.client.http import DAYTIME, build_settings

pytestmark = pytest.mark.slow

BY_HAND = {MessageState.TAKEN, MessageState.REVEALED, MessageState.CONFIRMED_BY_HAND}
ANA = "+5491141234567"
CONTRIBUTIONS = [
    {"id": "stale", "points": -12.5, "reason": "The data is old", "at": "/rules/gate.yaml:12"},
    {"id": "known", "points": 30, "reason": "They know us", "at": "/rules/gate.yaml:20"},
]
OPINION = {"source": "ours", "effect": "hold", "reason": "A plugin is not sure"}
FACTS = ["prospect.on_whatsapp", "prospect.permission"]


async def enqueue(console: ConsoleServer, to: str, channel: str = "simulated") -> str:
    """Ask for a message on a channel; return its id."""
    order = {"to": to, "text": "Hola", "session": "simulated", "channel": channel}
    reply = await console.api.call("POST", "/v1/messages", json=order)
    assert reply.status == 202, reply.document
    return str(reply.document["id"])


async def stop_sending(console: ConsoleServer) -> None:
    """Add a session; nothing moves from here on but what the test moves."""
    await console.api.post("/v1/sessions", name="simulated", channel="simulated")
    await console.services.outbox.stop(1)


def build_decision(console: ConsoleServer, verdict: Verdict, **more: object) -> dict[str, Any]:
    """Return a decision by the rules in force, as the gate stores it."""
    plain: dict[str, Any] = {
        "verdict": verdict,
        "reason_code": "",
        "sentence": "The rules say so.",
        "route": None,
        "defers": [],
        "needs_review": False,
        "score": 60,
        "base": 80,
        "band": "review",
        "vetoes": [],
        "contributions": CONTRIBUTIONS,
        "missing": FACTS,
        "opinions": [],
        "ruleset": console.services.rulesets.gate.ruleset.hash,
    }
    return plain | more


def list_decisions(console: ConsoleServer) -> list[dict[str, Any]]:
    """Return a decision of every kind: verdicts, effects, what each waits for, faults."""
    build = partial(build_decision, console)
    defers = [
        *({"kind": kind, "window": "business", "seconds": 90, "days": 5} for kind in DeferKind),
        {"kind": DeferKind.DURATION, "window": None, "seconds": 7200, "days": None},
        {"kind": DeferKind.DURATION, "window": None, "seconds": 60, "days": None},
    ]
    return [
        build(Verdict.ALLOW),
        build(Verdict.ROUTE, route="manual"),
        build(Verdict.DEFER, defers=defers, needs_review=True),
        build(Verdict.REVIEW, opinions=[OPINION]),
        build(Verdict.REVIEW, score=69),
        build(Verdict.BLOCK, reason_code="score_too_low", ruleset="another"),
        build(Verdict.BLOCK, reason_code="required_fact_missing", score=None, base=None),
        {"verdict": "block", "sentence": "It could not be judged.", "fault": {}}
        | {key: build(Verdict.BLOCK)[key] for key in ("reason_code", "missing", "ruleset")},
        *(
            build(
                Verdict.BLOCK,
                vetoes=[{"id": "v", "effect": effect, "reason": "No.", "at": "/r/gate.yaml:1"}],
            )
            for effect in VetoEffect
        ),
    ]


def store_decision(message: str, number: int, document: dict[str, Any], tx: Tx) -> None:
    """Store a decision on a message."""
    decisions.insert_decision(
        tx,
        DecisionRecord(
            id=f"dec_{message}_{number}",
            message=message,
            at=DAYTIME,
            phase="enqueue",
            ruleset=document["ruleset"],
            verdict=document["verdict"],
            body_hash="h",
            recipient=ANA,
            document=document,
            facts={},
            microseconds=1,
        ),
    )


async def test_a_message_in_every_state(console: ConsoleServer) -> None:
    """Its page, its row in the list, its case; not judged yet, and judged."""
    await stop_sending(console)
    document = build_decision(console, Verdict.REVIEW)
    for number, state in enumerate(MessageState):
        channel = "manual" if state in BY_HAND else "simulated"
        message = await enqueue(console, f"+{5491141230000 + number}", channel)
        await console.services.database.write(
            partial(move_message_to_state, message, state, channel)
        )
        for judged in (False, True):
            if judged:
                await console.services.database.write(
                    partial(store_decision, message, number, document)
                )
            paths = [
                f"{start}{message}"
                for start in (
                    "/messages/",
                    "/pieces/messages/",
                    "/review/",
                    "/pieces/review/cases/",
                )
            ]
            shown = await render(console, *paths, "/review", "/pieces/review/queue", "/manual")
            assert f'data-state="{state}"' in shown
            assert ("Not checked yet" in shown) is not judged
            assert (f"/pieces/messages/{message}/cancel" in shown) is (state in CANCELLABLE_STATES)
        for path in ("cancel", "settle"):
            await render(console, f"/pieces/messages/{message}/{path}")
    states = ",".join(MessageState)
    queries = ("", *(f"state={state}" for state in MessageState), f"state={states}", "limit=2")
    for query in (*queries, "text=nobody", "session=ventas"):
        await render(console, f"/messages?{query}")
        await render(console, f"/messages?{query}", headers=HTMX_HEADERS)
    await render(console, "/", "/pieces/today")


async def test_a_message_with_every_verdict(console: ConsoleServer) -> None:
    """Verdicts of each kind, with the score, what speaks against it, and what would change it."""
    await stop_sending(console)
    message = await enqueue(console, ANA)
    found = list_decisions(console)
    assert {each["verdict"] for each in found} == set(Verdict)
    for number, document in enumerate(found):
        await console.services.database.write(partial(store_decision, message, number, document))
        shown = await render(
            console, f"/messages/{message}", f"/pieces/messages/{message}", f"/review/{message}"
        )
        assert f'data-state="{document["verdict"]}"' in shown
        changes = document["verdict"] != "allow" and document["ruleset"] != "another"
        assert ("What would change it" in shown) is changes
        assert "Not known: whether they are on WhatsApp, prospect.permission" in shown


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_what_waits_is_counted(console: ConsoleServer, count: int) -> None:
    """None, one and many: held, in doubt, by hand; people who wrote are a line of the morning."""
    await stop_sending(console)
    numbers = itertools.count(5491141230000)
    for state, channel in (
        (MessageState.HELD, "simulated"),
        (MessageState.IN_DOUBT, "simulated"),
        (MessageState.CLEARED, "manual"),
        (MessageState.READ, "simulated"),
    ):
        for _ in range(count):
            message = await enqueue(console, f"+{next(numbers)}", channel)
            move = partial(move_message_to_state, message, state, channel)
            await console.services.database.write(move)
            if state is MessageState.READ:
                await console.services.database.write(partial(answer, message))
    shown = await render(console, "/", "/pieces/today", "/messages")
    assert shown.count('id="todo-') == 2 * (3 if count else 0)
    assert ("To do, oldest first" in shown) is bool(count)
    assert ("No messages yet today." in shown) is (count == 0)


def answer(message: str, tx: Tx, *, own: bool = False) -> None:
    """Let the contact of a message write, or somebody on the phone to them."""
    found = messages.require_message(tx, message)
    inbound.insert_inbound(
        tx,
        InboundRecord(
            id=f"inb_{message}_{own}",
            session=found.session,
            wire_id=f"wire_{message}_{own}",
            contact=found.contact,
            at=DAYTIME + timedelta(minutes=1),
            received_at=DAYTIME + timedelta(minutes=1),
            text="" if own else "¿Cuánto cuesta?",
            request="none",
            own=own,
        ),
    )


async def test_more_than_the_page_has_room_for(console: ConsoleServer) -> None:
    """Today shows six things and says how many more there are; so do the heads of the review."""
    for name in map(str, range(8)):
        await console.start_session(name, scan_after=1000)
        await console.wait_for_session_state(name, {"awaiting_scan"})
    await console.api.post("/v1/sessions", name="simulated", channel="simulated")
    await console.services.outbox.stop(1)
    numbers = range(5491141230000, 5491141230102)
    order = [{"to": f"+{each}", "text": "Hola", "session": "simulated"} for each in numbers]
    reply = await console.api.call("POST", "/v1/messages", json=order)
    held = [item["message"]["id"] for item in reply.document["items"]]

    def hold(tx: Tx) -> None:
        for message in held:
            move_message_to_state(message, MessageState.HELD, "simulated", tx)

    await console.services.database.write(hold)
    assert "And 2 more." in await render(console, "/review", "/pieces/review/queue")
    assert "And 3 more." in await render(console, "/", "/pieces/today")
    await render(console, "/messages", f"/messages?after={held[60]}")


async def test_the_review_in_every_state(console: ConsoleServer) -> None:
    """Waiting, taken by another, approved meanwhile, and said no to since."""
    first, second = await hold_messages(console, ANA_ROW, BETO_ROW)
    paths = (
        *("/review", f"/review/{first}", f"/review/{second}"),
        *(f"/pieces/review/cases/{first}{end}" for end in ("", "/approve", "/reject")),
    )
    assert "Existing relationship" in await render(console, *paths)
    await console.services.database.write(partial(answer, first))
    await console.services.database.write(partial(answer, first, own=True))
    assert "Written on the phone itself" in await render(console, *paths)
    await console.services.review.take(second, "eva")
    assert "eva is looking at this until" in await render(console, *paths)
    contact = (
        await console.services.database.read(lambda r: messages.require_message(r, first))
    ).contact
    dialogs = [f"/pieces/contacts/{contact}/{action}" for action in ("suppress", "lift")]
    assert "Cancels 1 waiting message" in await render(console, *dialogs)
    await console.api.post("/v1/suppressions", phone=contact, reason="asked on the phone")
    shown = await render(console, *paths, *dialogs)
    assert "Nothing is left to do here" in shown
    assert "Do not write" in shown


@pytest.mark.parametrize(
    "scopes",
    [
        ROLE_SCOPES[Role.VIEWER],
        ROLE_SCOPES[Role.VIEWER] | {Scope.REVIEW_WRITE},
        ROLE_SCOPES[Role.VIEWER] | {Scope.PROSPECTS_WRITE},
    ],
    ids=["viewer", "review", "prospects"],
)
async def test_a_case_offers_what_its_reader_may_do(
    short_folder: Path, scopes: frozenset[Scope]
) -> None:
    """No button, or those of a decision, or those about the person."""
    async with open_console(build_settings(short_folder)) as console:
        await stop_sending(console)
        message = await enqueue(console, ANA)
        move = partial(move_message_to_state, message, MessageState.HELD, "simulated")
        await console.services.database.write(move)
    async with open_console(build_settings(short_folder), scopes) as console:
        paths = (f"/review/{message}", "/review", f"/messages/{message}", "/manual", "/")
        shown = await render(console, *paths)
        assert (f"/cases/{message}/approve" in shown) is (Scope.REVIEW_WRITE in scopes)
        assert ("/suppress?case" in shown) is (Scope.PROSPECTS_WRITE in scopes)


async def suppress_recipient(console: ConsoleServer, message: str) -> None:
    """Note that the recipient of a message does not want to be written to."""
    found = await console.services.database.read(lambda r: messages.require_message(r, message))
    order = {"phone": found.contact, "reason": "asked on the phone"}
    await console.api.call("POST", "/v1/suppressions", json=order)


async def test_sending_by_hand_in_every_state(console: ConsoleServer) -> None:
    """Nothing, the next one, taken, given back, revealed, withdrawn, in doubt; and others' ones."""
    assert "Nothing to send by hand" in await render(console, "/manual", "/pieces/manual")
    first, second, third = await queue_manual_messages(console, 3)
    page = ("/manual", f"/pieces/manual?was={first}", "/", f"/messages/{first}")
    dialogs = (f"/pieces/manual/{first}/not-sent", f"/pieces/messages/{first}/settle")

    async def shows(words: str) -> None:
        assert words in await render(console, *page, *dialogs)

    await shows("Next by hand")
    await console.services.manual.take(second, "eva")
    await shows("Taken by somebody else")
    await console.services.manual.take(first, "ana")
    await shows("Return it unopened")
    await console.services.manual.return_message(first, "ana")
    await shows("Take it")
    await console.services.manual.take(first, "ana")
    await console.services.manual.reveal(first, "ana")
    await shows("I sent it")
    await suppress_recipient(console, first)
    await shows("They opted out after you opened the chat")
    doubt: Callable[[Tx], object] = partial(
        messages.transition_message,
        message=first,
        target=MessageState.IN_DOUBT,
        at=DAYTIME,
        reason_code="lease_over",
        sentence="Nobody said whether it was sent.",
        who="clock",
    )
    await console.services.database.write(doubt)
    await shows("Nobody said whether they left")
    await console.services.manual.take(third, "ana")
    await suppress_recipient(console, third)
    withdrawn = await render(console, f"/pieces/manual?was={third}", "/manual")
    assert "opted out, and the message was cancelled" in withdrawn
