"""Clients, and whether a contact agreed that one of them may write to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from daemon.api.clock import Clock
from daemon.chats.outcome_service import emit_change, find_inbound
from daemon.chats.service import ChatService
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.settings import SendingSettings
from storage import audit, clients, contacts, evidence, outcomes
from storage.clients import ClientRecord, ClientShare
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.messages import MessageRecord
from storage.outcomes import Outcome
from storage.tx import Reader, Tx

MAX_NAME_LENGTH: Final = 120
_CLIENTS_HINT: Final = "List them: leadmaster clients list"


class SharingService:
    """Asks people whether a client may write to them, and stores their answer with its message.

    An answer is what a person recorded; nothing that is read from a message by itself counts.
    """

    def __init__(
        self, database: Database, chats: ChatService, clock: Clock, settings: SendingSettings
    ) -> None:
        self._database = database
        self._chats = chats
        self._clock = clock
        self._question = settings.share_question

    async def list_clients(self, *, after: str = "", limit: int = 200) -> list[ClientRecord]:
        """Return clients past the id ``after``, in the order in which they were added."""
        return await self._database.read(
            lambda reader: clients.list_clients(reader, after=after, limit=limit)
        )

    async def add_client(self, name: str, who: str) -> ClientRecord:
        """Add a client. Raises BadRequest without a name, and Conflict where one has it already."""
        name, now = " ".join(name.split()), self._clock.now()
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise BadRequest(
                f"name: it must have 1 to {MAX_NAME_LENGTH} letters, on one line.",
                hint="Give the name by which people know the client.",
            )

        def job(tx: Tx) -> ClientRecord:
            record = clients.insert_client(tx, name, at=now, who=who)
            if record is None:
                raise Conflict(f"There is a client named {name} already.", hint=_CLIENTS_HINT)
            audit.insert_audit_entry(tx, at=now, who=who, action="client_added", subject=record.id)
            return record

        return await self._database.write(job, urgent=True)

    async def ask(
        self, contact: str, client: str, who: str, *, last_seen: str, key: str
    ) -> MessageRecord:
        """Queue the question whether a client may write to them, as an answer in their chat.

        The gate decides on it like on any answer. Raises NotFound; and Conflict where nobody
        recorded that they are interested, where they were asked, or where they have answered.
        """
        now = self._clock.now()
        named = await self._database.read(lambda reader: require_client(reader, client))

        def note(tx: Tx, known: str) -> None:
            _require_interest(tx, known)
            _require_unasked(tx, known, named)
            clients.insert_share_question(
                tx, message_key=key, contact=known, client=named.id, at=now, who=who
            )

        text = self._question.replace("{client}", named.name)
        return await self._chats.reply(contact, who, text, last_seen=last_seen, key=key, also=note)

    async def record_answer(
        self, contact: str, client: str, who: str, *, allowed: bool, inbound_id: str = ""
    ) -> Sequence[ClientShare]:
        """Store what they answered about a client, with the message that says so, else their last.

        The latest record counts. Raises NotFound, and Conflict for somebody whom nobody knows.
        """
        now = self._clock.now()

        def job(tx: Tx) -> Sequence[ClientShare]:
            named = require_client(tx, client)
            known = contacts.get_merged_contact(tx, contact)
            message = find_inbound(tx, known, inbound_id)
            kind = EvidenceKind.MAY_SHARE if allowed else EvidenceKind.MAY_NOT_SHARE
            evidence.insert_evidence(
                tx,
                known,
                kind,
                named.id,
                at=message.at,
                source=f"{named.name}, recorded by {who}",
                quote=message.text,
                inbound=message.id,
            )
            detail = {"client": named.id, "inbound": message.id, "allowed": allowed}
            audit.insert_audit_entry(
                tx, at=now, who=who, action="share_answer_recorded", subject=known, detail=detail
            )
            emit_change(tx, known, "share_answer", who, now)
            return clients.list_client_shares(tx, known)

        return await self._database.write(job, urgent=True)


def require_client(reader: Reader, id_: str) -> ClientRecord:
    """Return a client; raise NotFound where there is none with this id."""
    found = clients.get_client(reader, id_)
    if found is None:
        raise NotFound(f"There is no client {id_}.", hint=_CLIENTS_HINT)
    return found


def _require_interest(reader: Reader, contact: str) -> None:
    standing = outcomes.list_contact_outcomes(reader, contact)
    if not any(each.outcome is Outcome.INTERESTED for each in standing):
        raise Conflict(
            "Nobody has recorded that they are interested.",
            hint="Record that first; then ask whether the client may write to them.",
        )


def _require_unasked(reader: Reader, contact: str, client: ClientRecord) -> None:
    if clients.is_share_question_open(reader, contact, client.id):
        raise Conflict(
            f"They were asked about {client.name} already.", hint="Record what they answered."
        )
    shares = clients.list_client_shares(reader, contact)
    if any(each.client == client.id and each.allowed is not None for each in shares):
        raise Conflict(f"They have answered about {client.name} already.")
