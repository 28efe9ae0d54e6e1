"""What comes over the wire and is no fresh answer: reactions, edits, groups, calls, the past.

Each is sent to the real library of one linked phone, which all tests share; people are their own.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from daemon.inbound.reading import NOT_UNDERSTOOD_REASON, UNREADABLE_REASONS, WORDS_REVIEW_REASON
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.other_traffic import (
    BROADCAST_LIST,
    GROUP,
    STATUS,
    PastChat,
    PastMessage,
)
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.protobufs import Message

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NUMBER, WITNESS = "+5491155550001", "+5491155550100"
NEXT_CENTURY = "2126-01-01T12:00:00Z"
HOUR, DAY = 3600.0, 86_400.0
QUESTION, NO = "¿cuánto sale el envío?", "no me escriban más"


class SharedLine:
    """A daemon with one linked phone, and what the tests ask of it."""

    def __init__(self, house: LinkedDaemon) -> None:
        self.house = house
        self.whatsapp = house.whatsapp
        self.phone: Phone = house.get_phone(NUMBER)
        self._witness = house.whatsapp.add_contact(WITNESS, "Witness")
        self._numbers, self._marks = itertools.count(101), itertools.count(1)

    def meet(self) -> Contact:
        """Add somebody to this WhatsApp of whom the daemon knows nothing."""
        return self.whatsapp.add_contact(f"+549115555{next(self._numbers):04}", "Ana")

    async def meet_prospect(self) -> Person:
        """Add somebody who agreed to be written to, and for whom an offer waits."""
        contact = self.meet()
        prospect = await self.house.add_prospect(contact.phone)
        return Person(self, contact, prospect, await self.queue(contact))

    async def queue(self, contact: Contact) -> str:
        """Queue an offer that will not go out in this test; return its id."""
        body = {"to": contact.phone, "text": "Oferta", "not_before": NEXT_CENTURY}
        return str((await self.house.post("messages", session="ventas", **body))["id"])

    async def wait_until_handled(self) -> None:
        """Return once all that was sent before is handled: signals keep their order."""
        mark = f"marca {next(self._marks)}"
        await self.whatsapp.write(self._witness, self.phone, mark)
        client = self.house.daemon.client
        await self.house.wait_until(
            lambda: [each for each in client.get("inbound")["items"] if each["text"] == mark], mark
        )

    def count_rows(self, table: str) -> int:
        """Return how many rows a table of the daemon's database has."""
        path = self.house.daemon.state_dir / "leadmaster.db"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()

    def find_in_files(self, text: str) -> list[str]:
        """Return the files of the installation in which a text is, its log among them."""
        return [
            path.name
            for path in self.house.daemon.folder.rglob("*")
            if path.is_file() and text.encode() in path.read_bytes()
        ]


@dataclass(frozen=True)
class Effect:
    """What becomes of somebody: whether a person looks, and whether they are off the list."""

    offer_waits: bool = True
    review: str = "none"
    reason: str = ""
    suppressed: bool = False


@dataclass(frozen=True)
class Person:
    """A contact of WhatsApp who is a prospect here, with an offer that waits for them."""

    line: SharedLine
    contact: Contact
    prospect: str
    offer: str

    async def read(self) -> dict[str, Any]:
        """Return what is stored of them as a prospect."""
        found: dict[str, Any] = await self.line.house.get("prospects", self.prospect)
        return found

    async def read_effect(self) -> Effect:
        """Return what became of them."""
        found, waiting = await self.read(), await self.line.house.get("review", "inbound")
        messages = [each["message"] for each in waiting["items"]]
        reasons = [each["sentence"] for each in messages if each["prospect"] == self.prospect]
        return Effect(
            await self.is_offer_waiting(), found["review"], "".join(reasons), found["suppressed"]
        )

    async def is_offer_waiting(self) -> bool:
        """Return whether the offer waits for its time; it is cancelled otherwise."""
        state = (await self.line.house.get("messages", self.offer))["message"]["state"]
        # Held is an offer that was judged again while a person is to look at their message.
        assert state in {"queued", "cleared", "held", "cancelled"}
        return bool(state != "cancelled")

    async def list_written(self) -> list[dict[str, Any]]:
        """Return what they wrote, as it was stored, oldest first."""
        contact = (await self.read())["prospect"]["contact"]
        client = self.line.house.daemon.client
        found = await asyncio.to_thread(client.get, "inbound", contact=contact)
        return list(reversed(found["items"]))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SharedLine]:
    """A daemon whose session is linked."""
    async with run_linked_daemon(tmp_path_factory.mktemp("house")) as house:
        await house.link("ventas", house.whatsapp.add_phone(NUMBER))
        yield SharedLine(house)


