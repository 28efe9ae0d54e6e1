"""The room of validation with two prospects, one session, and a line that a test scripts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.new_message import new_message
from daemon.settings import Settings
from daemon.validation import ValidationService
from statemachines.message import MessageState
from statemachines.session import ConnectionState, PhoneState, SendingState
from storage import contacts, evidence, messages, prospects, sessions, spends
from storage.evidence import EvidenceKind
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.sessions import SessionRecord
from storage.spends import Spend
from storage.tx import Tx
from tests.helpers.importing import SETTINGS, ImportRoom, import_room

ANA = "+5491141234567"
BETO = "+525512345678"
OURS = "+5491150001111"
LID = "998877665544332@lid"


async def nothing() -> None:
    """Happen while an answer is on its way."""


@dataclass
class ScriptedLine:
    """Stands at the port where sessions ask: answers as it was told, and remembers questions."""

    answers: dict[str, NumberAnswer] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    broken: bool = False
    meanwhile: Callable[[], Awaitable[object]] = nothing

    async def check_numbers(self, name: str, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer in the reverse order, and only what it knows."""
        self.asked.append((name, tuple(phones)))
        await self.meanwhile()
        if self.broken:
            raise OSError
        return [self.answers[phone] for phone in reversed(phones) if phone in self.answers]

    def say(self, phone: str, answer: str, **more: str) -> None:
        """Set the answer for a number."""
        self.answers[phone] = NumberAnswer(phone, OnWhatsApp(answer), **more)


@dataclass
class Checks:
    """The room of validation with two prospects and one session that may ask."""

    room: ImportRoom
    line: ScriptedLine
    validation: ValidationService
    woken: list[str] = field(default_factory=list)

    async def hear(self, contact: str) -> None:
        """Be the outbox."""
        self.woken.append(contact)

    async def of(self, phone: str) -> ProspectRecord:
        """Return the prospect of a number."""
        return await self.room.prospect(phone)

    async def check(self, phone: str) -> OnWhatsApp:
        """Check a number by hand."""
        return await self.validation.check((await self.of(phone)).id, "ana")

    async def told(self, phone: str, kind: EvidenceKind) -> list[str]:
        """Return the evidence of one kind, newest first."""
        contact = (await self.of(phone)).contact
        known = await self.room.database.read(lambda r: evidence.of_contact(r, contact))
        return [each.value for each in known if each.kind is kind]

    async def spent(self) -> int:
        """Return how many checks were booked."""
        long_ago = self.room.clock.now() - timedelta(days=400)
        return await self.room.database.read(lambda r: spends.count(r, OURS, Spend.CHECK, long_ago))

    async def wait_for_check(self, phone: str) -> str:
        """Leave a message of the prospect waiting for its check; return the contact."""
        prospect, at = await self.of(phone), self.room.clock.now()
        queued = new_message(
            at=at,
            contact=prospect.contact,
            recipient=phone,
            session="main",
            channel="simulated",
            text="Hola",
            kind="commercial",
            not_after=at + timedelta(days=7),
        )

        def job(tx: Tx) -> None:
            messages.insert(tx, queued, who="test")
            messages.move(
                tx,
                queued.id,
                MessageState.DEFERRED,
                at=at,
                reason_code="not_checked_yet",
                sentence="Whether the number is on WhatsApp is not known yet",
                who="gate",
                waits_for="checked",
            )

        await self.room.database.write(job)
        return prospect.contact


def bring(tx: Tx, room: ImportRoom, at: datetime) -> None:
    """Enter two prospects."""
    for phone in (ANA, BETO):
        contact = contacts.resolve(tx, room.aliases.of_phone(phone), at)
        new = NewProspectRecord(
            contact=contact, phone=phone, cartera_origen="feria", line_type="mobile"
        )
        prospects.insert(tx, new, at=at)
        room.scoring.refresh(tx, contact, at, reason_code="brought", sentence="")


def linked(tx: Tx, at: datetime, *, days: int = 30, name: str = "main", phone: str = OURS) -> None:
    """Enter a ready session whose number was linked so many days before ``at``."""
    sessions.insert(
        tx,
        SessionRecord(
            name=name,
            channel="simulated",
            phone=phone,
            time_zone="America/Argentina/Buenos_Aires",
            options={},
            desired="on",
            connection=ConnectionState.READY,
            phone_state=PhoneState.SEEN,
            sending=SendingState.ALL,
            reason_code="",
            since=at,
            created_at=at - timedelta(days=days),
        ),
    )


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, days: int = 30, settings: Settings = SETTINGS
) -> AsyncIterator[Checks]:
    """Open the room with two prospects, and one session of an age in days."""
    async with import_room(folder) as room:
        at = room.clock.now()
        await room.database.write(lambda tx: bring(tx, room, at))
        await room.database.write(lambda tx: linked(tx, at, days=days))
        line = ScriptedLine()
        validation = ValidationService(
            room.database, line, room.scoring, room.aliases, room.clock, settings
        )
        checks = Checks(room, line, validation)
        validation.on_checked = checks.hear
        yield checks
