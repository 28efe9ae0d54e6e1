"""Shows a person all that is stored of them, and forgets them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.contacts.erasure import ErasureCommand, erase_person
from daemon.contacts.prospects import require_known_prospect
from daemon.contacts.suppression import SuppressionService
from daemon.errors import require_reason
from daemon.events import ConversationChanged
from daemon.settings import Settings
from storage import audit
from storage.db import Database
from storage.dossier import DossierSection, read_dossier
from storage.tx import Tx

_FORGOTTEN_REASON: Final = "forgotten; only this hash is kept"
_CANCELLED_SENTENCE: Final = "The person was forgotten; it is not sent."


class Remainder(StrEnum):
    """Where data of a forgotten person may still be, outside of the database."""

    BACKUPS = "backups"
    UPLOADS = "uploads"
    PHONE = "phone"


class RemainingData(Struct, frozen=True):
    """One place, and when its data is gone there; None: only a person can delete it."""

    place: Remainder
    until: datetime | None


class Dossier(Struct, frozen=True):
    """All that is stored of a person at a moment, where it is kept besides, and for how long."""

    at: datetime
    prospect: str
    sections: Sequence[DossierSection]
    elsewhere: Sequence[RemainingData]


class ForgetResult(Struct, frozen=True):
    """What forgetting a person did, and where their data is for a while yet."""

    prospect: str
    cancelled_messages: int
    remaining: Sequence[RemainingData]


class PersonalDataService:
    """Builds dossiers and forgets people. Both are audited."""

    def __init__(
        self,
        database: Database,
        suppression: SuppressionService,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._database = database
        self._suppression = suppression
        self._clock = clock
        self._settings = settings

    async def build_dossier(self, prospect: str, who: str) -> Dossier:
        """Return all that is stored of a prospect; raises :class:`NotFound`.

        It has whole numbers and texts, so that who asked for it is audited first.
        """
        now = self._clock.now()

        def job(tx: Tx) -> Dossier:
            found = require_known_prospect(tx, prospect)
            audit.insert_audit_entry(tx, now, who, "dossier_shown", found.id)
            sections = read_dossier(tx, prospect=found.id, contact=found.contact)
            return Dossier(now, found.id, sections, self._list_remaining(now))

        return await self._database.write(job)

    async def forget(self, prospect: str, who: str, reason: str) -> ForgetResult:
        """Erase a prospect; only the keyed hash stays, so that no list brings them back.

        Raises :class:`NotFound`, and :class:`Conflict` while a message to them is on its way.
        """
        now, stated = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> ForgetResult:
            found = require_known_prospect(tx, prospect)
            command = ErasureCommand(
                who=who,
                at=now,
                reason=_FORGOTTEN_REASON,
                reason_code="forgotten",
                sentence=_CANCELLED_SENTENCE,
            )
            cancelled = erase_person(tx, self._suppression, found.contact, command)
            audit.insert_audit_entry(tx, now, who, "forgotten", found.id, stated)
            tx.emit(ConversationChanged(subject=found.contact, at=now, change="forgotten", who=who))
            return ForgetResult(found.id, cancelled, self._list_remaining(now))

        result = await self._database.write(job, urgent=True)
        # The log still has what was written before.
        await self._database.checkpoint()
        return result

    def _list_remaining(self, now: datetime) -> list[RemainingData]:
        backup_days, upload_days = self._settings.backup.keep_days, self._settings.retention.uploads
        return [
            RemainingData(Remainder.BACKUPS, now + timedelta(days=backup_days)),
            RemainingData(Remainder.UPLOADS, now + timedelta(days=upload_days)),
            RemainingData(Remainder.PHONE, None),
        ]
