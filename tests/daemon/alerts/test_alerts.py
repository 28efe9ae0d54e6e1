"""People are notified once of what is wrong, by the real library, and of its end."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import os
import queue
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from daemon.backup.status import BackupFailure, BackupStatus, write_status
from daemon.bootstrap import open_services
from daemon.bus import EventSubscription
from daemon.cli.doctor_checks import check_backups
from daemon.events import SessionChanged
from daemon.services import Services
from daemon.settings import AlertSettings, ClockSettings, Settings, SimulatedSettings
from daemon.severity import CONNECTION_SEVERITY, Severity
from statemachines.vocabulary import AlertCode
from storage.errors import DiskFull
from tests.helpers.client.console import get_page, open_console
from tests.helpers.client.http import (
    DAYTIME,
    IMMEDIATE_SCRIPT,
    HttpClient,
    HttpServer,
    build_settings,
    build_wall_clock_settings,
    create_ready_session,
    hold_message,
    open_http_server,
)
from tests.helpers.process_limits import limit_file_size
from tests.helpers.receivers import ReceivedNotice, Receivers, open_receivers
from tests.helpers.services.database import damage_table

pytestmark = pytest.mark.slow


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    """Listen on loopback."""
    with open_receivers() as opened:
        yield opened


MORNING = datetime(2026, 3, 3, 11, 0, 30, tzinfo=UTC)
"""Half a minute after 08:00 in Buenos Aires."""


def build_alert_settings(folder: Path, at: datetime = DAYTIME, morning: str = "") -> Settings:
    """Return settings with a clock that starts at a moment, without a morning line."""
    return msgspec.structs.replace(
        build_settings(folder),
        clock=ClockSettings(start=at),
        alerts=AlertSettings(morning=morning),
    )


def write_targets(folder: Path, text: str) -> None:
    """Write the file with the targets, as its owner would."""
    path = folder / "alerts.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


@pytest.fixture
async def server(short_folder: Path, receivers: Receivers) -> AsyncIterator[HttpServer]:
    """A daemon with three targets and a ping."""
    write_targets(short_folder, receivers.write_targets_file())
    async with open_http_server(build_alert_settings(short_folder)) as opened:
        yield opened


def take_all(receivers: Receivers) -> dict[str, ReceivedNotice]:
    """Return the next notice of each receiver; fail where another one is there."""
    taken = {each.by: each for each in (receivers.take() for _ in range(3))}
    assert set(taken) == {"ntfy", "json", "mail"}
    with pytest.raises(queue.Empty):
        receivers.received.get_nowait()
    return taken


async def look_and_send(services: Services) -> None:
    """Do what the periodic jobs do."""
    await services.alerts.look()
    await services.alerts.send_due()


async def test_a_halt_is_told_once_and_so_is_its_end(
    server: HttpServer, receivers: Receivers
) -> None:
    """By ntfy, webhook and mail; without the reason, which is a person's own text."""
    services, api = server.services, server.control
    await api.post("/v1/halt", reason="call +5491155550101")
    for _ in range(2):
        await look_and_send(services)
    for notice in take_all(receivers).values():
        assert notice.title == "LeadMaster: all sending stopped"
        assert "stopped all sending." in notice.text
        assert "Since 03/03 11:00." in notice.text
        assert "5491155550101" not in notice.text
    [alert] = (await api.get("/v1/alerts?open=true")).document["items"]
    assert (alert["code"], alert["notified_at"] is not None, alert["failure"]) == ("halt", True, "")

    await api.post("/v1/resume", reason="all is well")
    await look_and_send(services)
    assert [each.id for each in await services.alerts.list_open()] == [alert["id"]]
    await services.database.write(
        lambda tx: (
            tx.execute("UPDATE alerts SET gone_at = ?", ("2026-03-03T13:00:00.000Z",)).rowcount
        )
    )
    for _ in range(2):
        await look_and_send(services)
    assert {each.title for each in take_all(receivers).values()} == {
        "LeadMaster, over: all sending stopped"
    }
    assert await services.alerts.list_open() == []
    status = (await api.get("/v1/alerts/status")).document
    assert (status["pending"], status["failure"]) == (0, "")
    assert status["last_success"] is not None


