"""Writes lines of a history as dated evidence: each once, whatever file it comes in.

Nothing of it opens a conversation, answers anybody, or touches a message that was queued later
than the line was written; an opt-out and what stops everything hold at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from daemon.api.effects import ContactRequest
from daemon.api.signals import Origin
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.gate.consent import REFUSALS
from daemon.gate.scoring import Scoring
from daemon.history.line_parser import HistoryLine, build_signal, read_identity
from daemon.inbound.contact_requests import Reading
from daemon.inbound.context import InboundContext
from daemon.inbound.conversation import cancel_commercial, stop_messages
from daemon.inbound.imported_reviews import is_clear, settle_earlier_reviews
from daemon.inbound.message_effects import (
    MessageEffects,
    has_opted_in_later,
    insert_message_evidence,
    withdraw_validation,
)
from daemon.inbound.reading import assess_words
from daemon.settings import SendingSettings
from storage import contacts, evidence, history, inbound, prospects
from storage.evidence import EvidenceKind
from storage.history import HistoryImport, HistoryKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.suppressions import SuppressionSource
from storage.tx import Tx

OPT_OUT_REASON: Final = "opted out, by the record of a former system"
_CHANGED_SENTENCE: Final = "The history of a former system was imported."


class HistoryWriter:
    """Writes lines in the caller's transaction."""

    def __init__(
        self,
        aliases: Aliases,
        suppression: SuppressionService,
        scoring: Scoring,
        sending: SendingSettings,
    ) -> None:
        self._aliases = aliases
        self._suppression = suppression
        self._scoring = scoring
        self._effects = MessageEffects(suppression, sending)

    def hash_line(self, line: HistoryLine) -> str:
        """Return the identity of a line: who, when, what it is, and its words."""
        # The first spelling stands for the number, whichever way a file writes it.
        who = self._aliases.from_identities(read_identity(line))[0].text
        when = line.at.isoformat() if line.at else ""
        return self._aliases.hash_text(f"{who}\n{when}\n{line.kind.value}\n{line.text_hash}")

    def write_lines(
        self, tx: Tx, history_import: HistoryImport, lines: Sequence[HistoryLine], now: datetime
    ) -> None:
        """Write those of these lines that are not known yet."""
        hashes = {line.number: self.hash_line(line) for line in lines}
        known = history.find_known_lines(tx, hashes.values())
        new: dict[str, HistoryKind] = {}
        touched: dict[str, None] = {}
        for line in lines:
            line_hash = hashes[line.number]
            if line_hash in known or line_hash in new:
                continue
            new[line_hash] = line.kind
            touched[self._write_line(tx, history_import, line, line_hash, now)] = None
        history.insert_history_lines(tx, history_import.id, new)
        for contact in touched:
            self._scoring.refresh_prospect(
                tx,
                contact,
                now,
                reason_code="history_imported",
                sentence=_CHANGED_SENTENCE,
            )

    def _write_line(
        self,
        tx: Tx,
        history_import: HistoryImport,
        line: HistoryLine,
        line_hash: str,
        now: datetime,
    ) -> str:
        """Write a line; return its contact."""
        contact = contacts.resolve_contact(
            tx, self._aliases.from_identities(read_identity(line)), now
        )
        source = f"history {history_import.filename}, record {line.number}"
        if line.kind is HistoryKind.SENT:
            _insert_own_message(tx, contact, line, line_hash, source, now)
        elif line.kind is HistoryKind.RECEIVED:
            self._store_message(tx, _build_context(contact, line, line_hash, source, now))
        else:
            self._store_refusal(tx, contact, line, source, history_import, now)
        # The line may show another name of somebody who is suppressed.
        self._suppression.extend_to_new_aliases(tx, contact, at=now)
        return contact

    def _store_message(self, tx: Tx, context: InboundContext) -> None:
        """Store what they wrote, with what it changes by the time of its writing."""
        inbound.insert_inbound(tx, context.record)
        insert_message_evidence(tx, context)
        self._effects.apply_request(tx, context)
        stop_messages(tx, context)
        if is_clear(context.reading):
            settle_earlier_reviews(tx, context.contact, context.record.at)
        prospect = prospects.find_prospect_by_contact(tx, context.contact)
        if prospect and context.reading.words.says(ContactRequest.WRONG_PERSON):
            withdraw_validation(tx, prospect, context.now)

    def _store_refusal(
        self,
        tx: Tx,
        contact: str,
        line: HistoryLine,
        source: str,
        history_import: HistoryImport,
        now: datetime,
    ) -> None:
        """Store a recorded refusal; one without a date counts from the import on."""
        at = min(line.latest or history_import.at, now)
        is_opt_out = line.kind is HistoryKind.OPT_OUT
        evidence.insert_evidence(
            tx,
            contact,
            EvidenceKind.INBOUND if is_opt_out else EvidenceKind.DECLINED,
            ContactRequest.OPT_OUT.value if is_opt_out else "refused",
            at=at,
            source=source,
            quote=line.text,
            imported=True,
        )
        settle_earlier_reviews(tx, contact, at)
        if is_opt_out and not has_opted_in_later(tx, contact, at):
            self._suppression.enter(
                tx,
                self._suppression.resolve_target(tx, contact),
                source=SuppressionSource.IMPORT,
                reason=OPT_OUT_REASON,
                who=history_import.who,
                at=now,
                said_at=at,
            )


def _insert_own_message(
    tx: Tx, contact: str, line: HistoryLine, line_hash: str, source: str, now: datetime
) -> None:
    at = _get_time(line, now)
    record = InboundRecord(
        id=new_id("inb", now),
        session="",
        wire_id=line_hash,
        contact=contact,
        at=at,
        received_at=now,
        text="",
        request=ContactRequest.UNCLEAR.value,
        own=True,
        origin=Origin.IMPORTED.value,
        past=True,
    )
    inbound.insert_inbound(tx, record)
    evidence.insert_evidence(
        tx, contact, EvidenceKind.OWN_MESSAGE, "sent", at=at, source=source, imported=True
    )
    cancel_commercial(tx, contact, written_at=at, now=now, reason_code="own_message")


def _build_context(
    contact: str, line: HistoryLine, line_hash: str, source: str, now: datetime
) -> InboundContext:
    reading = assess_words(Reading(frozenset(line.findings)), build_signal(line), now)
    refuses = not reading.words.requests.isdisjoint(REFUSALS)
    record = InboundRecord(
        id=new_id("inb", now),
        session="",
        wire_id=line_hash,
        contact=contact,
        # Of a whole day, a no counts as its last word.
        at=min(line.latest, now) if refuses and line.latest else _get_time(line, now),
        received_at=now,
        text=line.text,
        request=reading.request.value,
        kind=build_signal(line).kind.value,
        origin=Origin.IMPORTED.value,
        past=True,
        conversation=reading.opens_conversation,
    )
    return InboundContext(record, reading, None, now, source)


def _get_time(line: HistoryLine, now: datetime) -> datetime:
    return min(line.at, now) if line.at else now