Act: TypeAlias = Callable[[SharedLine, Contact], Awaitable[object]]


NOTHING, ANSWERED = Effect(), Effect(offer_waits=False)
STOPPED = Effect(offer_waits=False, suppressed=True)


def look(reason: str) -> Effect:
    """Return the effect of what a person has to look at, for a reason."""
    return Effect(review="waiting", reason=reason)


def write(*messages: object) -> Act:
    """Return what lets somebody write these, one after the other."""

    async def act(line: SharedLine, contact: Contact) -> None:
        for each in messages:
            await line.whatsapp.write(contact, line.phone, each)

    return act


def build(fill: Callable[[Any], object]) -> Act:
    """Return what lets somebody write a message that a function fills in."""
    message = Message()
    fill(message)
    return write(message)


def write_to(chat: Any) -> Act:  # noqa: ANN401 - an address
    """Return what lets somebody write a no where many read it."""
    return lambda line, contact: line.whatsapp.write_to_many(contact, line.phone, NO, chat)


def edit(text: str) -> Any:  # noqa: ANN401 - generated at run time
    """Return the edit of a message."""
    message = Message()
    message.protocolMessage.type, message.protocolMessage.key.ID = 14, "3EB0"
    message.protocolMessage.editedMessage.conversation = text
    return message


def delete() -> Any:  # noqa: ANN401 - generated at run time
    """Return the deletion of a message."""
    message = Message()
    message.protocolMessage.type, message.protocolMessage.key.ID = 0, "3EB0"
    return message


def react(emoji: str) -> Any:  # noqa: ANN401 - generated at run time
    """Return a reaction to a message."""
    message = Message()
    message.reactionMessage.text, message.reactionMessage.key.ID = emoji, "3EB0"
    return message


def look_at(kind: str) -> Effect:
    """Return the effect of what has to be looked at on the phone."""
    return look(next(reason for each, reason in UNREADABLE_REASONS.items() if each == kind))