async def test_who_did_not_take_a_notice_gets_it_later_and_nobody_twice(
    server: HttpServer, receivers: Receivers
) -> None:
    """The mail server took it, so that the next attempt goes to the others alone."""
    services, api = server.services, server.control
    receivers.refuse = 403
    await api.post("/v1/halt", reason="a test")
    await look_and_send(services)
    assert receivers.take().by == "mail"
    [alert] = (await api.get("/v1/alerts")).document["items"]
    assert alert["failure"].count("It answered 403.") == 2
    assert "a-secret-topic" not in json.dumps(alert)
    status = (await api.get("/v1/alerts/status")).document
    assert (status["pending"], "403" in status["failure"]) == (1, True)

    receivers.refuse = 0
    await services.database.write(lambda tx: tx.execute("UPDATE notices SET due_at = at").rowcount)
    await services.alerts.send_due()
    assert {receivers.take().by, receivers.take().by} == {"ntfy", "json"}
    assert receivers.received.empty()
    status = (await api.get("/v1/alerts/status")).document
    assert (status["pending"], status["failure"]) == (0, "")


@pytest.mark.usefixtures("capsys")  # what is logged meanwhile must not need a file
async def test_a_notice_that_was_taken_is_sent_once_where_that_cannot_be_stored(
    short_folder: Path, receivers: Receivers
) -> None:
    """The disk is full for a while: who has it does not get it again, and who lacks it does."""
    write_targets(short_folder, receivers.write_targets_file())
    settings = build_alert_settings(short_folder)
    quick = msgspec.structs.replace(settings, clock=ClockSettings(start=DAYTIME, rate=20))
    async with open_services(quick) as services:
        receivers.refuse = 500
        await services.halt.halt("ana", "a test")
        await services.alerts.look()
        with limit_file_size(10):
            await services.alerts.send_due()
            assert receivers.take().by == "mail"
            receivers.refuse = 0
            async with asyncio.timeout(60):
                while receivers.received.qsize() < 2:  # the next attempt is seconds later
                    await services.alerts.send_due()
                    await asyncio.sleep(0.1)
            await asyncio.sleep(1)  # 20 s of the clock: the attempt after that would be due
            await services.alerts.send_due()
            assert {receivers.take().by, receivers.take().by} == {"ntfy", "json"}
            assert receivers.received.empty()
        status = await services.alerts.read_status()
        assert (status.pending, status.last_success) == (1, None)
        await services.alerts.send_due()
        status = await services.alerts.read_status()
        assert (status.pending, status.failure) == (0, "")
        assert receivers.received.empty()


@pytest.mark.usefixtures("capsys")  # what is logged meanwhile must not need a file
async def test_what_is_known_is_not_told_again_while_nothing_can_be_stored(
    server: HttpServer, receivers: Receivers
) -> None:
    """And what comes and goes within a minute is one alert, whether it can be stored or not."""
    services = server.services
    await services.halt.halt("ana", "a test")
    await look_and_send(services)
    take_all(receivers)
    full = DiskFull("The disk is full.", "Free some space.")
    services.database.refuse_writes(full)
    with limit_file_size(10):
        await services.alerts.look()
    titles = {each.title for each in take_all(receivers).values()}
    assert titles == {"LeadMaster: the database takes nothing"}
    await look_and_send(services)
    services.database.accept_writes()
    await look_and_send(services)
    await services.halt.resume("ana", "a test")
    services.database.refuse_writes(full)
    with limit_file_size(10):
        await services.alerts.look()
    await look_and_send(services)
    assert receivers.received.empty()
    assert len(await services.alerts.list_open()) == 2


