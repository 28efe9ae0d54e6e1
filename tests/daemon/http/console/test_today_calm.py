"""Today is calm, in green, while everything is fine, and at no other time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from daemon.http.health import DAEMON_HEALTH
from daemon.settings import PacingSettings, RulesSettings
from daemon.severity import CONNECTION_SEVERITY, Severity
from statemachines.session import ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import BreakerCause
from storage import breaker_trips, numbers
from storage.tx import Tx
from tests.helpers.client.console import ConsoleServer, open_console, render, update_session_record
from tests.helpers.client.http import DAYTIME, build_settings, build_wall_clock_settings

pytestmark = pytest.mark.slow

LANDLINE = "Nombre;Teléfono;Origen;Consentimiento\nCarla;+541143219876;feria;sí\n".encode()


@pytest.fixture
def rules_folder(short_folder: Path) -> Path:
    """Return a folder for rules of one's own."""
    folder = short_folder / "rules.d"
    folder.mkdir()
    return folder


@pytest.fixture
async def calm(short_folder: Path, rules_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with one phone that is ready, and nothing to do."""
    settings = msgspec.structs.replace(
        build_settings(short_folder), rules=RulesSettings(dir=str(rules_folder))
    )
    async with open_console(settings) as console:
        await console.add_ready_session()
        assert await read_today(console) == []
        yield console


def find_items(page: str) -> Iterator[str]:
    """Yield the names of the lines of the list."""
    yield from re.findall(r'id="todo-([^"]*)"', page)


async def read_today(console: ConsoleServer) -> list[str]:
    """Return the lines of the list; fail for green or "nothing to do" beside one of them."""
    page = await render(console, "/")
    found = list(find_items(page))
    assert ('class="calm"' in page) is ("nothing to do" in page)
    assert not (found and 'class="calm"' in page)
    assert found or 'class="calm"' in page or "can&#39;t send" in page
    return found


async def test_a_halt_is_something_to_do(calm: ConsoleServer) -> None:
    """It leads to the button that ends it; after that all is calm again."""
    await calm.api.post("/v1/halt", reason="a drill")
    assert await read_today(calm) == ["halt"]
    await calm.api.post("/v1/resume", reason="it was a drill")
    assert await read_today(calm) == []


async def test_numbers_to_validate_are_something_to_do(calm: ConsoleServer) -> None:
    """As many as the review lists."""
    await calm.import_list(LANDLINE, statement="ticked the box")
    assert await read_today(calm) == ["numbers"]
    assert "1 number to validate" in await render(calm, "/")


async def test_no_state_of_a_phone_but_ready_is_calm(calm: ConsoleServer) -> None:
    """Those that need a person are a line; during the others the page says that nothing is sent."""
    for state in sorted(set(ConnectionState) - {ConnectionState.READY}):
        await update_session_record(calm, "ventas", connection=state, reason_code="")
        page = await render(calm, "/")
        assert 'class="calm"' not in page, state
        assert "nothing to do" not in page, state
        if CONNECTION_SEVERITY[state] in {Severity.NEEDS_YOU, Severity.STOPPED}:
            assert "session." in "".join(find_items(page)), state


async def test_a_phone_that_was_stopped_does_not_hide_that_the_other_is_fine(
    calm: ConsoleServer,
) -> None:
    """Off by a person's wish is no fault, as long as another phone sends."""
    await calm.api.post("/v1/sessions", name="vieja", channel="simulated")
    assert await read_today(calm) == []
    for state in (ConnectionState.LOGGED_OUT, ConnectionState.DEGRADED):
        await update_session_record(calm, "vieja", connection=state, reason_code="")
        assert 'class="calm"' not in await render(calm, "/")


async def test_a_restriction_and_a_lost_phone_are_not_calm(calm: ConsoleServer) -> None:
    """The connection is up, but not all is well."""
    for columns in (
        {"sending": SendingState.REPLY_ONLY},
        {"sending_until": DAYTIME + timedelta(days=2)},
        {
            "sending": SendingState.ALL,
            "phone_state": PhoneState.UNSEEN,
            "phone_seen_at": DAYTIME - timedelta(days=9),
        },
    ):
        await update_session_record(calm, "ventas", **columns)
        assert len(await read_today(calm)) == 1, columns


def stop_new_chats(phone: str, tx: Tx) -> None:
    """Let the breaker stop the new chats of a number."""
    numbers.stop_new_chats(tx, phone, DAYTIME)
    breaker_trips.insert_breaker_trip(
        tx, phone, at=DAYTIME, cause=BreakerCause.OPT_OUTS, detail="3 of 20"
    )


async def test_the_breaker_is_not_calm(calm: ConsoleServer) -> None:
    """Stopped new chats are a line of their own."""
    phone = calm.services.sessions.view("ventas").phone
    assert phone is not None
    await calm.services.database.write(partial(stop_new_chats, phone))
    assert await read_today(calm) == ["new_chats_stoppedventas"]


async def test_whatever_readiness_names_is_a_line(calm: ConsoleServer) -> None:
    """A blocker of any code, with its sentence, and the sentence at the top says it first."""
    health = calm.runner.app[DAEMON_HEALTH]
    health.lag = lambda: 99.0
    page = await render(calm, "/", "/pieces/today")
    assert set(find_items(page)) == {"condition-loop"}
    assert "LeadMaster does everything 99.0 s late." in page
    assert "Nothing is sent for now" in page
    assert 'class="calm"' not in page
    spanish = await calm.api.call("GET", "/", headers={"Cookie": "language=es"})
    assert "does everything" not in spanish.document
    assert "Por ahora no se envía nada" in spanish.document


async def test_a_warning_of_readiness_is_a_line(short_folder: Path) -> None:
    """A budget that nobody decided is said by readiness, and so by Today."""
    # By the watch on the wall: by an injected clock only simulated phones may send.
    settings = msgspec.structs.replace(
        build_wall_clock_settings(short_folder), pacing=PacingSettings(new_chats_first_week=500)
    )
    async with open_console(settings) as console:
        await console.api.post("/v1/sessions", name="a_mano", channel="manual")
        warned = (await console.api.get("/ready")).document["warnings"]
        page = await render(console, "/")
        assert warned
        assert {f"condition-{each['code']}" for each in warned} <= set(find_items(page))


async def test_rules_that_wait_or_are_refused_are_a_line(
    calm: ConsoleServer, rules_folder: Path
) -> None:
    """Who wrote a file sees there that it is not in force."""
    (rules_folder / "gate.yaml").write_text("vetoes: [\n", encoding="utf-8")
    await calm.api.post("/v1/rules/reload")
    assert await read_today(calm) == ["rules_rejected"]
    (rules_folder / "gate.yaml").write_text("format: leadmaster/gate@1\n", encoding="utf-8")
    order = {"target": "gate.thresholds.allow", "value": 90, "reason": "careful"}
    changed = await calm.api.call("POST", "/v1/rules/change", json=order)
    assert changed.status == 200, changed.document
    assert await read_today(calm) == ["rules_waiting"]


async def test_today_is_asked_again_without_news(calm: ConsoleServer) -> None:
    """A full disk is no event: the page asks by itself."""
    assert 'hx-trigger="refresh, every 30s"' in await render(calm, "/")
