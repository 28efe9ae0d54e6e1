"""The pages that an owner follows, run as they are written, from a blank server to its successor.

A blank Debian becomes a server with a linked phone behind nginx, by "Install on Debian". Then it
burns, and "Replace a burnt server" makes another blank Debian of it.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from tests.helpers.client.browser import launch_chromium, wait_until_live
from tests.systemd.booted.blank_server import (
    DOMAIN,
    QUESTION,
    SESSION,
    BlankDebian,
    BlankServer,
    ServerOwner,
    boot_blank_server,
    provide_blank_debian,
)
from tests.systemd.booted.network_namespace import NetworkNamespace, create_network_namespace
from tests.systemd.page_commands import list_mentions, read_blocks
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

INSTALL, BACK_UP, REPLACE = "install-on-debian.md", "back-up.md", "replace-a-burnt-server.md"
FIRST_REPLY, UPGRADE_PAGE = "first-reply.md", "upgrade.md"
WHAT_RUNS = "../explanation/what-runs-where.md"
OTHER_PAGES = (FIRST_REPLY, UPGRADE_PAGE, WHAT_RUNS)
PACKAGES, PROXY = "1. Install the packages", "2. Put nginx in front"
SIGN_IN, LINK, SEND = "3. Sign in", "4. Link a phone", "5. Send the first message"
WOKEN, UPGRADE, REMOVE = "Be woken", "Upgrade", "Remove"
WHEEL = "Without the packages"
NUMBER = "+5491155550001"
PEOPLE = ("+5491155550102", "+5491155550103", "+5491155550104")
RUN_ELSEWHERE = {
    "leadmaster service remove",  # test_package
    "leadmaster halt REASON",  # test_burnt_server
    "leadmaster backup key --replace",  # test_backup_keys
    "leadmaster doctor --backup FILE",  # test_backup_commands
    "leadmaster restore --finish",  # test_cut_short
    *("leadmaster move export /mnt/usb/move.age", "leadmaster move import /mnt/usb/move.age"),
    "leadmaster move revoke --reason WHY",  # test_burnt_server, as the two above
    *("leadmaster status", "leadmaster doctor"),  # of the page before
}
"""What the sentences of the pages name beside their blocks, and where it is tested."""


@pytest.fixture
def debian() -> BlankDebian:
    """Return what a blank server is made of; made here, where there may be a mirror to ask."""
    return provide_blank_debian()


@pytest.fixture
def network(debian: BlankDebian) -> Iterator[NetworkNamespace]:
    """Return the network of the servers, which this thread is in too."""
    del debian  # made first: from here no mirror can be reached
    with create_network_namespace() as network, network.entered():
        yield network


def test_every_command_of_the_pages_is_run() -> None:
    """By the test below, but for those of the wheel; what a sentence names has its own test."""
    walked = {PACKAGES, PROXY, SIGN_IN, LINK, SEND, WOKEN, UPGRADE, REMOVE}
    assert {block.section for block in read_blocks(INSTALL)} == walked | {WHEEL}
    pages = (INSTALL, BACK_UP, REPLACE, *OTHER_PAGES)
    mentioned = set().union(*map(list_mentions, pages))
    assert mentioned == RUN_ELSEWHERE


@pytest.mark.timeout(1500)  # with a root and packages that have to be made first
async def test_a_server_is_installed_and_burns_and_is_replaced(
    debian: BlankDebian, network: NetworkNamespace, tmp_path: Path
) -> None:
    """Up to an acknowledged message, twice; the phone scans one code, and no opt-out is lost."""
    (tmp_path / "usb").mkdir()
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        async with VirtualWhatsApp(Path(folder)) as whatsapp:
            phone = whatsapp.add_phone(NUMBER)
            ana, beto, carla = (whatsapp.add_contact(each, "contact") for each in PEOPLE)
            owner = ServerOwner(debian, network, whatsapp, phone, ana, tmp_path / "usb")
            async with boot_blank_server(owner) as server:
                await install_server(server)
                await back_up_server(server, beto, carla)
            [device] = phone.devices
            async with boot_blank_server(owner) as server:
                await replace_server(server, beto, carla)
                await remove_server(server)
            assert [*phone.devices] == [device]


async def install_server(server: BlankServer) -> None:
    """Follow the page on installing up to an acknowledged message, and print how long it took."""
    began = time.monotonic()
    await server.follow(INSTALL, PACKAGES, PROXY)
    [link] = re.findall(r"https://\S+/sign-in#\S+", await server.follow(INSTALL, SIGN_IN))
    async with launch_chromium() as browser:
        page = await browser.new_page(base_url=f"https://{DOMAIN}", ignore_https_errors=True)
        await page.goto(link)
        await wait_until_live(page)
        assert "ready" in await server.follow(INSTALL, LINK)
        [message] = set(re.findall(r"msg_\w+", await server.follow(INSTALL, SEND)))
        await wait_until_acknowledged(server, message, "Hola, te leo.")
        print(f"from a blank Debian to an acknowledged message: {time.monotonic() - began:.0f} s")
        await page.goto(f"/messages/{message}")
        await expect(page.locator("main")).to_contain_text("Hola, te leo.")
    assert (await server.run("systemctl --failed --no-legend")).strip() == ""
    await server.follow(INSTALL, WOKEN, UPGRADE)


async def back_up_server(server: BlankServer, beto: Contact, carla: Contact) -> None:
    """Follow the page on backups; one person opts out before the last copy, one after it."""
    linked, disk = server.linked, server.owner.disk
    await linked.wait_for_state(SESSION, "ready")
    await server.hear_from(beto, "BAJA")
    await linked.wait_for_suppression(beto.phone)
    edit = {"target": "gate.scores.unanswered", "value": -20}
    await linked.post("rules", "change", **edit, reason="they do not mind")
    printed = await server.follow(BACK_UP)
    assert "opt-outs, 1 logins of phones" in printed
    assert "burns with this server" not in printed
    await download_backup(server)
    await check_units(server)
    await follow_other_pages(server)
    journal = disk / "suppressions.journal.age"
    before = journal.stat().st_mtime_ns
    await server.hear_from(carla, "BAJA")
    await linked.wait_for_suppression(carla.phone)
    await linked.wait_until(lambda: journal.stat().st_mtime_ns > before, "the sealed journal")


async def download_backup(server: BlankServer) -> None:
    """An administrator's program gets a copy through nginx, and the printed key opens it."""
    made = await server.run("leadmaster tokens add copies --user ana --scope admin --json")
    name = max(server.owner.disk.glob("leadmaster-*.age")).name
    headers = {"Host": DOMAIN, "Authorization": f"Bearer {json.loads(made)['token']}"}
    async with (
        aiohttp.ClientSession("https://127.0.0.1", headers=headers) as client,
        client.get(f"/v1/backups/{name}", ssl=False, server_hostname=DOMAIN) as answer,
    ):
        content = await answer.read()
        assert answer.status == 200, content
    assert content == (server.owner.disk / name).read_bytes()
    server.root.get_path("/root/downloaded.age").write_bytes(content)
    key = server.owner.sheet.read_key()
    said = await server.run("leadmaster backup test /root/downloaded.age", key)
    assert "1 logins of phones" in said


