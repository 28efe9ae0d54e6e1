"""The shipped units under a real systemd: a linked phone outlives what ends their processes."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.helpers.client.process import poll_until
from tests.helpers.receivers import open_receivers
from tests.systemd.booted.alerts import ALERTS, list_alert_units, set_morning, write_targets
from tests.systemd.booted.booted_service import (
    CORE,
    NUMBER,
    SESSION,
    WATCHDOG_SECONDS,
    WORKER,
    WORKER_SOCKET,
    BootedService,
)
from tests.systemd.booted.installation import install_packages
from tests.systemd.booted.load import CLIENTS, measure_notice, open_console, run_load
from tests.systemd.booted.planted_faults import HANG, TAKE_MEMORY
from tests.systemd.booted.releases import BootedRelease
from tests.systemd.built_packages import provide_packages, repack_packages
from tests.virtual_whatsapp.faults import build_ban

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),  # the first one makes the root and the packages, if nobody has
]
UNSHARED = "/proc/{}/net/dev"
LATER_VERSION = "99.0"
TYPED = "carnicería de la esquina"
NOTICED_SECONDS = 2.0


async def test_a_message_is_acknowledged(service: BootedService) -> None:
    """The worker of slot 1, which the core chose, sent what the gate signed."""
    await service.send("Sale 1.200 pesos.")
    assert "Sale 1.200 pesos." in await service.list_received()
    assert await service.find_process(WORKER) != 0
    assert (await service.run("systemctl", "--failed", "--no-legend")).strip() == ""


@pytest.mark.parametrize(("unit", "most"), [(CORE, 0.3), (WORKER, 1.2), (ALERTS, 1.2)])
async def test_a_unit_is_verified_in_silence_and_hardly_exposed(
    service: BootedService, unit: str, most: float
) -> None:
    """As this systemd reads it; the test's own drop-ins change neither."""
    sockets = ("leadmaster.socket", WORKER_SOCKET)
    assert await service.run("systemd-analyze", "verify", "--man=no", unit, *sockets) == ""
    printed = await service.run("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", printed)
    assert found is not None, printed
    print(f"exposure of {unit}: {found[1]} (limit {most})")
    assert float(found[1]) <= most


async def test_the_core_has_no_network(service: BootedService) -> None:
    """It sees one interface, an empty loopback; the worker sees the root's."""
    core, worker = [await service.find_process(unit) for unit in (CORE, WORKER)]
    namespaces = [await service.run("readlink", f"/proc/{each}/ns/net") for each in (core, worker)]
    own = await service.run("readlink", "/proc/1/ns/net")
    assert namespaces[0] != own == namespaces[1]
    interfaces = await service.run("cat", UNSHARED.format(core))
    assert re.findall(r"^ *(\w+):", interfaces, re.MULTILINE) == ["lo"]


async def test_the_login_belongs_to_the_user_of_its_slot(service: BootedService) -> None:
    """Neither the core's user nor another slot's can read it, nor it what is the core's."""
    folder = f"/var/lib/private/leadmaster-linked/1/{SESSION}"
    owner = await service.run("stat", "--format=%U %a", folder)
    assert owner.split() == ["lm-linked-1", "700"]
    refused = "Permission denied"
    for user, path in (
        ("leadmaster", folder),
        ("lm-linked-1", "/var/lib/leadmaster"),
        ("lm-linked-1", "/etc/leadmaster/rules"),
    ):
        words = ("setpriv", f"--reuid={user}", "--clear-groups", "ls", path)
        assert refused in await service.run(*words, check=False)


async def test_the_doctor_looks_from_where_a_worker_runs(service: BootedService) -> None:
    """All is well; then the way to WhatsApp is closed, and the daemon down, each with a command."""
    well = await service.run("leadmaster", "doctor")
    assert re.search(r"^ok +sandbox +Looked from the sandbox of " + WORKER, well, re.MULTILINE)
    for line in ("reach", "tls", "daemon", "modes", "database", "rules"):
        assert re.search(rf"^ok +{line} ", well, re.MULTILINE), well
    assert len(re.findall(r"^ok +unit +\S+ is accepted; exposure", well, re.MULTILINE)) == 6
    service.whatsapp.close_network()
    closed = await service.run("leadmaster", "doctor", check=False)
    service.whatsapp.open_network()
    assert re.search(r"^fail reach .* can't be reached: .*403", closed, re.MULTILINE)
    await service.run("systemctl", "stop", CORE)
    stopped = await service.run("leadmaster", "doctor", check=False)
    [command] = re.findall(r"^fail daemon .*\n +(systemctl .*)", stopped, re.MULTILINE)
    await service.run("sh", "-c", command)
    await service.wait_until_ready()
    assert "fail" not in await service.run("leadmaster", "doctor")


@pytest.mark.parametrize("unit", [CORE, WORKER])
async def test_a_killed_process_is_there_again(service: BootedService, unit: str) -> None:
    """Without a new code, and the next message is acknowledged."""
    before = await service.find_process(unit)
    await service.signal(unit, "KILL")
    await service.wait_for_other_process(unit, before)
    await service.wait_until_ready()
    await service.send(f"After the end of {unit}")
    assert len(service.phone.devices) == 1


