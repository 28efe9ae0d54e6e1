"""The validation service with two prospects, one session and scripted number checks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.api.identity import parse_identity
from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.contacts.validation import ValidationService
from daemon.settings import PacingSettings
from statemachines.message import MessageState
from storage import contacts, evidence, messages, prospects, spends
from storage.evidence import EvidenceKind
from storage.prospects import ProspectRecord
from storage.spends import SpendKind
from storage.tx import Reader, Tx
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.contacts import ANA, BETO
from tests.helpers.services.database import insert_prospect, queue_message
from tests.helpers.services.messaging import MessagingServices, open_messaging_services

OUR_PHONE = "+5491150001111"


@dataclass
class ValidationServices:
    """The validation service with two prospects and one session that may check numbers."""

    services: MessagingServices

    @property
    def validation(self) -> ValidationService:
        """Return the service."""
        return self.services.validation

    @property
    def wire(self) -> PuppetChannel:
        """Return the channel that answers number checks."""
        return self.services.wire

    def set_answer(self, phone: str, answer: str, whatsapp_id: str = "", lid: str = "") -> None:
        """Set the answer to a check of a number."""
        self.wire.answers[phone] = NumberAnswer(
            phone, OnWhatsApp(answer), whatsapp_id or None, parse_identity(lid) if lid else None
        )

    @property
    def requeued_contacts(self) -> list[object]:
        """Return the contacts whose messages were queued again after a check."""
        return [
            event.data["contact"]
            for event in self.services.published
            if event.data.get("reason_code") == "checked_happened"
        ]

    async def get_prospect(self, phone: str) -> ProspectRecord:
        """Return the prospect of a number."""

        def query(reader: Reader) -> ProspectRecord:
            contact = contacts.find_contact_by_alias(reader, phone)
            assert contact is not None
            found = prospects.find_prospect_by_contact(reader, contact)
            assert found is not None
            return found

        return await self.services.database.read(query)

    async def check_number(self, phone: str) -> OnWhatsApp:
        """Check a number by an operator's command."""
        return await self.validation.check((await self.get_prospect(phone)).id, "ana")

    async def list_evidence(self, phone: str, kind: EvidenceKind) -> list[str]:
        """Return the evidence of one kind, newest first."""
        contact = (await self.get_prospect(phone)).contact
        known = await self.services.database.read(
            lambda r: evidence.list_contact_evidence(r, contact)
        )
        return [each.value for each in known if each.kind is kind]

    async def count_checks(self) -> int:
        """Return how many checks were charged to the budget."""
        long_ago = self.services.clock.now() - timedelta(days=400)
        return await self.services.database.read(
            lambda r: spends.count_spends(r, OUR_PHONE, SpendKind.CHECK, long_ago)
        )

    async def defer_until_checked(self, phone: str) -> str:
        """Defer a message of the prospect until its check; return the contact."""
        prospect, at = await self.get_prospect(phone), self.services.clock.now()

        def job(tx: Tx) -> None:
            messages.transition_message(
                tx,
                queue_message(tx, prospect.contact, phone, at),
                MessageState.DEFERRED,
                at=at,
                reason_code="not_checked_yet",
                sentence="The number has not been checked on WhatsApp yet",
                who="gate",
                waits_for="checked",
            )

        await self.services.database.write(job)
        return prospect.contact


def insert_prospects(tx: Tx, services: MessagingServices, at: datetime) -> None:
    """Insert two prospects."""
    for phone in (ANA, BETO):
        contact = contacts.resolve_contact(tx, services.aliases.from_phone(phone), at)
        insert_prospect(tx, contact, phone, at)
        services.scoring.refresh_prospect(tx, contact, at, reason_code="brought", sentence="")


@contextlib.asynccontextmanager
async def open_validation_services(
    folder: Path, *, days: float = 30, pacing: PacingSettings | None = None
) -> AsyncIterator[ValidationServices]:
    """Open the services with two prospects, and one session linked ``days`` ago.

    The outbox does not run, so that messages wait where a test has put them.
    """
    async with open_messaging_services(
        folder, pacing=pacing or PacingSettings(), started=False
    ) as services:
        at = services.clock.now()
        services.wire.knows_all_numbers = False
        await services.database.write(lambda tx: insert_prospects(tx, services, at))
        await services.add_session(number=OUR_PHONE, linked_days=days)
        yield ValidationServices(services)
