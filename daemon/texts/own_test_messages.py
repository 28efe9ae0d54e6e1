"""Test messages: a text goes to the own number of whoever asks, by hand and through the gate."""

from __future__ import annotations

from typing import Final

from daemon.api.clock import Clock
from daemon.contacts.aliases import Aliases
from daemon.contacts.prospects import ProspectInput, ProspectService
from daemon.contacts.validation import ValidationService
from daemon.errors import Conflict
from daemon.gate.consent import Permission
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.message_check import MessageCheck, SendOutlook
from daemon.outbox.outbox import Outbox
from daemon.texts.preview import read_preview
from daemon.texts.service import TextService
from statemachines.prospect import ValidationState
from statemachines.vocabulary import BuiltinChannel
from storage import contacts, prospects, sessions, users
from storage.db import Database
from storage.messages import TEST_MESSAGE, MessageRecord
from storage.prospect_search import ProspectSearch
from storage.prospects import TEST_MESSAGE_ORIGIN, ProspectRecord
from storage.texts import TextRecord
from storage.tx import Reader

_NO_NUMBER_HINT: Final = "An administrator enters it under Settings, Users."


class TestMessageService:
    """Sends test messages of texts to the own number of a user, and to nobody else.

    The first one makes that number a prospect, by the word of the user: then the gate judges it
    like any message by hand, by their opt-out, their history and the budgets.
    """

    def __init__(
        self,
        database: Database,
        texts: TextService,
        aliases: Aliases,
        prospect_service: ProspectService,
        validation: ValidationService,
        outbox: Outbox,
        message_check: MessageCheck,
        clock: Clock,
    ) -> None:
        self._database = database
        self._texts = texts
        self._aliases = aliases
        self._prospects = prospect_service
        self._validation = validation
        self._outbox = outbox
        self._message_check = message_check
        self._clock = clock

    async def find_own_number(self, who: str) -> str | None:
        """Return the own number of a user, or None."""
        user = await self._database.read(lambda reader: users.get_user(reader, who))
        return user.phone if user else None

    async def send(
        self, id_: str, version: int, who: str, *, prospect: str = "", session: str | None = None
    ) -> MessageRecord:
        """Store a test message of a version for ``who`` to send to themselves, and return it.

        It reads as the ``prospect`` would get it, else as the first one who lacks nothing. Raises
        NotFound, and Conflict with what is missing or why it can't be sent by hand now; nothing is
        queued then.
        """
        record = await self._texts.get_text(id_)
        number = await self.find_own_number(who)
        if number is None:
            raise Conflict(
                "You have no number of your own yet, so there is nowhere to send a test message.",
                hint=_NO_NUMBER_HINT,
            )
        await self._require_other_phone(number, session)
        own = await self._ensure_prospect(number, who)
        if not prospect:
            prospect = await self._database.read(
                lambda reader: self._choose_person(reader, record, version, who, own)
            )
        prepared = await self._texts.prepare(record.id, version, prospect, who)
        request = SendRequest(
            to=number,
            text=prepared.text,
            session=session,
            channel=BuiltinChannel.MANUAL,
            template=prepared.template,
            campaign=TEST_MESSAGE,
        )
        check = await self._message_check.check(request)
        if check.outlook is not SendOutlook.BY_HAND:
            raise Conflict(
                check.sentence, hint="So the test message can't go now. Nothing was queued."
            )
        return await self._outbox.enqueue(request, who)

    async def _require_other_phone(self, number: str, session: str | None) -> None:
        found = await self._database.read(sessions.list_sessions)
        phones = {each.phone for each in found if session in {None, each.name}}
        if phones == {number}:
            raise Conflict(
                "Your number is the one that would write: WhatsApp sends nothing to itself.",
                hint=_NO_NUMBER_HINT,
            )

    async def _ensure_prospect(self, number: str, who: str) -> str:
        """Make a user's own number a prospect, where it is none; of one that is, nothing moves."""
        aliases = self._aliases.from_phone(number)

        def find(reader: Reader) -> ProspectRecord | None:
            contact = contacts.find_contact_by_aliases(reader, aliases)
            return prospects.find_prospect_by_contact(reader, contact) if contact else None

        found = await self._database.read(find)
        if found is None:
            entry = ProspectInput(
                phone=number,
                cartera_origen=TEST_MESSAGE_ORIGIN,
                permission=Permission.OPTED_IN,
                statement=f"{who} asked for a test message to their own number",
                name=who,
            )
            found = await self._prospects.create(entry, who)
        if _is_unproven(found):
            reason = "It is their own number."
            await self._validation.set_by_hand(found.id, validated=True, who=who, reason=reason)
        return found.id

    def _choose_person(
        self, reader: Reader, record: TextRecord, version: int, who: str, own: str
    ) -> str:
        """Return somebody else who lacks nothing that a version needs, or ``own``."""
        shown = [each for each in record.versions if each.version == version]
        people = [
            person
            for each in shown
            for person in read_preview(
                reader, each, who, ProspectSearch(), self._clock.now()
            ).preview.people
        ]
        whole = [each.prospect for each in people if not each.missing]
        return next((each for each in whole if each != own), own)


def _is_unproven(prospect: ProspectRecord) -> bool:
    """Return whether a test message made a prospect, and nobody said that the number works."""
    made_here = prospect.cartera_origen == TEST_MESSAGE_ORIGIN
    return made_here and prospect.validation is ValidationState.UNCHECKED
