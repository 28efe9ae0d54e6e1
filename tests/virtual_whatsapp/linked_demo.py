"""`make demo-linked`: the demonstration on the real library, in front of a virtual WhatsApp.

The daemon, its workers and the library are those of a server. What is virtual is WhatsApp itself,
on the loopback interface of this machine: phones that scan the codes, and people whose phones
decrypt what comes, print it, and write back.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.client import ControlClient
from daemon.cli.main import leadmaster, run_command
from daemon.demo.environment import DemoEnvironment
from daemon.demo.events import EventPrinter
from daemon.demo.phones import DemoPhones, SimulatedPhones
from daemon.demo.script import ANSWERS, DemoMessage
from daemon.demo.walkthrough import play_scenes
from daemon.errors import LeadMasterError, NotFound
from statemachines.vocabulary import BuiltinChannel
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import OPEN_HOURS
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.protobufs import LibraryMissing
from tests.virtual_whatsapp.server import VirtualWhatsApp

T = TypeVar("T")
ANSWER_SECONDS: Mapping[str, float] = {"asks": 4.0, "opts out": 6.0}
LINK_SECONDS = 5.0
_LOOK_SECONDS = 0.3
_PAGE_SIZE = 200
_FIRST_NUMBER = 5491155550001
_FOREVER = 7 * 24 * 3600.0
_SETTINGS = """\
# The settings of a demonstration on linked phones: wide budgets, and hours that are always open.
[daemon]
state_dir = "{folder}"
port = 0
drain_seconds = 3

[rules]
dir = "{folder}/rules.d"

