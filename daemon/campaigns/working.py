"""Working a campaign off by hand: one operator has one person, by the gate and the manual channel.

Nothing is sent here: the operator who opens the chat sends, and says so. The message of a person is
stored once, under a key of its own, so that nobody gets a second one whatever happens in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from daemon.api.clock import Clock
from daemon.campaigns.pace import read_pace
from daemon.campaigns.person_texts import CampaignTexts
from daemon.campaigns.service import CLOSED_SENTENCES, require_campaign
from daemon.errors import Conflict, LeadMasterError, NotFound, require_reason
from daemon.gate.gate import EvaluationPhase, Gate
from daemon.outbox import Outbox
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.manual import ManualSending
from daemon.outbox.message_check import ListedCheck, MessageCheck, SendOutlook
from daemon.outbox.pacing import Pacing
from daemon.settings import SendingSettings
from statemachines.campaign import (
    UNSEEN_PERSON_STATES,
    CampaignPersonEvent,
    CampaignPersonState,
    CampaignState,
)
from statemachines.message import CANCELLABLE_STATES, LEASED_STATES, MessageState
from statemachines.vocabulary import WaitsFor
from storage import audit, campaign_people, campaigns, halts, messages, prospects
from storage.campaign_people import CampaignPerson
from storage.campaigns import CampaignRecord
from storage.db import Database
from storage.evaluation_context import read_session_context
from storage.messages import MessageRecord
from storage.tx import Reader, Tx

log = structlog.get_logger("campaigns")

_ATTEMPTS: Final = 25
"""How many people one request may try before it says that nobody's turn has come."""
_SUBMITTED_AT_ONCE: Final = 20
_SUBMITTED_BY_SWEEP: Final = 200
_JUDGED_AGAIN: Final = 3
_RETRY: Final = timedelta(minutes=15)
_SHOWN_LEFT: Final = timedelta(minutes=15)
_WAITS_OF_ONE_PERSON: Final = frozenset(
    {"one_in_24_hours", "two_in_7_days", "follow_up_too_soon", "gate_fault"}
)
_WAITS_OF_NUMBERS: Final = frozenset({WaitsFor.CHECKED, WaitsFor.REGISTER})


class CampaignTurn(Struct, frozen=True, kw_only=True):
    """Whose turn it is for an operator, or why nobody's, and until when if that is known.

    ``per_day`` and ``left_today`` are the number's first contacts by hand. ``left`` are people who
    opted out while this operator had them.
    """

    person: CampaignPerson | None
    sentence: str
    at: datetime | None
    per_day: int
    left_today: int
    counts: Mapping[str, int]
    left: Sequence[CampaignPerson]


class _Refusal(Struct, frozen=True):
    """Why somebody was not taken; with ``stops``, nobody else would be."""

    sentence: str
    at: datetime | None = None
    stops: bool = False