@pytest.mark.usefixtures("capsys")  # what is logged meanwhile must not need a file
async def test_who_did_not_take_what_could_not_be_stored_gets_it_too(
    server: HttpServer, receivers: Receivers
) -> None:
    """While nothing can be stored, and once it can; who has it does not get it again."""
    services = server.services
    receivers.refuse = 500
    services.database.refuse_writes(DiskFull("The disk is full.", "Free some space."))
    with limit_file_size(10):
        for _ in range(2):
            await services.alerts.look()
        assert receivers.take().by == "mail"
        assert receivers.received.empty()
        assert receivers.refused == 2  # each of the others was tried once, and not at each look
    receivers.refuse = 0
    await services.alerts.look()
    services.database.accept_writes()
    await services.database.write(lambda tx: tx.execute("UPDATE notices SET due_at = at").rowcount)
    await services.alerts.send_due()
    assert {receivers.take().by, receivers.take().by} == {"ntfy", "json"}
    await look_and_send(services)
    assert receivers.received.empty()
    [alert] = await services.alerts.list_open()
    assert (alert.notified_at is not None, alert.failure) == (True, "")


async def test_a_restart_tells_nothing_again(short_folder: Path, receivers: Receivers) -> None:
    """What is wrong, who was notified and what is due are rows."""
    write_targets(short_folder, receivers.write_targets_file())
    async with open_services(build_alert_settings(short_folder)) as services:
        await services.halt.halt("ana", "a test")
        await services.alerts.look()
    later = build_alert_settings(short_folder, DAYTIME + timedelta(minutes=1))
    async with open_services(later) as services:
        await look_and_send(services)
        await look_and_send(services)
        take_all(receivers)
        assert len(await services.alerts.list_open()) == 1


async def test_a_test_says_what_each_target_answered(
    server: HttpServer, receivers: Receivers, short_folder: Path
) -> None:
    """And an ill file is a sentence without a part of an address."""
    api = server.control
    assert (await api.get("/v1/alerts/targets")).document == {"targets": 3, "has_ping": True}
    assert receivers.received.empty()
    targets = (await api.post("/v1/alerts/test")).document["targets"]
    assert [each["failure"] for each in targets] == ["", "", ""]
    assert {each.title for each in take_all(receivers).values()} == {"LeadMaster: a test"}
    secret = "json://127.0.0.1:9/secret"
    for text, code, sentence in (
        (f"targets = ['{secret}']", "", "It could not be reached."),
        (f"targets = ['{secret}", "alert_targets_rejected", "is not TOML"),
        (f"ping = '{secret}'", "alert_targets_rejected", "must begin with https:// or http://"),
        (f"target = ['{secret}']", "alert_targets_rejected", "unknown field"),
    ):
        write_targets(short_folder, text)
        reply = await api.post("/v1/alerts/test")
        assert reply.code == code
        assert sentence in json.dumps(reply.document)
        assert "secret'" not in json.dumps(reply.document)
        assert (await api.get("/v1/alerts/targets")).code == code
        status = (await api.get("/v1/alerts/status")).document
        assert sentence in status["failure"]
    assert (await api.get("/v1/alerts/targets")).code == "alert_targets_rejected"
    (short_folder / "alerts.toml").chmod(0o644)
    reply = await api.post("/v1/alerts/test")
    assert "Others may read" in reply.document["detail"]
    (short_folder / "alerts.toml").unlink()
    os.mkfifo(short_folder / "alerts.toml", 0o600)
    reply = await api.get("/v1/alerts/targets")
    assert "is not a regular file" in reply.document["detail"]
    (short_folder / "alerts.toml").unlink()
    assert (await api.post("/v1/alerts/test")).document["targets"] == []
    assert (await api.get("/v1/alerts/targets")).document == {"targets": 0, "has_ping": False}


