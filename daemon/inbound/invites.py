"""Invitations: a link with a code, by which somebody writes to us first, and what that proves."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Final

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.inbound.context import InboundContext
from storage import audit, invites, prospects, sessions, suppressions
from storage.db import Database
from storage.invites import InviteRecord
from storage.prospects import NewProspectRecord
from storage.tx import Reader, Tx

DEFAULT_WORDS: Final = "Hola, quiero más información."
MAX_WORDS_LENGTH: Final = 200
MAX_NAME_LENGTH: Final = 80
_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LETTERS: Final = 5
_CODE: Final = re.compile(rf"\(?\bLM-([{_ALPHABET}]{{{_CODE_LETTERS}}})\b\)?", re.IGNORECASE)
_NO_REGION: Final = "ZZ"


class InviteService:
    """Creates and lists invitations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_invites(self, *, after: str = "", limit: int) -> list[InviteRecord]:
        """Return invitations by their codes."""
        return await self._database.read(
            lambda reader: invites.list_invites(reader, after=after, limit=limit)
        )

    async def get_invite(self, code: str) -> InviteRecord:
        """Return an invitation; raise :class:`NotFound`."""
        found = await self._database.read(lambda reader: invites.find_invite(reader, code))
        if found is None:
            raise NotFound("There is no such invitation.")
        return found

    async def create_invite(
        self, session: str, name: str, who: str, words: str = DEFAULT_WORDS
    ) -> InviteRecord:
        """Create an invitation to a session's number; `name` says where its link hangs.

        Raises :class:`NotFound` without such a session, :class:`BadRequest` where it has no number.
        """
        if not name.strip():
            raise BadRequest("name: say where the link will hang.")
        now = self._clock.now()

        def job(tx: Tx) -> InviteRecord:
            found = sessions.find_session(tx, session)
            if found is None or found.phone is None:
                raise NotFound(f"There is no linked phone {session}.", hint="Link the phone first.")
            code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LETTERS))
            said = " ".join(words.split()) or DEFAULT_WORDS
            invite = InviteRecord(code, name.strip(), found.phone, said, now, who)
            if not invites.insert_invite(tx, invite):
                raise Conflict("The code is taken.", hint="Try again.")
            audit.insert_audit_entry(tx, now, who, "invite_created", code)
            return invite

        return await self._database.write(job)


def build_prefilled_text(invite: InviteRecord) -> str:
    """Return the text that the link fills in; its code says where they found it."""
    return f"{invite.words} (LM-{invite.code})"


def build_invite_link(invite: InviteRecord) -> str:
    """Return the ``wa.me`` link that opens a chat with us, with the text filled in."""
    return numbers.build_wa_link(invite.phone, build_prefilled_text(invite))


def remove_code(text: str) -> str:
    """Return what they wrote without the code of an invitation, which is none of their words."""
    return " ".join(_CODE.sub(" ", text).split()) if _CODE.search(text) else text


def find_invite_in_text(reader: Reader, text: str) -> InviteRecord | None:
    """Return the invitation whose code a text has, or None."""
    found = _CODE.search(text)
    return invites.find_invite(reader, found[1].upper()) if found else None


def add_invited_prospect(tx: Tx, context: InboundContext) -> None:
    """Add who wrote by an invitation as a prospect, from where its link hangs.

    Their message proves the number; interest and permission are what its words are read as. A no,
    a program and the past add nobody, nor does a message of somebody who is suppressed.
    """
    reading, record = context.reading, context.record
    wrote = reading.opens_conversation and not reading.past and not reading.automatic
    if not wrote or reading.is_refusal or context.recipient is None:
        return
    invite = find_invite_in_text(tx, record.text)
    if invite is None or prospects.find_prospect_by_contact(tx, context.contact) is not None:
        return
    if suppressions.is_contact_suppressed(tx, context.contact):
        return
    _insert_prospect(tx, invite, context.contact, context.recipient, context.now)


def _insert_prospect(tx: Tx, invite: InviteRecord, contact: str, phone: str, now: datetime) -> None:
    try:
        number = numbers.parse_phone(phone, _NO_REGION)
    except numbers.NumberUnusable:  # WhatsApp knows numbers that no numbering plan has
        return
    prospect = prospects.insert_prospect(
        tx,
        NewProspectRecord(
            contact=contact,
            phone=number.e164,
            cartera_origen=invite.name,
            line_type=number.line_type.value,
            country=number.country,
        ),
        at=now,
    )
    audit.insert_audit_entry(
        tx, now, "contact", "prospect_invited", prospect, detail={"invite": invite.code}
    )
