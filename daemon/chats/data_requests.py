"""Notes who asked to see the data that is stored of them, and that they got it."""

from __future__ import annotations

from datetime import datetime

from daemon.api.clock import Clock
from daemon.chats.outcome_service import find_inbound
from daemon.chats.service import emit_change
from daemon.errors import Conflict
from storage import audit, contacts, data_requests, evidence
from storage.data_requests import DataRequest
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.tx import Tx


class DataRequestService:
    """Stores each request and its answer as evidence, with who noted it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def note(self, contact: str, who: str, *, inbound_id: str = "") -> DataRequest:
        """Note that somebody asked for their data, by this message of theirs, else their last.

        Their time runs from when they wrote it. A second note changes nothing. Raises NotFound, and
        Conflict for somebody whom nobody knows.
        """
        now = self._clock.now()

        def job(tx: Tx) -> DataRequest:
            known = contacts.get_merged_contact(tx, contact)
            if found := data_requests.list_data_requests(tx, known):
                return found[0]
            message = find_inbound(tx, known, inbound_id)
            evidence.insert_evidence(
                *(tx, known, EvidenceKind.DATA_ASKED, "asked"),
                at=message.at,
                source=f"recorded by {who}",
                quote=message.text,
                inbound=message.id,
            )
            _announce(tx, known, "data_asked", who, now)
            return data_requests.list_data_requests(tx, known)[0]

        return await self._database.write(job, urgent=True)

    async def settle(self, contact: str, who: str) -> DataRequest:
        """Note that somebody got their data; return the request. Conflict where none is open."""
        now = self._clock.now()

        def job(tx: Tx) -> DataRequest:
            known = contacts.get_merged_contact(tx, contact)
            found = data_requests.list_data_requests(tx, known)
            if not found:
                raise Conflict(
                    "They have not asked for their data, or have got it.",
                    hint="Note first that they asked.",
                )
            evidence.insert_evidence(
                *(tx, known, EvidenceKind.DATA_GIVEN, "given"),
                at=now,
                source=f"recorded by {who}",
                inbound=found[0].inbound,
            )
            _announce(tx, known, "data_given", who, now)
            return found[0]

        return await self._database.write(job, urgent=True)


def _announce(tx: Tx, contact: str, change: str, who: str, now: datetime) -> None:
    audit.insert_audit_entry(tx, at=now, who=who, action=change, subject=contact)
    emit_change(tx, contact, change, who, now)