async def follow_other_pages(server: BlankServer) -> None:
    """Follow the pages that an owner reads on a server that runs; each of their lines is run.

    What they share with the pages before is not run again: a second key, say, would be refused.
    """
    await server.follow_rest(FIRST_REPLY)
    await server.follow_rest(UPGRADE_PAGE)
    await server.linked.wait_for_state(SESSION, "ready")
    units = await server.follow_rest(WHAT_RUNS)
    blocks = [block for page in OTHER_PAGES for block in read_blocks(page)]
    assert {line for block in blocks for line in block.text.splitlines()} <= server.followed
    assert "leadmaster.service" in units
    assert "leadmaster.socket" in units
    assert "Overall exposure level for leadmaster.service" in units


async def check_units(server: BlankServer) -> None:
    """The timer waits; what it starts makes a copy by the daemon, and also where that is down."""
    copies = len(list(server.owner.disk.glob("leadmaster-*.age")))
    assert (await server.run("systemctl is-active leadmaster-backup.timer")).strip() == "active"
    await server.run("systemctl start leadmaster-backup.service")
    await server.run("systemctl stop leadmaster.socket leadmaster.service")
    await server.run("systemctl start leadmaster-backup.service")
    await server.run("systemctl start leadmaster.socket leadmaster.service")
    assert len(list(server.owner.disk.glob("leadmaster-*.age"))) == copies + 2
    listed = json.loads(await server.run("leadmaster backup list --json"))
    assert [each["logins"] for each in listed["copies"]] == [1] * (copies + 2)
    await server.linked.wait_for_state(SESSION, "ready")


async def replace_server(server: BlankServer, *opted_out: Contact) -> None:
    """Follow the page on a burnt server up to an acknowledged message, and print how long it took.

    The phone is linked without a code, and both who opted out stay out.
    """
    began = time.monotonic()
    await server.follow(INSTALL, PACKAGES, PROXY)
    await server.follow(REPLACE)
    linked = server.linked
    await linked.wait_for_state(SESSION, "ready")
    await server.hear_from(server.owner.other_phone, QUESTION)
    message = await linked.send(server.owner.other_phone.phone, "Acá seguimos.", SESSION)
    await wait_until_acknowledged(server, message, "Acá seguimos.")
    print(f"from a burnt server to an acknowledged message: {time.monotonic() - began:.0f} s")
    rules = "setpriv --reuid=leadmaster --regid=leadmaster --clear-groups cat {}"
    assert "unanswered" in await server.run(rules.format("/etc/leadmaster/rules/gate.yaml"))
    for contact in opted_out:
        assert await linked.is_suppressed(contact.phone)


async def wait_until_acknowledged(server: BlankServer, message: str, text: str) -> None:
    """Return once WhatsApp has acknowledged a message, which the other phone has."""
    await server.linked.wait_for_message(message, "sent", "delivered", "read")
    assert text in [each.text for each in server.owner.other_phone.received]


async def remove_server(server: BlankServer) -> None:
    """Follow the page's last words: the packages are gone, and the data is kept."""
    await server.follow(INSTALL, REMOVE)
    assert not server.root.get_path("/opt/leadmaster").exists()
    assert server.root.get_path("/var/lib/leadmaster/leadmaster.db").exists()