async def test_the_ping_is_asked_for_while_all_is_fine(
    server: HttpServer, receivers: Receivers
) -> None:
    """Not before the first look, and a failure of it is shown."""
    alerts = server.services.alerts
    await alerts.ping()
    assert receivers.pings == 0
    await alerts.look()
    await alerts.ping()
    assert receivers.pings == 1
    receivers.refuse = 500
    await alerts.ping()
    status = (await server.control.get("/v1/alerts/status")).document
    assert status["ping"]["failure"] == "It answered 500."


async def test_an_address_with_a_typo_keeps_nothing_from_the_others(
    server: HttpServer, receivers: Receivers, short_folder: Path
) -> None:
    """It alone takes nothing, and each notice and the doctor's question say so."""
    text = receivers.write_targets_file()
    write_targets(short_folder, text.replace("targets = [", "targets = ['nonsense', ", 1))
    await server.services.halt.halt("ana", "a test")
    await look_and_send(server.services)
    take_all(receivers)
    status = await server.services.alerts.read_status()
    unknown = "It is not an address that apprise knows."
    assert status.failure == f"Target 1 did not take it. {unknown}"
    targets = (await server.control.post("/v1/alerts/test")).document["targets"]
    assert [each["failure"] for each in targets].count(unknown) == 1
    take_all(receivers)
    reply = await server.control.get("/v1/alerts/targets")
    assert reply.code == "alert_targets_rejected"
    assert "Target 1 in" in reply.document["detail"]


async def test_what_keeps_people_from_being_notified_is_in_the_status(
    short_folder: Path, receivers: Receivers
) -> None:
    """A ping that did not arrive, and a file that somebody broke since the last notice."""
    write_targets(short_folder, receivers.write_targets_file())
    # By the machine's clock: with an injected one nobody is to be woken.
    settings = msgspec.structs.replace(
        build_wall_clock_settings(short_folder), alerts=AlertSettings(morning="")
    )

    async def list_failures(api: HttpClient) -> list[str]:
        warnings = (await api.get("/v1/status")).document["warnings"]
        return [each["sentence"] for each in warnings if each["code"] == "alerts_failed"]

    async with open_http_server(settings) as server:
        await server.services.alerts.look()
        await server.services.alerts.ping()
        assert await list_failures(server.control) == []
        receivers.refuse = 500
        await server.services.alerts.ping()
        [sentence] = await list_failures(server.control)
        assert sentence.startswith("The last ping did not arrive. It answered 500.")
        write_targets(short_folder, "targets = [")
        await server.services.alerts.ping()
        await server.control.post("/v1/alerts/test")
        assert all("is not TOML" in each for each in await list_failures(server.control))
        assert len(await list_failures(server.control)) == 2


async def test_a_ping_that_nobody_wants_any_more_is_forgotten(
    server: HttpServer, receivers: Receivers, short_folder: Path
) -> None:
    """Its failure was of an address that is gone, and would be shown until a restart."""
    alerts = server.services.alerts
    await alerts.look()
    receivers.refuse = 500
    await alerts.ping()
    assert (await alerts.read_status()).ping is not None
    write_targets(short_folder, "targets = []")
    await alerts.ping()
    assert (await alerts.read_status()).ping is None


async def test_a_damaged_database_is_told_and_ends_the_ping(
    server: HttpServer, receivers: Receivers
) -> None:
    """Not even what was told before can be read; each request says why, and is no fault of ours."""
    alerts, api = server.services.alerts, server.control
    await alerts.look()
    await damage_table(server.services.database, "alerts")
    for _ in range(2):
        await alerts.look()
    for notice in take_all(receivers).values():
        assert notice.title == "LeadMaster: the database takes nothing"
        assert "is damaged" in notice.text
    await alerts.ping()
    assert receivers.pings == 0
    reply = await api.get("/v1/alerts")
    assert (reply.status, reply.code) == (503, "database_damaged")
    assert "leadmaster restore" in reply.document["hint"]