CASES: dict[str, tuple[Act, list[tuple[str, str]], Effect]] = {
    "a question": (write(QUESTION), [("text", "question")], ANSWERED),
    "a reaction": (write(react("👍")), [("reaction", "courtesy")], NOTHING),
    "a reaction that may be a no": (
        write(react("👎")),
        [("reaction", "unclear")],
        look(WORDS_REVIEW_REASON),
    ),
    "an edit": (
        write("Estamos en la calle 9", edit("Estamos en la calle 10")),
        [("text", "unclear"), ("edit", "unclear")],
        look(NOT_UNDERSTOOD_REASON),
    ),
    "an edit to a no": (
        write(QUESTION, edit(NO)),
        [("text", "question"), ("edit", "opt_out")],
        STOPPED,
    ),
    "an edit in its wrapper": (
        build(lambda m: m.editedMessage.message.CopyFrom(edit(NO))),
        [("edit", "opt_out")],
        STOPPED,
    ),
    "a deletion": (write(delete()), [("deletion", "unclear")], NOTHING),
    "a deletion of a no": (
        write(NO, delete()),
        [("text", "opt_out"), ("deletion", "unclear")],
        STOPPED,
    ),
    "a poll": (
        build(lambda m: setattr(m.pollCreationMessageV3, "name", "¿Cuándo?")),
        [("poll", "unclear")],
        NOTHING,
    ),
    "a poll of a newer kind": (
        build(lambda m: setattr(m.pollCreationMessageV5, "name", "¿Cuándo?")),
        [("poll", "unclear")],
        NOTHING,
    ),
    "a vote": (
        build(lambda m: setattr(m.pollUpdateMessage.pollCreationMessageKey, "ID", "3EB0")),
        [("poll", "unclear")],
        NOTHING,
    ),
    "a voice message": (
        build(lambda m: setattr(m.audioMessage, "PTT", True)),
        [("voice", "unclear")],
        look_at("voice"),
    ),
    "a picture": (
        build(lambda m: setattr(m.imageMessage, "mimetype", "image/jpeg")),
        [("media", "unclear")],
        look_at("media"),
    ),
    "a picture with a no": (
        build(lambda m: setattr(m.imageMessage, "caption", NO)),
        [("media", "opt_out")],
        STOPPED,
    ),
    "a sticker": (
        build(lambda m: setattr(m.lottieStickerMessage.message.stickerMessage, "URL", "x")),
        [("media", "unclear")],
        look_at("media"),
    ),
    "a picture to be viewed once": (
        build(lambda m: setattr(m.viewOnceMessageV2.message.imageMessage, "URL", "x")),
        [("media", "unclear")],
        look_at("media"),
    ),
    "a message viewed once, on the phone alone": (
        lambda line, contact: line.whatsapp.send_view_once(contact, line.phone),
        [("unsupported", "unclear")],
        look_at("unsupported"),
    ),
    "a disappearing message": (
        build(lambda m: setattr(m.ephemeralMessage.message, "conversation", QUESTION)),
        [("text", "question")],
        ANSWERED,
    ),
    "a location": (
        build(lambda m: setattr(m.locationMessage, "degreesLatitude", -34.6)),
        [("location", "unclear")],
        look_at("location"),
    ),
    "a contact card": (
        build(lambda m: setattr(m.contactMessage, "displayName", "Bea")),
        [("contact", "unclear")],
        look_at("contact"),
    ),
    "a kind that is not known": (
        build(lambda m: setattr(m.groupInviteMessage, "groupName", "Feria")),
        [("unsupported", "unclear")],
        look_at("unsupported"),
    ),
    "an edit that can't be read": (
        build(lambda m: setattr(m.secretEncryptedMessage, "secretEncType", 2)),
        [("unsupported", "unclear")],
        look_at("unsupported"),
    ),
    "a message that can't be decrypted": (
        lambda line, contact: line.whatsapp.send_unreadable(contact, line.phone),
        [("unsupported", "unclear")],
        look_at("unsupported"),
    ),
    "a call": (lambda line, contact: line.whatsapp.call(contact, line.phone), [], NOTHING),
    "the note of a call": (
        build(lambda m: setattr(m.callLogMesssage, "callOutcome", 1)),
        [],
        NOTHING,
    ),
    "a message to a group": (write_to(GROUP), [], NOTHING),
    "a status update": (write_to(STATUS), [], NOTHING),
    "a message to a broadcast list": (write_to(BROADCAST_LIST), [], NOTHING),
    "a channel": (lambda line, _: line.whatsapp.publish(line.phone, NO), [], NOTHING),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_no_plain_message_has_the_effect_of_its_kind(
    line: SharedLine, case: str
) -> None:
    """A fresh question ends our offer, so that each of the others is seen to do something else."""
    act, expected, effect = CASES[case]
    person = await line.meet_prospect()
    await act(line, person.contact)
    await line.wait_until_handled()
    written = await person.list_written()
    assert [(each["kind"], each["request"]) for each in written] == expected
    assert {each["origin"] for each in written} <= {"live"}
    assert await person.read_effect() == effect


async def test_what_many_read_is_nobodys_and_is_written_nowhere(line: SharedLine) -> None:
    """No contact, no row and no line in a file: neither the text nor who wrote it."""
    await line.wait_until_handled()
    contacts, stranger, text = line.count_rows("contacts"), line.meet(), "asado en lo de Bea"
    for chat in (GROUP, STATUS, BROADCAST_LIST):
        await line.whatsapp.write_to_many(stranger, line.phone, text, chat)
    await line.whatsapp.publish(line.phone, text)
    await line.whatsapp.call(stranger, line.phone)
    await line.wait_until_handled()
    assert line.count_rows("contacts") == contacts
    assert line.find_in_files(text) == []
    assert not await line.house.is_suppressed(stranger.phone)


async def test_what_waited_while_the_phone_was_away_counts_from_when_it_was_written(
    line: SharedLine,
) -> None:
    """What was written before our offer was queued does not cancel it, and what came after does."""
    early, late = await line.meet_prospect(), await line.meet_prospect()
    await line.house.post("sessions", "ventas", "stop")
    await line.whatsapp.write(early.contact, line.phone, QUESTION, written_ago=2 * HOUR)
    await line.whatsapp.write(late.contact, line.phone, QUESTION)
    await line.house.post("sessions", "ventas", "start")
    await line.house.wait_for_state("ventas", "ready")
    await line.wait_until_handled()
    for person, age, waits in ((early, 2 * HOUR, True), (late, 0, False)):
        [written] = await person.list_written()
        assert (written["origin"], written["request"]) == ("offline", "question")
        assert_written(written, age)
        assert await person.is_offer_waiting() == waits


async def test_the_past_of_a_phone_changes_facts_by_its_date_and_nothing_else(
    line: SharedLine,
) -> None:
    """A question of two months ago; one that the owner answered; a no; a chat in a group."""
    asked, answered, refused, grouped = [await line.meet_prospect() for _ in range(4)]
    stranger, private = line.meet(), "te paso la clave del banco"
    voice = Message()
    voice.audioMessage.PTT = True
    await line.whatsapp.replay_history(
        line.phone,
        PastChat(asked.contact, [PastMessage(QUESTION, 60 * DAY), PastMessage(voice, 59 * DAY)]),
        PastChat(
            answered.contact,
            [PastMessage("Hola", 60 * DAY, own=True), PastMessage(react("👍"), 59 * DAY)],
            by_lid=True,
        ),
        PastChat(refused.contact, [PastMessage(NO, 400 * DAY)]),
        PastChat(grouped.contact, [PastMessage(NO, 60 * DAY)], group=GROUP),
        PastChat(stranger, [PastMessage(private, 60 * DAY, own=True)]),
    )
    await line.house.wait_for_suppression(refused.contact.phone)
    await line.wait_until_handled()
    written = await asked.list_written()
    assert [(each["kind"], each["origin"], each["past"]) for each in written] == [
        ("text", "history", True),
        ("voice", "history", True),
    ]
    assert_written(written[0], 60 * DAY)
    for person in (asked, answered, grouped):
        assert await person.read_effect() == NOTHING
        assert (await person.read())["prospect"]["intent"] == "none"
    assert await grouped.list_written() == []
    assert await is_first_contact(grouped)
    for person in (asked, answered):
        assert not await is_first_contact(person)
    assert line.find_in_files(private) == []


async def test_what_the_phone_tells_its_devices_is_no_message_of_its_owner(
    line: SharedLine,
) -> None:
    """That there is history, and keys: neither counts in the number's budget."""
    person = await line.meet_prospect()
    await line.wait_until_handled()
    before = line.count_rows("spends")
    await line.whatsapp.replay_history(line.phone)
    await line.whatsapp.share_keys(line.phone)
    await line.whatsapp.type_on_phone(line.phone, person.contact, delete())
    await line.wait_until_handled()
    assert line.count_rows("spends") == before
    await line.whatsapp.type_on_phone(line.phone, person.contact, "Hola")
    await line.wait_until_handled()
    assert line.count_rows("spends") > before


def assert_written(written: dict[str, Any], age: float) -> None:
    """Compare when a message was written with its age in seconds, to a minute."""
    moment = datetime.now(UTC) - timedelta(seconds=age)
    assert abs(datetime.fromisoformat(written["at"]) - moment) < timedelta(minutes=1)


async def is_first_contact(person: Person) -> bool:
    """Return whether a message to them is judged as the first."""
    message = await person.line.house.send(person.contact.phone, "¿Seguís interesada?")
    decisions = (await person.line.house.get("messages", message))["decisions"]
    return bool(decisions[-1]["facts"]["message.first_contact"])