[pacing]
"""
_RAISED_BUDGETS = {
    "new_chats_first_week": 500,
    "new_chat_gap_minutes": 0,
    "messages_per_minute": 120,
    "manual_new_chats_first_month": 50,
    "manual_new_chats_24h_first_month": 50,
}
"""What a demonstration needs; on a phone that is no simulated one each is a decision."""


class BackgroundLoop:
    """An event loop in a thread of its own, in which the virtual WhatsApp answers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="virtual-whatsapp")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a task, which ends with the loop at the latest."""
        self.run(self._keep(work))

    async def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Cancel the tasks, and end the thread."""
        self.run(self._cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class LinkedPhones(DemoPhones):
    """Phones of a virtual WhatsApp, which scan each code that the daemon shows."""

    channel = BuiltinChannel.LINKED
    # The clock is the real one, so that nobody sleeps.
    roles = tuple(role for role in SimulatedPhones.roles if role != "sleeps")

    def __init__(self, whatsapp: VirtualWhatsApp, loop: BackgroundLoop) -> None:
        self._whatsapp = whatsapp
        self._loop = loop
        self._people: dict[str, Contact] = {}
        self._phones: dict[str, Phone] = {}
        self.variables = whatsapp.environment

    def describe(self) -> str:
        """Return what is at the other end."""
        return "its library is the real one, and WhatsApp is a server on this machine"

    def write_settings(self, folder: Path) -> str:
        """Return the settings, and write the rules with which messages go at any hour."""
        rules = folder / "rules.d"
        rules.mkdir()
        (rules / "gate.yaml").write_text(OPEN_HOURS, encoding="utf-8")
        pacing = "".join(f"{budget} = {value}\n" for budget, value in _RAISED_BUDGETS.items())
        return _SETTINGS.format(folder=folder) + pacing

    def prepare(
        self, environment: DemoEnvironment, recipients: Mapping[str, DemoMessage]
    ) -> Sequence[Mapping[str, Any]]:
        """Accept the rules, and let everybody on the list but one have WhatsApp."""
        client = environment.client
        waiting = client.get("rules")["waiting"]
        client.post("rules", "accept", hash=waiting["hash"], reason="a demonstration at any hour")
        for budget, value in _RAISED_BUDGETS.items():
            client.post("decision-entries", budget=budget, value=value, reason="a demonstration")
        absent = recipients["is not there"].phone
        for person in _list_prospects(client):
            if person["phone"] != absent:
                contact = self._whatsapp.add_contact(person["phone"], person["name"] or "somebody")
                self._people[contact.phone] = contact
        for role, text in ANSWERS.items():
            contact = self._people[recipients[role].phone]
            self._loop.begin(self._answer(contact, text, ANSWER_SECONDS[role]))
        self._loop.begin(self._link_phones(client))
        return [{}, {}]

    def watch(self, events: EventPrinter) -> None:
        """Print what the phone of each person decrypts."""
        for contact in self._people.values():
            self._loop.begin(_print_received(contact, events))

    def break_connection(self) -> None:
        """Break every connection off, in the middle of whatever is said."""
        self._loop.run(self._cut())

    async def _cut(self) -> None:
        self._whatsapp.cut()

    async def _answer(self, contact: Contact, text: str, seconds: float) -> None:
        """Write back from a hidden id once a message has been read."""
        await contact.received.wait_for(1, seconds=_FOREVER)
        await asyncio.sleep(seconds)
        for phone in list(self._phones.values()):
            if any(each.wire_id == contact.received[0].wire_id for each in phone.sent):
                await self._whatsapp.write(contact, phone, text)

    async def _link_phones(self, client: ControlClient) -> None:
        """Take each code that the daemon shows, a few seconds after it can be seen."""
        while True:
            for name in await asyncio.to_thread(_find_sessions_with_code, client):
                await asyncio.sleep(LINK_SECONDS)
                with contextlib.suppress(LeadMasterError):  # it expired meanwhile
                    await self._link(client, name)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _link(self, client: ControlClient, name: str) -> None:
        """Scan the code of a session, or type it where it is one to be typed."""
        try:
            shown = await asyncio.to_thread(client.get, "sessions", name, "qr")
        except NotFound:
            shown = await asyncio.to_thread(client.get, "sessions", name, "pairing-code")
            self._phones[name] = self._whatsapp.add_phone(
                f"+{self._whatsapp.link_codes[-1].number}"
            )
            await self._whatsapp.enter_code(self._phones[name], shown["code"])
            return
        if name not in self._phones:
            number = _FIRST_NUMBER + len(self._phones)
            self._phones[name] = self._whatsapp.add_phone(f"+{number}")
        await self._whatsapp.scan(self._phones[name], shown["code"])


async def _print_received(contact: Contact, events: EventPrinter) -> None:
    shown = 0
    while True:
        received = await contact.received.wait_for(shown + 1, seconds=_FOREVER)
        for message in received[shown:]:
            await asyncio.to_thread(events.print_line, contact.name, "phone decrypts", message.text)
        shown = len(received)


def _find_sessions_with_code(client: ControlClient) -> list[str]:
    try:
        sessions = client.get("sessions")["items"]
    except LeadMasterError:
        return []  # the daemon ends, or does not answer yet
    return [each["name"] for each in sessions if each["state"] == "awaiting_scan"]


def _list_prospects(client: ControlClient) -> Iterator[Mapping[str, Any]]:
    after = None
    while True:
        page = client.get("prospects", limit=_PAGE_SIZE, after=after)
        yield from page["items"]
        if (after := page["next"]) is None:
            return


@contextlib.contextmanager
def run_whatsapp() -> Iterator[LinkedPhones]:
    """Run a virtual WhatsApp for the length of the block, in a thread."""
    loop = BackgroundLoop()
    with tempfile.TemporaryDirectory(prefix="virtual-whatsapp-") as folder:
        whatsapp = VirtualWhatsApp(Path(folder))
        loop.start()
        try:
            loop.run(whatsapp.__aenter__())
            try:
                yield LinkedPhones(whatsapp, loop)
            finally:
                loop.run(whatsapp.__aexit__(None, None, None))
        finally:
            loop.stop()


@click.command("demo-linked")
@click.option("--keep", is_flag=True, help="Keep the folder, to look at it afterwards.")
@click.option(
    "--stay/--no-stay", default=None, help="Stay for you to try it; on a terminal it does."
)
def run_linked_demo(*, keep: bool, stay: bool | None) -> None:
    """See it work on linked phones: the real library, and a WhatsApp on this machine."""
    try:
        with run_whatsapp() as phones:
            play_scenes(phones, keep=keep, stay=stay)
    except LibraryMissing as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    leadmaster.add_command(run_linked_demo)
    sys.exit(run_command(["demo-linked", *sys.argv[1:]]))
