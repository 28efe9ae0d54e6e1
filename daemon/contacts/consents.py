"""Records consent that was given elsewhere, and withdraws a record that was wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.contacts.aliases import Aliases
from daemon.contacts.prospects import require_known_prospect
from daemon.contacts.validation_transitions import build_validation_transitions, require_no_failure
from daemon.errors import BadRequest, Conflict, NotFound, require_reason
from daemon.gate.consent import Permission, derive_permission, find_last_refusal, find_nobody
from daemon.gate.scoring import Scoring
from daemon.settings import Settings
from storage import audit, evidence, inbound_reviews, prospects, queue, suppressions
from storage.db import Database
from storage.evidence import Evidence, EvidenceKind
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource
from storage.tx import Reader, Tx

_GRANTS: Final = frozenset({Permission.OPTED_IN.value, Permission.RELATIONSHIP.value})
_MAX_RECORD_DIGITS: Final = 18  # fits an integer column of SQLite
_RECORD_HINT: Final = "The records and their numbers: leadmaster prospects show PROSPECT"
_DECIDE_FIRST: Final = "If that was misread, say so first: leadmaster review meanings"
_NEVER_FOR_THIS_NUMBER: Final = "Consent can't be recorded for this number."
_NOBODY_SENTENCES: Final[Mapping[str, str]] = {
    ContactRequest.MINOR: (
        "A message of {day} says that they are under 18, so consent can't be recorded."
    ),
    ContactRequest.DECEASED: (
        "A message of {day} says that the person has died, so consent can't be recorded."
    ),
    ContactRequest.WRONG_PERSON: (
        "A message of {day} says that this is another person, so consent can't be recorded."
    ),
}
_ASK_FOR_A_MESSAGE: Final = "Only a message of theirs opens it again."


class ConsentMethod(StrEnum):
    """How a contact agreed to be written to."""

    CALL = "call"
    FORM = "form"
    IN_PERSON = "in_person"
    PAPER = "paper"


class ConsentInput(Struct, frozen=True, kw_only=True):
    """A consent as a person enters it.

    ``when`` is a day (2026-11-28: its beginning in the daemon's zone) or a moment with its zone.
    ``heard_by`` is the person who took it, ``words`` the text of the consent.
    """

    how: ConsentMethod
    when: str
    heard_by: str
    words: str


class EvidenceResult(Struct, frozen=True, kw_only=True):
    """The result of recording or withdrawing a piece of evidence."""

    prospect: ProspectRecord
    record: int
    """The id of the piece of evidence."""
    reevaluated: int
    """How many waiting messages were queued to be evaluated again."""


class ConsentService:
    """Records consents and statements on numbers, and withdraws wrong records."""

    def __init__(
        self,
        database: Database,
        scoring: Scoring,
        aliases: Aliases,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._database = database
        self._scoring = scoring
        self._transitions = build_validation_transitions(scoring, aliases, settings)
        self._clock = clock
        self._zone = ZoneInfo(settings.daemon.time_zone)

    async def record_consent(
        self, prospect: str, consent: ConsentInput, who: str
    ) -> EvidenceResult:
        """Record a consent; the contact's waiting messages are evaluated again.

        Raises NotFound; BadRequest for an invalid moment, or where a text is empty; and Conflict,
        with the reason, after an opt-out or a refusal, which only the contact's own message ends.
        """
        now = self._clock.now()
        agreed_at = parse_consent_time(consent.when, self._zone, now)
        heard_by = _require_text("heard_by", consent.heard_by, hint="Say who took the consent.")
        words = _require_text("words", consent.words, hint="Write down what they agreed to.")

        def job(tx: Tx) -> EvidenceResult:
            found = require_known_prospect(tx, prospect)
            self._require_recordable(tx, found, agreed_at, now)
            record = evidence.insert_evidence(
                tx,
                found.contact,
                EvidenceKind.CONSENT,
                consent.how.value,
                at=agreed_at,
                source=f"heard by {heard_by}, recorded by {who}",
                quote=words,
            )
            detail = {"how": consent.how.value, "agreed_at": agreed_at.isoformat()}
            audit.insert_audit_entry(
                tx, now, who, "record_consent", found.id, f"heard by {heard_by}", detail
            )
            return self._settle(
                tx,
                found,
                record,
                now,
                who=who,
                reason_code="consent_recorded",
                sentence="Consent was recorded; it is evaluated again.",
            )

        return await self._database.write(job, urgent=True)

    async def record_given_number(
        self, prospect: str, *, where: str, how: str, who: str
    ) -> EvidenceResult:
        """Record that the contact gave this number as their WhatsApp, which validates it.

        The validation ends when it expires, or with the first message that is not delivered. Raises
        NotFound; BadRequest without where and how; and Conflict for a number that failed before.
        """
        now = self._clock.now()
        place = _require_text("where", where, hint="Say where they gave the number.")
        manner = _require_text("how", how, hint="Say how they gave it, such as on a form.")

        def job(tx: Tx) -> EvidenceResult:
            found = require_known_prospect(tx, prospect)
            known = evidence.list_contact_evidence(tx, found.contact)
            require_no_failure(found, known)
            record = self._transitions.apply_given_number(
                tx, found, source=f"operator {who}", quote=f"{place}: {manner}", now=now
            )
            audit.insert_audit_entry(
                tx, now, who, "record_given_number", found.id, f"{place}: {manner}"
            )
            return EvidenceResult(
                prospect=prospects.require_prospect(tx, found.id).as_of(now),
                record=record,
                reevaluated=0,
            )

        return await self._database.write(job, urgent=True)

    async def withdraw(
        self, prospect: str, record: int, *, who: str, reason: str
    ) -> EvidenceResult:
        """Withdraw a wrong piece of evidence; the contact's waiting messages are evaluated again.

        Raises NotFound, BadRequest without a reason, and Conflict for a piece that is withdrawn
        already, or that grants nothing: a refusal can't be withdrawn.
        """
        now, stated = self._clock.now(), require_reason(reason, hint="Say what was wrong with it.")

        def job(tx: Tx) -> EvidenceResult:
            found = require_known_prospect(tx, prospect)
            piece = _require_withdrawable(
                evidence.list_contact_evidence(tx, found.contact), found, record
            )
            evidence.withdraw_evidence(
                tx, found.contact, piece, at=now, source=f"withdrawn by {who}", quote=stated
            )
            audit.insert_audit_entry(
                tx, now, who, "withdraw_evidence", found.id, stated, {"record": piece.id}
            )
            # The validation rests on the statement, so it ends with it.
            if piece.kind is EvidenceKind.GIVEN_AS_WHATSAPP:
                self._transitions.take_back_given_number(
                    tx, found, piece, now, source=f"operator {who}"
                )
            return self._settle(
                tx,
                found,
                piece.id,
                now,
                who=who,
                reason_code="evidence_withdrawn",
                sentence="A record that it rested on was withdrawn; it is evaluated again.",
            )

        return await self._database.write(job, urgent=True)

    async def find_consent_obstacle(self, prospect: str) -> Conflict | None:
        """Return why a consent given now can't be recorded, or None where it can.

        Raises NotFound.
        """
        now = self._clock.now()

        def look(reader: Reader) -> Conflict | None:
            found = require_known_prospect(reader, prospect)
            try:
                self._require_recordable(reader, found, now, now)
            except Conflict as obstacle:
                return obstacle
            return None

        return await self._database.read(look)

    async def find_given_obstacle(self, prospect: str) -> Conflict | None:
        """Return why a number can't be recorded as given as WhatsApp, or None where it can.

        Raises NotFound.
        """

        def look(reader: Reader) -> Conflict | None:
            found = require_known_prospect(reader, prospect)
            try:
                require_no_failure(found, evidence.list_contact_evidence(reader, found.contact))
            except Conflict as obstacle:
                return obstacle
            return None

        return await self._database.read(look)

    async def get_withdrawable(self, prospect: str, record: int) -> Evidence:
        """Return a piece of evidence that can be withdrawn. Raises NotFound or Conflict."""

        def look(reader: Reader) -> Evidence:
            found = require_known_prospect(reader, prospect)
            known = evidence.list_contact_evidence(reader, found.contact)
            return _require_withdrawable(known, found, record)

        return await self._database.read(look)

    def _settle(
        self,
        tx: Tx,
        prospect: ProspectRecord,
        record: int,
        now: datetime,
        *,
        who: str,
        reason_code: str,
        sentence: str,
    ) -> EvidenceResult:
        """Recompute permission and score, and queue waiting messages to be evaluated again."""
        self._scoring.refresh_prospect(
            tx, prospect.contact, now, reason_code=reason_code, sentence=sentence
        )
        judged = queue.requeue_contact_messages(
            tx, now, prospect.contact, reason_code=reason_code, sentence=sentence, who=who
        )
        after = prospects.require_prospect(tx, prospect.id).as_of(now)
        return EvidenceResult(prospect=after, record=record, reevaluated=judged)

    def _require_recordable(
        self, reader: Reader, prospect: ProspectRecord, agreed_at: datetime, now: datetime
    ) -> None:
        """Raise Conflict where an opt-out or a refusal of the contact excludes a consent."""
        if in_force := suppressions.list_contact_suppressions(reader, prospect.contact):
            since = self._format_day(min(each.at for each in in_force))
            if any(each.source is SuppressionSource.CONTACT for each in in_force):
                raise Conflict(
                    f"They opted out in their own words on {since}, so consent can't be recorded.",
                    hint="Only their own opt-in ends that, such as START or ALTA.",
                )
            raise Conflict(
                f"They have been on the opt-out list since {since}, so consent can't be recorded.",
                hint="If the entry is a mistake, correct it first.",
            )
        known = evidence.list_contact_evidence(reader, prospect.contact)
        if nobody := find_nobody(known):
            review = inbound_reviews.get_inbound_review(reader, nobody.inbound or "")
            is_decided = review is None or review.meaning is not None
            raise Conflict(
                _NOBODY_SENTENCES[nobody.value].format(day=self._format_day(nobody.at)),
                hint=_NEVER_FOR_THIS_NUMBER if is_decided else _DECIDE_FIRST,
            )
        refusal = find_last_refusal(known)
        if refusal is None:
            return
        day = self._format_day(refusal.at)
        if derive_permission(known, now) is Permission.REFUSED:
            sentence = f"They said no on {day}, so consent can't be recorded."
            if refusal.quote:
                sentence = (
                    f"They said no on {day}, so consent can't be recorded: “{refusal.quote}”."
                )
            raise Conflict(sentence, hint=_ASK_FOR_A_MESSAGE)
        if agreed_at <= refusal.at:
            raise Conflict(
                f"They said no on {day}, after they agreed; what was agreed before counts no more.",
                hint="If they agreed after it on the same day, give the hour as well.",
            )

    def _format_day(self, at: datetime) -> str:
        return at.astimezone(self._zone).date().isoformat()


def parse_consent_time(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Return the moment of a consent. Raises BadRequest for an invalid or a future one."""
    try:
        # A day alone counts from its beginning in ``zone``, so that a refusal of that day is newer.
        moment = datetime.fromisoformat(text.strip())
        if len(text.strip()) == len("2026-11-28"):
            moment = datetime.combine(date.fromisoformat(text.strip()), time(), zone)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequest(
            "when: that is no day, and no moment with its zone.",
            hint="Write it like 2026-11-28, or 2026-11-28T15:30:00-03:00.",
        )
    if moment > now:
        raise BadRequest("when: that is still to come.", hint="Give the day on which they agreed.")
    return moment


def parse_record_number(text: str) -> int:
    """Return the id of a record. Raises NotFound for a text that can't be one."""
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_RECORD_DIGITS:
        raise NotFound(f"There is no record {text}.", hint=_RECORD_HINT)
    return int(text)


def _require_text(name: str, text: str, *, hint: str) -> str:
    if not text.strip():
        raise BadRequest(f"{name}: must not be empty.", hint=hint)
    return text.strip()


def is_withdrawable(piece: Evidence) -> bool:
    """Return whether a piece can be withdrawn: whether it grants something."""
    granted = piece.kind is EvidenceKind.PERMISSION and piece.value in _GRANTS
    return granted or piece.kind in {EvidenceKind.CONSENT, EvidenceKind.GIVEN_AS_WHATSAPP}


def _require_withdrawable(
    known: Sequence[Evidence], prospect: ProspectRecord, record: int
) -> Evidence:
    piece = next((each for each in known if each.id == record), None)
    if piece is None:
        raise NotFound(f"There is no record {record} about {prospect.id}.", hint=_RECORD_HINT)
    if not is_withdrawable(piece):
        raise Conflict(
            f"The record {record} can't be withdrawn.",
            hint="Only a consent, a permission or a statement on a number can be.",
        )
    if piece not in evidence.drop_withdrawn(known):
        raise Conflict(
            f"The record {record} is withdrawn already.", hint="There is nothing left to do."
        )
    return piece