FAULTS = {
    "banned": ("ban", AlertCode.NUMBER_BANNED, "too many messages to people"),
    "out": ("log_out", AlertCode.SESSION_LOGGED_OUT, "unlinked this device"),
    "taken": ("replace", AlertCode.SESSION_DOWN, "Another program is using"),
}
"""By session: what its script does, the alert of that, and words of its sentence."""


async def test_what_ends_a_session_wakes_somebody(short_folder: Path, receivers: Receivers) -> None:
    """A ban, a phone that unlinks us, another program: one alert each, in the page's own words."""
    events = [{"at": 0.1, "do": do, "session": name} for name, (do, *_) in FAULTS.items()]
    script = short_folder / "faults.json"
    write_targets(short_folder, receivers.write_targets_file())
    script.write_text(json.dumps({**IMMEDIATE_SCRIPT, "line": events}), encoding="utf-8")
    settings = msgspec.structs.replace(
        build_alert_settings(short_folder), simulated=SimulatedSettings(script=str(script))
    )
    async with open_console(settings) as server:
        services = server.services
        with contextlib.closing(services.bus.subscribe(kinds=(SessionChanged,))) as changes:
            for name in FAULTS:
                await create_ready_session(server.api, name)
            await wait_until_ended(changes, set(FAULTS))
        await look_and_send(services)
        found = {each.subject: each for each in await services.alerts.list_open()}
        assert {name: each.code for name, each in found.items()} == {
            name: code for name, (_, code, _) in FAULTS.items()
        }
        page = (await get_page(server, "/")).document
        for name, (_, _, sentence) in FAULTS.items():
            assert found[name].sentence.startswith(f"{name}: ")
            assert sentence in found[name].sentence
            assert html.escape(found[name].sentence) in page
            assert "Notified " in page
        notified = [receivers.take() for _ in range(3 * len(FAULTS))]
        for by in ("ntfy", "json", "mail"):
            texts = "".join(each.text for each in notified if each.by == by)
            assert all(f"{name}: " in texts for name in FAULTS)
        await look_and_send(services)
        assert receivers.received.empty()


async def wait_until_ended(changes: EventSubscription, names: set[str]) -> None:
    """Return once each session needs a person."""
    async with asyncio.timeout(30):
        async for published in changes:
            event = published.event
            if isinstance(event, SessionChanged):
                level = CONNECTION_SEVERITY[event.state]
                names -= {event.subject} if level is Severity.STOPPED else set()
            if not names:
                return


async def test_what_waits_in_the_review_for_hours_wakes_somebody(
    short_folder: Path, receivers: Receivers
) -> None:
    """Not before four hours; the clock is moved between two starts."""
    write_targets(short_folder, receivers.write_targets_file())
    async with open_http_server(build_alert_settings(short_folder)) as server:
        await hold_message(server.control)
        await server.services.alerts.look()
        assert await server.services.alerts.list_open() == []
    later = build_alert_settings(short_folder, DAYTIME + timedelta(hours=4, minutes=1))
    async with open_services(later) as services:
        await look_and_send(services)
        assert "more than 4 h" in take_all(receivers)["mail"].text


async def test_the_morning_line_comes_once_a_day(short_folder: Path, receivers: Receivers) -> None:
    """After a night in which all was stopped: the worst, the phones, the night, who waits."""
    write_targets(short_folder, receivers.write_targets_file())
    evening = build_alert_settings(short_folder, MORNING - timedelta(hours=9), "08:00")
    async with open_http_server(evening) as server:
        await create_ready_session(server.control)
        await server.services.halt.halt("ana", "a test")
        await look_and_send(server.services)
        take_all(receivers)
    for started in (MORNING, MORNING + timedelta(minutes=20)):
        morning = build_alert_settings(short_folder, started, "08:00")
        async with open_services(morning) as services:
            await look_and_send(services)
    line = take_all(receivers)["ntfy"]
    assert line.title == "LeadMaster, 08:00: all sending stopped"
    first, phone, *rest = line.text.splitlines()
    assert first == "▲ ana stopped all sending."
    assert phone.startswith("▲ ventas: ")
    assert rest == [
        "✓ Night: nothing went wrong.",
        "✓ Nobody waits for an answer.",
        "✓ Nothing leaves today by itself.",
    ]


