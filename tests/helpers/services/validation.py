"""The validation service with two prospects, one session and scripted number checks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.api.transport import OnWhatsApp
from daemon.contacts.number_checks import NumberCheckPolicy
from daemon.contacts.validation import ValidationService
from daemon.plugins.transport_simulated import leadmaster_declare_channels
from daemon.settings import Settings
from statemachines.message import MessageState
from storage import contacts, evidence, messages, sessions, spends
from storage.evidence import EvidenceKind
from storage.prospects import ProspectRecord
from storage.spends import SpendKind
from storage.tx import Tx
from tests.helpers.services.contacts import ANA, BETO
from tests.helpers.services.database import build_session_record, insert_prospect, queue_message
from tests.helpers.services.imports import (
    SYNC_ONLY_SETTINGS,
    ImportServices,
    open_import_services,
)
from tests.helpers.transport import ScriptedNumberChecker

OUR_PHONE = "+5491150001111"


@dataclass
class ValidationServices:
    """The validation service with two prospects and one session that may check numbers."""

    import_services: ImportServices
    number_checker: ScriptedNumberChecker
    validation: ValidationService

    @property
    def requeued_contacts(self) -> list[object]:
        """Return the contacts whose messages were queued again after a check."""
        return [
            event.data["contact"]
            for event in self.import_services.published
            if event.data.get("reason_code") == "checked_happened"
        ]

    async def get_prospect(self, phone: str) -> ProspectRecord:
        """Return the prospect of a number."""
        return await self.import_services.get_prospect(phone)

    async def check_number(self, phone: str) -> OnWhatsApp:
        """Check a number by an operator's command."""
        return await self.validation.check((await self.get_prospect(phone)).id, "ana")

    async def list_evidence(self, phone: str, kind: EvidenceKind) -> list[str]:
        """Return the evidence of one kind, newest first."""
        contact = (await self.get_prospect(phone)).contact
        known = await self.import_services.database.read(
            lambda r: evidence.list_contact_evidence(r, contact)
        )
        return [each.value for each in known if each.kind is kind]

    async def count_checks(self) -> int:
        """Return how many checks were charged to the budget."""
        long_ago = self.import_services.clock.now() - timedelta(days=400)
        return await self.import_services.database.read(
            lambda r: spends.count_spends(r, OUR_PHONE, SpendKind.CHECK, long_ago)
        )

    async def defer_until_checked(self, phone: str) -> str:
        """Defer a message of the prospect until its check; return the contact."""
        prospect, at = await self.get_prospect(phone), self.import_services.clock.now()

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

        await self.import_services.database.write(job)
        return prospect.contact


def insert_prospects(tx: Tx, services: ImportServices, at: datetime) -> None:
    """Insert two prospects."""
    for phone in (ANA, BETO):
        contact = contacts.resolve_contact(tx, services.aliases.from_phone(phone), at)
        insert_prospect(tx, contact, phone, at)
        services.scoring.refresh_prospect(tx, contact, at, reason_code="brought", sentence="")


def insert_linked_session(
    tx: Tx, at: datetime, *, days: int = 30, name: str = "main", phone: str = OUR_PHONE
) -> None:
    """Insert a ready session whose number was linked ``days`` before ``at``."""
    record = build_session_record(name, phone=phone, at=at, linked_days=days)
    sessions.insert_session(tx, record)


@contextlib.asynccontextmanager
async def open_validation_services(
    folder: Path, *, days: int = 30, settings: Settings = SYNC_ONLY_SETTINGS
) -> AsyncIterator[ValidationServices]:
    """Open the service with two prospects, and one session linked ``days`` ago."""
    async with open_import_services(folder) as imports:
        at = imports.clock.now()
        await imports.database.write(lambda tx: insert_prospects(tx, imports, at))
        await imports.database.write(lambda tx: insert_linked_session(tx, at, days=days))
        checker = ScriptedNumberChecker()
        policy = NumberCheckPolicy(
            settings.pacing, {each.name: each for each in leadmaster_declare_channels()}
        )
        validation = ValidationService(
            imports.database,
            checker,
            imports.scoring,
            imports.aliases,
            imports.clock,
            policy,
            settings,
        )
        yield ValidationServices(imports, checker, validation)
