"""A day of two linked phones: a list in the morning, what people answer, two crashes and a ban."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from daemon.errors import LeadMasterError
from tests.journeys.day.checker import Inbox
from tests.journeys.day.people import Person, Reaction, invite_people
from tests.virtual_whatsapp import faults
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon

SESSIONS = ("ventas", "posventa")
KEPT_FOR_LATER = 4
"""How many of the list get no message before the ban."""
KILL_AFTER = 6
BAN_SECONDS = 3600
OFFER = (
    "Hola {name}, soy Leo, del taller de {street}. ¿Te sirve que vaya el martes?"
    " Si no querés más mensajes, decime BAJA."
)
SECOND_OFFER = "{name}, esta semana {street} tiene los frenos con descuento."
ANSWER = "Gracias por escribir, {name}: el lunes te paso los detalles de {street}."
FOR_GOOD = ("number_banned", "session_banned_temporarily")
UNDER_WAY = ("queued", "held", "cleared", "sending")


def list_counts(counts: Counter[str]) -> str:
    """Return counts as a phrase, such as `3 blocked, 12 read`."""
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def list_under_way(messages: Sequence[dict[str, Any]], *, banned: bool) -> list[dict[str, Any]]:
    """Return the messages that are to go as soon as they can.

    One behind a message in doubt to the same person waits for a person; after a ban so does a
    banned phone's, and each that would begin a chat.
    """
    doubtful = {each["contact"] for each in messages if each["state"] == "in_doubt"}
    return [
        each
        for each in messages
        if each["state"] in UNDER_WAY
        and each["blocked_by"] not in FOR_GOOD
        and each["contact"] not in doubtful
        and not (banned and each["first_contact"])
    ]


class WorkingDay:
    """A day's work, told by ``say`` as it happens; afterwards what a checker needs of it.

    ``accepted`` are the ids of all messages that the daemon accepted.
    """

    def __init__(self, house: LinkedDaemon, seed: int, say: Callable[[str], None]) -> None:
        self.house = house
        self.accepted: list[str] = []
        self._rng = Random(seed)  # noqa: S311 - a day that can be repeated, no secret
        self._say = say
        self._phones = [house.whatsapp.add_phone(f"+549115555000{each}") for each in range(2)]
        self._sessions = dict(zip((each.number for each in self._phones), SESSIONS, strict=True))
        self.people = invite_people(house.whatsapp, self._phones, self._rng)
        self._wrote: set[str] = set()
        self._banned = False

    async def work(self) -> None:
        """Work through the day, and stop the daemon."""
        await self._link_phones()
        await self._import_list()
        morning = self.people[:-KEPT_FOR_LATER]
        reactions = [asyncio.create_task(self._react(person)) for person in morning]
        try:
            await self._write_first_messages(morning)
            await self._wait_for_reactions()
            await self._answer_everybody(morning)
            await self._wait_for_reactions()
            await self._ban_second_phone()
            await self._write_second_messages()
        finally:
            for each in reactions:
                each.cancel()
            await asyncio.gather(*reactions, return_exceptions=True)
        self._tell_outcome()
        await asyncio.to_thread(self.house.daemon.stop)

    def list_inboxes(self) -> list[Inbox]:
        """Return what each person's phone received, and what they wrote."""
        return [
            Inbox(
                person.contact.phone,
                [(each.wire_id, each.text) for each in person.contact.received],
                person.words if person.name in self._wrote else "",
                refused=person.reaction in {Reaction.REFUSES, Reaction.COMPLAINS},
                opted_out=person.reaction is Reaction.OPTS_OUT and person.name in self._wrote,
            )
            for person in self.people
        ]

    # The morning.

    async def _link_phones(self) -> None:
        for phone in self._phones:
            await self.house.link(self._sessions[phone.number], phone)
            self._say(
                f"the phone of {self._sessions[phone.number]} is linked: its code was scanned"
            )

    async def _import_list(self) -> None:
        path = self.house.daemon.folder / "lista.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter=";")
            rows.writerow(["Nombre", "WhatsApp", "¿Acepta mensajes?"])
            rows.writerows([each.name, each.contact.phone, "sí"] for each in self.people)
        how = ("--origin", "feria", "--consent-statement", "llenó el formulario de la feria")
        await self.house.run("prospects", "import", str(path), "--yes", *how)
        self._say(f"a list of {len(self.people)} people is imported, all of whom agreed at a fair")
        listed = (await asyncio.to_thread(partial(self._get, "prospects", limit=200)))["items"]
        for prospect in listed:
            await self.house.post("prospects", prospect["id"], "check")
        self._say("WhatsApp is asked which of their numbers it knows")

    async def _write_first_messages(self, people: Sequence[Person]) -> None:
        sent = [await self._send(person, OFFER) for person in people]
        self._say(f"{len(sent)} first messages are accepted")
        await self._count_arrivals(KILL_AFTER)
        os.kill(self.house.list_workers()[0], signal.SIGKILL)
        self._say(f"after {KILL_AFTER} arrivals the worker of a phone is killed")
        approved = await self._settle("the first messages")
        self._say(f"{approved} messages were alike: a person has read and approved each")
        self._say(f"{self._count_received()} people have received theirs")

    # What people do.

    async def _react(self, person: Person) -> None:
        await person.contact.received.wait_for(1, seconds=200)
        if person.content == "":
            return
        await asyncio.sleep(self._rng.random() * 2)  # nobody answers at once
        await self.house.whatsapp.write(person.contact, person.phone, person.content)
        self._wrote.add(person.name)

    async def _wait_for_reactions(self) -> None:
        """Return once everybody who was reached has answered, and their answers are stored."""

        def find_answers() -> list[Person] | None:
            reached = [each for each in self.people if each.contact.received and each.content]
            stored = self._get("inbound", limit=200)["items"]
            return reached if len(stored) == len(self._wrote) == len(reached) else None

        reached = await self.house.wait_until(find_answers, "people's answers")
        counts = Counter(each.reaction.value for each in reached)
        self._say(f"they have answered: {list_counts(counts)}")

    # The afternoon.

    async def _answer_everybody(self, people: Sequence[Person]) -> None:
        """Let somebody answer who does not look at what was said: the gate does."""
        states = Counter([await self._send(each, ANSWER) for each in people if each.words])
        self._say(f"somebody answers them all, without a look: {list_counts(states)}")
        await asyncio.to_thread(self.house.daemon.kill)
        await asyncio.to_thread(self.house.daemon.start)
        self._say("the daemon is killed while answers leave, and starts again")
        for session in SESSIONS:
            await self.house.wait_for_state(session, "ready")
        await self._settle("the answers")

    async def _ban_second_phone(self) -> None:
        phone = self._phones[1]
        self.house.whatsapp.faults.login_failures[phone.number] = faults.build_ban(104, BAN_SECONDS)
        for device in phone.devices.values():
            for connection in self.house.whatsapp.find_connections(device.jid):
                connection.cut()
        await self.house.wait_for_state(SESSIONS[1], "banned_temporarily")
        self._banned = True
        self._say(f"WhatsApp bans {SESSIONS[1]} for an hour; its queue stays where it is")

    async def _write_second_messages(self) -> None:
        states = Counter([await self._send(each, SECOND_OFFER) for each in self.people])
        await self._settle("the second offers")
        self._say(f"a second offer to all forty: {list_counts(states)}")

    def _tell_outcome(self) -> None:
        states = Counter(each["state"] for each in self._list_messages())
        self._say(
            f"in the evening: {', '.join(f'{n} {what}' for what, n in sorted(states.items()))}"
        )

    # Asking the daemon.

    async def _send(self, person: Person, text: str) -> str:
        """Ask for a message by the session of somebody's phone; return its state, or a refusal."""
        session = self._sessions[person.phone.number]
        said = text.format(name=person.name, street=f"Rivadavia {self._rng.randrange(100, 9000)}")
        send = partial(self.house.daemon.client.send, person.contact.phone, said, wait=True)
        try:
            message = await asyncio.to_thread(send, session=session)
        except LeadMasterError as refusal:
            return refusal.code
        self.accepted.append(str(message["id"]))
        return str(message["state"])

    async def _settle(self, what: str) -> int:
        """Return once nothing is to go any more, but for what a banned phone keeps.

        A person approves meanwhile what waits for a look, and resumes the new chats that the
        breaker stopped; returned is how many messages were approved.
        """
        approved: set[str] = set()

        def look() -> bool:
            self._resume_new_chats()
            found = self._list_messages()
            for each in found:
                if each["state"] == "held":
                    path = ("review", each["id"], "approve")
                    self.house.daemon.client.post(*path, reason="read, and meant for them")
                    approved.add(each["id"])
            return not list_under_way(found, banned=self._banned)

        await self.house.wait_until(look, what)
        return len(approved)

    def _resume_new_chats(self) -> None:
        """Resume what the breaker stopped; after a ban nobody does."""
        for number in self._get("numbers")["items"]:
            causes = [each for each in number["stops"] if each["code"] == "new_chats_stopped"]
            if causes and not self._banned:
                why = "; ".join(f"{each['sentence']} ({each['detail']})" for each in causes)
                self._say(f"new chats of {self._sessions[number['phone']]} are stopped: {why}")
                reason = "the list was read once more, name by name"
                self.house.daemon.client.post(
                    "numbers", "resume", phone=number["phone"], reason=reason
                )
                self._say("a person has looked at the list, and resumes them")

    def _get(self, *path: str, **query: object) -> Any:  # noqa: ANN401 - a JSON document
        return self.house.daemon.client.get(*path, **query)

    def _list_messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("messages", limit=200)["items"]
        return found

    def _count_received(self) -> int:
        return sum(bool(each.contact.received) for each in self.people)

    async def _count_arrivals(self, count: int) -> None:
        await self.house.wait_until(lambda: self._count_received() >= count, f"{count} arrivals")