async def test_the_journal_names_the_line_of_a_hung_loop(service: BootedService) -> None:
    """The watchdog ends the core, whose last words are where it hung; then it serves again."""
    before = await service.find_process(CORE)
    await service.signal(CORE, HANG.name)
    await service.wait_for_other_process(CORE, before)
    entries = await asyncio.to_thread(service.root.read_journal, "-b", f"--unit={CORE}")
    lines = [str(entry["MESSAGE"]) for entry in entries]
    assert any(f"Watchdog timeout (limit {WATCHDOG_SECONDS}s)" in line for line in lines)
    assert any(
        re.search(r'File ".*/planted_faults\.py", line \d+ in hang_in_main_thread', line)
        for line in lines
    )
    await service.wait_until_ready()
    await service.send("After the hung loop")


async def test_a_worker_that_hangs_is_ended_by_its_watchdog(service: BootedService) -> None:
    """The core may not kill a process of another user; systemd does."""
    before = await service.find_process(WORKER)
    await service.signal(WORKER, signal.SIGSTOP.name)
    await service.wait_for_other_process(WORKER, before)
    entries = await asyncio.to_thread(service.root.read_journal, "-b", f"--unit={WORKER}")
    assert any("Watchdog timeout" in str(entry["MESSAGE"]) for entry in entries)
    await service.wait_until_ready()
    await service.send("After the frozen worker")


async def test_memory_that_runs_out_costs_the_worker_alone(service: BootedService) -> None:
    """The kernel kills the worker that takes all, and not the core, which connects again."""
    core, worker = await service.find_process(CORE), await service.find_process(WORKER)
    await service.signal(WORKER, TAKE_MEMORY.name)
    await service.wait_for_other_process(WORKER, worker)
    assert await service.find_process(CORE) == core
    await service.wait_until_ready()
    await service.send("After the memory ran out")
    entries = await asyncio.to_thread(service.root.read_journal, "-b", f"--unit={WORKER}")
    assert any("code=killed, status=9/KILL" in str(entry["MESSAGE"]) for entry in entries)


async def test_a_worker_that_cannot_start_is_asked_for_by_the_core_alone(
    service: BootedService,
) -> None:
    """Once for each attempt, between which it waits; the socket stays, and serves when mended."""
    before = await service.restart_session()  # which forgets the attempts of other tests
    drop_in = f"/etc/systemd/system/{WORKER}.d/broken.conf"
    options = (f"--unit={WORKER}", f"--since=@{time.time():.0f}")

    def count_starts() -> int:
        entries = service.root.read_journal(*options)
        return sum("Failed at step EXEC" in str(entry["MESSAGE"]) for entry in entries)

    try:
        service.root.write(drop_in, "[Service]\nExecStart=\nExecStart=/nowhere\n")
        await service.run("systemctl", "daemon-reload")
        await service.signal(WORKER, "KILL")
        await service.linked.wait_for_attempts(SESSION, before + 2)
        # The journal may be a little behind.
        starts = await asyncio.to_thread(poll_until, count_starts, "a start in the journal")
        view = await service.linked.get("sessions", SESSION)
        assert starts <= view["attempts"] - before
        found = await asyncio.to_thread(service.root.show, WORKER_SOCKET)
        assert found["ActiveState"] == "active"
    except Exception:
        await mend_worker(service, drop_in)
        await service.restart_session()  # the tests after this one need the phone
        raise
    await mend_worker(service, drop_in)
    await service.wait_until_ready()
    await service.send("After the worker could start again")


async def mend_worker(service: BootedService, drop_in: str) -> None:
    """Take away what breaks the worker's unit."""
    await service.run("rm", drop_in)
    await service.run("systemctl", "daemon-reload")


async def test_people_and_the_form_edit_the_same_rules(service: BootedService) -> None:
    """What the form wrote, the group edits; a reload takes it, and names a faulty file."""
    folder, own = "/etc/leadmaster/rules", "/etc/leadmaster/rules/gate.yaml"
    edit = {"target": "gate.scores.unanswered", "value": -20}
    await service.linked.post("rules", "change", **edit, reason="they do not mind")
    assert "unanswered" in await service.run("cat", own)
    written = await service.run("stat", "--format=%U:%G %a", own)
    assert written.strip() == "leadmaster:leadmaster 664"
    await service.run("useradd", "--groups=leadmaster", "ana")
    as_ana = ("setpriv", "--reuid=ana", "--regid=ana", "--init-groups", "sh", "-c")
    await service.run(
        *as_ana, f"echo '# by hand' >> {own}; echo 'what: is this' > {folder}/bad.yaml"
    )
    await service.run("systemctl", "reload", CORE)
    await wait_for_status(service, lambda status: "bad.yaml" in status)
    await service.run(*as_ana, f"rm {folder}/bad.yaml")
    await service.run("systemctl", "reload", CORE)
    await wait_for_status(service, lambda status: "bad.yaml" not in status)