class CampaignWork:
    """Gives operators one person at a time, and leads their message through sending by hand."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        gate: Gate,
        evaluator: MessageEvaluator,
        manual: ManualSending,
        check: MessageCheck,
        pacing: Pacing,
        clock: Clock,
        settings: SendingSettings,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._gate = gate
        self._evaluator = evaluator
        self._manual = manual
        self._check = check
        self._pacing = pacing
        self._clock = clock
        self._lease = timedelta(minutes=settings.manual_lease_minutes)

    async def take_next(self, id_: str, who: str) -> CampaignTurn:
        """Return whose turn it is for this operator: the same until that one is finished.

        The gate has allowed their message, which this operator has taken. Raises NotFound, and
        Conflict where the operator has a message of another list open.
        """
        await self.submit_waiting(id_)
        refusal = _Refusal("")
        for _ in range(_ATTEMPTS):
            found = await self._database.write(partial(self._claim, id_=id_, who=who))
            if isinstance(found, _Refusal):
                refusal = found if found.sentence else refusal
                break
            opened = found.state is CampaignPersonState.OPENED
            taken = found if opened else await self._try_take(found, who)
            if isinstance(taken, CampaignPerson):
                return await self._build_turn(id_, who, taken, _Refusal(""))
            refusal = taken
            if taken.stops:
                break
        return await self._build_turn(id_, who, None, refusal)

    def _claim(self, tx: Tx, id_: str, who: str) -> CampaignPerson | _Refusal:
        """Claim the next person for an operator, or say why there is none."""
        now, campaign = self._clock.now(), require_campaign(tx, id_)
        campaign_people.free_stale_claims(tx, id_, now)
        campaign_people.finish_if_done(tx, id_, at=now)
        if mine := campaign_people.find_claimed_person(tx, id_, who):
            return mine
        if sentence := CLOSED_SENTENCES.get(campaign.state):
            return _Refusal(sentence)
        if halts.get_current_halt(tx) is not None:
            return _Refusal("Sending is halted.")
        session = read_session_context(tx, campaign.session or "", now)
        slot = self._pacing.find_slot(tx, session, now, first_contact=True, by_hand=True)
        found = campaign_people.find_next_person(tx, id_, at=now, new_chats=slot.is_open(now))
        if found is None:
            others = campaign_people.find_next_person(tx, id_, at=now, new_chats=True)
            if others is not None:
                return _Refusal(slot.sentence, slot.at)
            return _Refusal("", campaign_people.find_next_wait(tx, id_, now))
        campaign_people.change_person_state(
            tx,
            found.id,
            CampaignPersonEvent.CLAIMED,
            at=now,
            who=who,
            claimed_by=who,
            lease_until=now + self._lease,
        )
        return campaign_people.require_campaign_person(tx, found.id)

    async def _try_take(self, person: CampaignPerson, who: str) -> CampaignPerson | _Refusal:
        """Store and take the message of somebody who is claimed; free them if it is not taken."""
        try:
            message = await self._require_message(person, who)
            if isinstance(message, _Refusal):
                return message
            if message.state is MessageState.CLEARED:
                message = await self._manual.take(message.id, who)
        except Conflict as refusal:
            mine = await self._find_message(person)
            # Two requests of one operator at a time: the other one has taken them.
            if mine is None or mine.taken_by != who:
                await self._free(person, who, str(refusal), not_before=self._clock.now() + _RETRY)
                if await self._manual.find_open(who) is not None:
                    raise
                return _Refusal(str(refusal))
            message = mine
        except LeadMasterError as error:  # as of a phone that was deleted: it stops everybody
            await self._free(person, who, str(error), not_before=None)
            return _Refusal(str(error), stops=True)
        found = await self._database.read(
            lambda reader: campaign_people.require_campaign_person(reader, person.id)
        )
        if message.state is MessageState.TAKEN and message.taken_by == who:
            return found
        if found.state is CampaignPersonState.CLAIMED and found.claimed_by == who:
            await self._free(person, who, message.sentence, not_before=self._clock.now() + _RETRY)
        return _Refusal(message.sentence)

    async def _require_message(self, person: CampaignPerson, who: str) -> MessageRecord | _Refusal:
        """Return the one message of a person, stored and judged, or why it is not stored."""
        found = await self._find_message(person)
        if found is not None:
            return await self._judge(found)
        request = await self._build_request(person, who)
        if request is None:
            return _Refusal("Somebody could not be written to.")
        [check] = await self._check.check_by_hand([request])
        if refusal := await self._put_off(person, check, who):
            return refusal
        stored = await self._outbox.enqueue(
            request,
            who,
            first=partial(
                _require_state, person=person, state=CampaignPersonState.CLAIMED, who=who
            ),
        )
        return await self._judge(stored)

    async def _find_message(self, person: CampaignPerson) -> MessageRecord | None:
        return await self._database.read(
            lambda reader: messages.find_message_by_idempotency_key(reader, person.message_key)
        )

    async def _judge(self, message: MessageRecord) -> MessageRecord:
        """Return a message once the gate has judged it; the outbox may be doing the same."""
        for _ in range(_JUDGED_AGAIN):
            if message.state is not MessageState.QUEUED:
                break
            evaluation = await self._gate.evaluate(message, EvaluationPhase.ENQUEUE)
            await self._evaluator.store_evaluation(evaluation)
            message = await self._database.read(
                partial(messages.require_message, message=message.id)
            )
        return message

    async def _build_request(self, person: CampaignPerson, who: str) -> SendRequest | None:
        """Return the request for a person's message; None: they are skipped, with a reason."""

        def read(reader: Reader) -> SendRequest | tuple[str, ...] | None:
            campaign = require_campaign(reader, person.campaign)
            prospect = prospects.get_prospect(reader, person.prospect)
            if prospect is None:
                return None
            return CampaignTexts(reader, campaign).build_request(
                reader, prospect, who, person.message_key
            )

        built = await self._database.read(read)
        if isinstance(built, SendRequest):
            return built
        sentence = (
            f"They have no {', '.join(built)}, so this text leaves them out."
            if built
            else "The person is not here any more."
        )
        await self._change(person, CampaignPersonEvent.SKIPPED, "missing_value", sentence, who)
        return None

    async def _put_off(
        self, person: CampaignPerson, check: ListedCheck, who: str
    ) -> _Refusal | None:
        """Free somebody whose message would only wait for a time; None: it is to be stored."""
        if check.reason_code == "routed_away":
            await self._change(
                person, CampaignPersonEvent.REFUSED, check.reason_code, check.sentence, who
            )
            return _Refusal(check.sentence)
        if check.outlook is not SendOutlook.LATER or check.waits_for in _WAITS_OF_NUMBERS:
            return None
        of_one = check.reason_code in _WAITS_OF_ONE_PERSON
        later = (check.due_at or self._clock.now() + _RETRY) if of_one else None
        await self._free(person, who, check.sentence, not_before=later)
        return _Refusal(check.sentence, check.due_at, stops=not of_one)

    async def _free(
        self, person: CampaignPerson, who: str, sentence: str, *, not_before: datetime | None
    ) -> None:
        """Put somebody back, if this operator has claimed them still."""

        def job(tx: Tx) -> None:
            found = campaign_people.require_campaign_person(tx, person.id)
            message = messages.get_message(tx, found.message) if found.message else None
            taken = message is not None and message.state in LEASED_STATES
            if (found.state, found.claimed_by, taken) == (CampaignPersonState.CLAIMED, who, False):
                campaign_people.change_person_state(
                    tx,
                    person.id,
                    CampaignPersonEvent.FREED,
                    at=self._clock.now(),
                    who=who,
                    reason_code="put_off",
                    sentence=sentence,
                    not_before=not_before,
                )

        await self._database.write(job)

    async def _change(
        self,
        person: CampaignPerson,
        event: CampaignPersonEvent,
        reason_code: str,
        sentence: str,
        who: str,
    ) -> None:
        now = self._clock.now()
        await self._database.write(
            lambda tx: campaign_people.change_person_state(
                tx,
                person.id,
                event,
                at=now,
                who=who,
                reason_code=reason_code,
                sentence=sentence,
            )
        )

    async def _build_turn(
        self, id_: str, who: str, person: CampaignPerson | None, refusal: _Refusal
    ) -> CampaignTurn:
        now = self._clock.now()

        def read(reader: Reader) -> CampaignTurn:
            campaign = require_campaign(reader, id_)
            counts = campaign_people.count_campaign_people(reader, id_)
            per_day = left_today = 0
            if campaign.session is not None:
                session = read_session_context(reader, campaign.session, now)
                per_day, left_today = read_pace(reader, self._pacing, session, now)
            sentence = refusal.sentence
            if person is None and not sentence:
                sentence = CLOSED_SENTENCES.get(campaign.state, "Nobody's turn has come yet.")
            return CampaignTurn(
                person=person,
                sentence=sentence,
                at=refusal.at,
                per_day=per_day,
                left_today=left_today,
                counts={state.value: n for state, n in counts.items()},
                left=campaign_people.list_withdrawn_people(
                    reader, id_, who, since=now - _SHOWN_LEFT
                ),
            )

        return await self._database.read(read)

    async def open_chat(self, id_: str, prospect: str, who: str) -> tuple[str, str]:
        """Return the message's id and the link that opens the chat with its text.

        Raises NotFound, NotAllowed, and Conflict where they are not taken, or the campaign is
        paused.
        """
        person = await self.require_person(id_, prospect)
        if person.message is None or person.state is not CampaignPersonState.CLAIMED:
            raise _build_state_error(person)
        return person.message, await self._manual.reveal(person.message, who)

    async def confirm(self, id_: str, prospect: str, who: str) -> CampaignPerson:
        """Record that the operator sent the message; of one that the phone has seen, nothing."""
        person = await self.require_person(id_, prospect)
        if person.state is CampaignPersonState.SENT:
            return person
        if person.message is None:
            raise _build_state_error(person)
        if person.state is CampaignPersonState.UNCONFIRMED:
            await self._outbox.settle(
                person.message, MessageState.CONFIRMED_BY_HAND, who, "It was sent by hand."
            )
        else:
            await self._manual.confirm(person.message, who)
        return await self.require_person(id_, prospect)

    async def skip(self, id_: str, prospect: str, who: str, reason: str) -> CampaignPerson:
        """Leave somebody out, with a reason; they get nothing in this campaign any more."""
        stated = require_reason(reason, hint="Say why they are skipped.")
        person = await self.require_person(id_, prospect)
        message = await self._find_message(person)
        if message is not None and message.state is MessageState.IN_DOUBT:
            await self._outbox.settle(message.id, MessageState.CANCELLED, who, stated)
        elif person.state in {CampaignPersonState.CLAIMED, CampaignPersonState.OPENED} and message:
            await self._manual.cancel(message.id, who, stated)
        elif message is not None and message.state in CANCELLABLE_STATES:
            await self._outbox.cancel(message.id, who, stated)
        else:
            await self._skip_without_message(person, who, stated)
        return await self.require_person(id_, prospect)

    async def _skip_without_message(self, person: CampaignPerson, who: str, reason: str) -> None:
        now = self._clock.now()

        def job(tx: Tx) -> None:
            found = campaign_people.require_campaign_person(tx, person.id)
            held = found.state is CampaignPersonState.CLAIMED and found.claimed_by != who
            if held or found.state not in UNSEEN_PERSON_STATES:
                raise _build_state_error(found)
            campaign_people.change_person_state(
                tx,
                found.id,
                CampaignPersonEvent.SKIPPED,
                at=now,
                who=who,
                reason_code="skipped",
                sentence=reason,
            )
            audit.insert_audit_entry(
                tx,
                at=now,
                who=who,
                action="campaign_person_skipped",
                subject=found.prospect,
                reason=reason,
                detail={"campaign": found.campaign},
            )

        await self._database.write(job)

    async def put_back(self, id_: str, prospect: str, who: str) -> CampaignPerson:
        """Put back somebody whose link was not shown; any operator may have them next."""
        person = await self.require_person(id_, prospect)
        if person.message is None or person.state is not CampaignPersonState.CLAIMED:
            raise _build_state_error(person)
        await self._manual.return_message(person.message, who)
        return await self.require_person(id_, prospect)

    async def submit_waiting(self, id_: str, *, limit: int = _SUBMITTED_AT_ONCE) -> None:
        """Store the messages of people who wait for an approval or a check, for the review.

        They do not need an operator's turn for that. A few at a time.
        """
        campaign = await self._database.read(lambda reader: require_campaign(reader, id_))
        if campaign.state is not CampaignState.RUNNING:
            return
        for person in await self._database.read(
            lambda reader: campaign_people.list_people_to_submit(reader, id_, limit)
        ):
            who = campaign.started_by or campaign.created_by
            request = await self._build_request(person, who)
            if request is None:
                continue
            try:
                stored = await self._outbox.enqueue(
                    request,
                    who,
                    first=partial(
                        _require_state, person=person, state=CampaignPersonState.WAITING, who=None
                    ),
                )
            except LeadMasterError as error:
                log.info("campaign_person_not_submitted", reason=error.code)
                continue
            await self._judge(stored)

    async def sweep(self) -> None:
        """Free what was claimed for too long, expire who is past the end, submit who waits."""
        now = self._clock.now()
        for campaign in await self._database.read(campaigns.list_started):
            await self._database.write(partial(_expire_due, campaign=campaign, now=now))
            await self.submit_waiting(campaign.id, limit=_SUBMITTED_BY_SWEEP)

    async def require_person(self, id_: str, prospect: str) -> CampaignPerson:
        """Return a person of a campaign; raises NotFound."""
        found = await self._database.read(
            lambda reader: campaign_people.find_campaign_person(reader, id_, prospect)
        )
        if found is None:
            raise NotFound(f"The campaign has no person {prospect}.")
        return found


