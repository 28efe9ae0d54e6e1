"""The validation service with two prospects, one session and scripted answers on numbers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from daemon.api.transport import OnWhatsApp
from daemon.contacts.validation import ValidationService
from daemon.outbox.enqueue import build_message
from daemon.settings import Settings
from statemachines.message import MessageState
from statemachines.session import ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import MessageKind
from storage import contacts, evidence, messages, prospects, sessions, spends
from storage.evidence import EvidenceKind
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.sessions import SessionRecord
from storage.spends import SpendKind
from storage.tx import Tx
from tests.helpers.services.imports import (
    SYNC_ONLY_SETTINGS,
    ImportServices,
    open_import_services,
)
from tests.helpers.transport import ScriptedNumberChecker

ANA = "+5491141234567"
BETO = "+525512345678"
OUR_PHONE = "+5491150001111"
LID = "998877665544332@lid"


@dataclass
class ValidationServices:
    """The room of validation with two prospects and one session that may ask."""

    import_services: ImportServices
    number_checker: ScriptedNumberChecker
    validation: ValidationService
    woken: list[str] = field(default_factory=list)

    async def record_woken(self, contact: str) -> None:
        """Be the outbox."""
        self.woken.append(contact)

    async def get_prospect(self, phone: str) -> ProspectRecord:
        """Return the prospect of a number."""
        return await self.import_services.get_prospect(phone)

    async def check_number(self, phone: str) -> OnWhatsApp:
        """Check a number by hand."""
        return await self.validation.check((await self.get_prospect(phone)).id, "ana")

    async def list_evidence(self, phone: str, kind: EvidenceKind) -> list[str]:
        """Return the evidence of one kind, newest first."""
        contact = (await self.get_prospect(phone)).contact
        known = await self.import_services.database.read(
            lambda r: evidence.list_contact_evidence(r, contact)
        )
        return [each.value for each in known if each.kind is kind]

    async def count_checks(self) -> int:
        """Return how many checks were booked."""
        long_ago = self.import_services.clock.now() - timedelta(days=400)
        return await self.import_services.database.read(
            lambda r: spends.count_spends(r, OUR_PHONE, SpendKind.CHECK, long_ago)
        )

    async def defer_until_checked(self, phone: str) -> str:
        """Leave a message of the prospect waiting for its check; return the contact."""
        prospect, at = await self.get_prospect(phone), self.import_services.clock.now()
        queued = build_message(
            at=at,
            contact=prospect.contact,
            recipient=phone,
            session="main",
            channel="simulated",
            text="Hola",
            kind=MessageKind.COMMERCIAL,
            not_after=at + timedelta(days=7),
        )

        def job(tx: Tx) -> None:
            messages.insert_message(tx, queued, who="test")
            messages.transition_message(
                tx,
                queued.id,
                MessageState.DEFERRED,
                at=at,
                reason_code="not_checked_yet",
                sentence="Whether the number is on WhatsApp is not known yet",
                who="gate",
                waits_for="checked",
            )

        await self.import_services.database.write(job)
        return prospect.contact


def insert_prospects(tx: Tx, room: ImportServices, at: datetime) -> None:
    """Enter two prospects."""
    for phone in (ANA, BETO):
        contact = contacts.resolve_contact(tx, room.aliases.from_phone(phone), at)
        new = NewProspectRecord(
            contact=contact, phone=phone, cartera_origen="feria", line_type="mobile"
        )
        prospects.insert_prospect(tx, new, at=at)
        room.scoring.refresh_prospect(tx, contact, at, reason_code="brought", sentence="")


def insert_linked_session(
    tx: Tx, at: datetime, *, days: int = 30, name: str = "main", phone: str = OUR_PHONE
) -> None:
    """Enter a ready session whose number was linked so many days before ``at``."""
    sessions.insert_session(
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
async def open_validation_services(
    folder: Path, *, days: int = 30, settings: Settings = SYNC_ONLY_SETTINGS
) -> AsyncIterator[ValidationServices]:
    """Open the room with two prospects, and one session of an age in days."""
    async with open_import_services(folder) as room:
        at = room.clock.now()
        await room.database.write(lambda tx: insert_prospects(tx, room, at))
        await room.database.write(lambda tx: insert_linked_session(tx, at, days=days))
        line = ScriptedNumberChecker()
        validation = ValidationService(
            room.database, line, room.scoring, room.aliases, room.clock, settings
        )
        checks = ValidationServices(room, line, validation)
        validation.on_checked = checks.record_woken
        yield checks