async def test_quiet_hours_hold_back_what_can_wait(
    short_folder: Path, receivers: Receivers
) -> None:
    """A halt is sent in them and the review waits, until they are over."""
    write_targets(short_folder, receivers.write_targets_file())
    settings = build_alert_settings(short_folder)  # 11:00 in Buenos Aires
    quiet = msgspec.structs.replace(settings.alerts, quiet="10:30-12:00", review_hours=1e-12)
    settings = msgspec.structs.replace(settings, alerts=quiet)
    async with open_http_server(settings) as server:
        await hold_message(server.control)
        await server.services.halt.halt("ana", "a test")
        await look_and_send(server.services)
        assert {each.title for each in take_all(receivers).values()} == {
            "LeadMaster: all sending stopped"
        }
        assert (await server.services.alerts.read_status()).pending == 1
    noon = ClockSettings(start=DAYTIME + timedelta(hours=1))
    async with open_services(msgspec.structs.replace(settings, clock=noon)) as services:
        await look_and_send(services)
        assert {each.title for each in take_all(receivers).values()} == {
            "LeadMaster: the review has waited for hours"
        }


async def test_a_target_that_thinks_for_seconds_gets_a_notice_once(
    server: HttpServer, receivers: Receivers
) -> None:
    """Longer than the library waits by itself, after which it would be sent again."""
    receivers.answer_after = 5.0
    await server.services.halt.halt("ana", "a test")
    await look_and_send(server.services)
    take_all(receivers)
    [alert] = await server.services.alerts.list_open()
    assert alert.failure == ""
    assert (await server.services.alerts.read_status()).pending == 0


async def test_alerts_without_their_library_are_one_sentence(
    server: HttpServer, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the library and the command that installs it, for a test and for a notice."""
    absent = short_folder / "absent" / "apprise.py"
    absent.parent.mkdir()
    absent.write_text("raise ImportError('not installed')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    reply = await server.control.post("/v1/alerts/test")
    sentence = "Alerts need a library that is not installed: apprise."
    command = "uv tool install 'leadmaster[alerts]'"
    assert (reply.status, reply.code) == (503, "alerts_unavailable")
    assert (reply.document["detail"], reply.document["hint"]) == (sentence, command)
    await server.services.halt.halt("ana", "a test")
    await look_and_send(server.services)
    [alert] = await server.services.alerts.list_open()
    assert alert.failure == f"{sentence} {command}"


async def test_page_doctor_and_alert_have_the_same_words(short_folder: Path) -> None:
    """Of a backup that failed; the command that shows alerts prints what the interface answers."""
    # By the machine's clock: with an injected one there is nothing to back up.
    settings = msgspec.structs.replace(
        build_wall_clock_settings(short_folder), alerts=AlertSettings(morning="")
    )
    async with open_console(settings) as server:
        failure = BackupFailure(server.services.clock.now(), "The target takes nothing.")
        write_status(settings, BackupStatus(failure=failure))
        await server.services.alerts.look()
        [alert] = await server.services.alerts.list_open()
        page = (await get_page(server, "/")).document
        assert alert.sentence == "The last backup failed: The target takes nothing."
        assert html.escape(alert.sentence) in page
        assert alert.sentence in {finding.sentence for finding in check_backups(settings)}
        [listed] = (await server.api.get("/v1/alerts?open=true")).document["items"]
        assert listed["sentence"] == alert.sentence