def _require_state(
    tx: Tx, person: CampaignPerson, state: CampaignPersonState, who: str | None
) -> None:
    """Raise Conflict unless a person is as expected, in a campaign that runs."""
    found = campaign_people.require_campaign_person(tx, person.id)
    if (found.state, found.claimed_by) != (state, who):
        raise _build_state_error(found)
    campaign = require_campaign(tx, person.campaign)
    if campaign.state is not CampaignState.RUNNING:
        raise Conflict(CLOSED_SENTENCES[campaign.state])


def _expire_due(tx: Tx, campaign: CampaignRecord, now: datetime) -> None:
    campaign_people.free_stale_claims(tx, campaign.id, now)
    if campaign.ends_at is not None and campaign.ends_at <= now:
        for person in campaign_people.list_unseen_people(tx, campaign.id):
            # A message of theirs expires by itself at the same moment.
            if person.message is None:
                campaign_people.change_person_state(
                    tx,
                    person.id,
                    CampaignPersonEvent.EXPIRED,
                    at=now,
                    who="clock",
                    reason_code="past_its_window",
                    sentence="The campaign ended before their turn came.",
                )
    campaign_people.finish_if_done(tx, campaign.id, at=now)


def _build_state_error(person: CampaignPerson) -> Conflict:
    return Conflict(
        f"It is not the turn of {person.name or person.prospect} with you now.",
        hint="Take the next one: their state has changed, or another operator has them.",
    )