async def wait_for_status(service: BootedService, holds: Callable[[str], bool]) -> None:
    """Return once the status line of the core is as expected."""
    # systemd 252 does not wait for the end of a reload.
    await asyncio.to_thread(
        poll_until, lambda: holds(service.root.show(CORE)["StatusText"]), "the status"
    )


@pytest.mark.last_release
async def test_a_reboot_needs_no_new_code(service: BootedService) -> None:
    """What is enabled starts, the phone is linked, and the next message is acknowledged."""
    await asyncio.to_thread(service.root.reboot)
    await asyncio.to_thread(
        poll_until, lambda: service.root.show(CORE)["ActiveState"] == "active", CORE
    )
    await service.wait_until_ready()
    await service.send("After the reboot")
    assert len(service.phone.devices) == 1


@pytest.mark.last_release
async def test_an_upgrade_under_load_fails_no_request(
    service: BootedService, release: BootedRelease, tmp_path: Path
) -> None:
    """Requests wait in the socket that systemd holds; each message goes once."""
    later = repack_packages(provide_packages(release.debian), LATER_VERSION, tmp_path)
    before = await service.find_process(CORE)
    async with open_console(service) as page:
        await page.locator("#search").fill(TYPED)
        async with run_load(service) as answers:
            began = time.time()
            await asyncio.to_thread(install_packages, service.root, later)
            await service.wait_for_other_process(CORE, before)
            await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        installed = await service.run("dpkg-query", "--show", "leadmaster")
        assert LATER_VERSION in installed
        assert set(answers) == {200}, answers
        assert answers[200] > CLIENTS
        seconds = await measure_notice(service, page, began)
        print(f"the page noticed after {seconds:.2f} s")
        assert 0 <= seconds <= NOTICED_SECONDS
        assert await page.locator("#search").input_value() == TYPED
    await service.wait_until_ready()
    await service.send("After the upgrade")


async def test_the_journal_has_fields_and_no_text_or_number(service: BootedService) -> None:
    """A message is found by its session and its decision; nobody reads what it said, or to whom."""
    text = "Una oferta que nadie lee en el diario"
    message = await service.send(text)
    decision = (await service.linked.get("messages", message))["message"]["decision"]
    read = service.root.read_journal
    [entry] = await asyncio.to_thread(read, f"LM_DECISION={decision}")
    assert (entry["LM_SESSION"], entry["LM_MESSAGE"]) == (SESSION, message)
    assert entry["_SYSTEMD_UNIT"] == CORE
    assert await asyncio.to_thread(read, f"LM_SESSION={SESSION}", "LM_STATE=ready")
    assert await asyncio.to_thread(read, "LM_SLOT=1", "_TRANSPORT=stdout")
    whole = await service.run("journalctl", "--all", "--output=export")
    whole += await service.run("sh", "-c", "cat /var/log/*.log 2>/dev/null || true")
    received = await service.list_received()
    hidden = [*received, NUMBER.strip("+"), service.contact.phone.strip("+")]
    assert text in received
    assert [each for each in hidden if each in whole] == []


async def test_a_ban_at_night_wakes_its_owner(service: BootedService) -> None:
    """The unit that alone has addresses and a network notifies; page and command say the same."""
    as_root = ("leadmaster", "--state-dir", "/var/lib/leadmaster", "alerts")
    with open_receivers() as receivers:
        await write_targets(service, receivers.write_targets_file())
        tested = await service.run(*as_root, "test")
        assert tested.count("took it.") == len(receivers.list_targets())
        for _ in receivers.list_targets():
            receivers.take()

        service.whatsapp.faults.login_failures[NUMBER] = build_ban(104, 3600)
        service.whatsapp.cut()
        await service.linked.wait_for_state(SESSION, "banned_temporarily")
        began = time.monotonic()
        notices = [await asyncio.to_thread(receivers.take) for _ in receivers.list_targets()]
        print(f"the last receiver had the alert after {time.monotonic() - began:.1f} s")
        assert {each.by for each in notices} == {"ntfy", "json", "mail"}
        assert {each.title for each in notices} == {"LeadMaster: number banned"}

        alert = (await service.linked.get("alerts"))["items"][0]
        sentence = alert["sentence"]
        assert sentence.startswith(f"{SESSION}: WhatsApp banned the number until ")
        assert all(sentence in each.text for each in notices)
        assert sentence in " ".join((await service.run(*as_root, "list")).split())
        async with open_console(service) as page:
            await page.goto("/")
            await expect(page.locator("#alerts-open")).to_contain_text(sentence)

        await set_morning(service)
        lines = [await asyncio.to_thread(receivers.take) for _ in receivers.list_targets()]
        assert all(f"▲ {sentence}" in each.text for each in lines)
        assert all("number banned: ventas" in each.text for each in lines)
        assert all(each.title.endswith(": number banned") for each in lines)
        await asyncio.to_thread(poll_until, lambda: not list_alert_units(service), "no unit")
        assert receivers.received.empty()
    journal = await service.run("journalctl", "--all", "--output=export")
    assert [each for each in ("a-secret-topic", NUMBER.strip("+")) if each in journal] == []
