"""What a person decides of a stranger who wrote: look, make a prospect of them, or keep nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from daemon.api.clock import Clock
from daemon.chats.service import emit_change, require_chat
from daemon.contacts.prospects import ProspectInput, ProspectService
from daemon.errors import Conflict
from daemon.gate.consent import Permission
from daemon.inbound.message_effects import renew_validation
from daemon.settings import ValidationSettings
from storage import (
    audit,
    contacts,
    conversation_queries,
    conversations,
    erasure,
    inbound,
    private_contacts,
    prospects,
)
from storage.conversation_queries import ChatLine
from storage.db import Database
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx

WROTE_TO_US: Final = "nos escribió"
"""The `cartera_origen` of a prospect who was a stranger; a word of the data, so it is Spanish."""


class StrangerService:
    """Shows strangers' messages to who asks for them, and stores what is decided of them."""

    def __init__(
        self,
        database: Database,
        prospect_service: ProspectService,
        clock: Clock,
        validation: ValidationSettings,
    ) -> None:
        self._database = database
        self._prospects = prospect_service
        self._clock = clock
        self._valid_for = timedelta(days=validation.valid_days)

    async def reveal(self, contact: str, who: str) -> list[ChatLine]:
        """Return the lines of somebody we do not know; that a person saw them is audited."""
        now = self._clock.now()

        def job(tx: Tx) -> list[ChatLine]:
            known = require_chat(tx, contact)
            audit.insert_audit_entry(tx, at=now, who=who, action="stranger_revealed", subject=known)
            return conversation_queries.list_lines(tx, known)

        return await self._database.write(job, urgent=True)

    async def add_as_prospect(self, contact: str, who: str, name: str = "") -> ProspectRecord:
        """Make a prospect of a stranger; what we may write follows from what they wrote.

        Raises :class:`NotFound`, and :class:`Conflict` where they are known or have no number.
        """
        phone = await self._database.read(lambda reader: _find_strangers_phone(reader, contact))
        entry = ProspectInput(
            phone=phone, cartera_origen=WROTE_TO_US, permission=Permission.NONE, name=name
        )
        made = await self._prospects.create(entry, who)
        now = self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            last = conversations.get_last_inbound(tx, made.contact)
            message = inbound.get_inbound(tx, last) if last else None
            if message is not None:
                renew_validation(tx, made, message.at, now, self._valid_for)
            emit_change(tx, made.contact, "became_prospect", who, now)
            return prospects.require_prospect(tx, made.id).as_of(now)

        return await self._database.write(job, urgent=True)

    async def make_private(self, contact: str, who: str) -> None:
        """Erase a stranger now, and keep a keyed hash so that nothing of theirs is stored again.

        Only an opt-out of theirs is, because it has to be obeyed. Raises :class:`NotFound`, and
        :class:`Conflict` for somebody we know.
        """
        now = self._clock.now()

        def job(tx: Tx) -> None:
            known = _require_stranger(tx, contact)
            hashes = [each.hash for each in contacts.list_aliases(tx, known)]
            private_contacts.insert_private_contact(tx, hashes, who=who, at=now)
            audit.insert_audit_entry(tx, at=now, who=who, action="made_private", subject=known)
            emit_change(tx, known, "made_private", who, now)
            erasure.erase_contact(tx, known)

        await self._database.write(job, urgent=True)


def _require_stranger(reader: Reader, contact: str) -> str:
    known = require_chat(reader, contact)
    if conversation_queries.is_known(reader, known):
        raise Conflict("This is no stranger.", hint="What is stored of prospects: forget them.")
    return known


def _find_strangers_phone(reader: Reader, contact: str) -> str:
    phone = conversation_queries.find_phone(reader, _require_stranger(reader, contact))
    if not phone:
        raise Conflict(
            "Their number is not known yet, so they can't be a prospect.",
            hint="Ask them for it on the phone itself, and add them by it.",
        )
    return phone
