"""Keeps drafts of campaigns, shows campaigns, and starts, pauses, resumes and cancels them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct, structs

from daemon.api.clock import Clock
from daemon.campaigns.audience import count_audience, list_audience
from daemon.campaigns.dry_runs import CampaignDryRuns, DryRunMoved, FreshDryRun, is_queued_to_wait
from daemon.contacts.prospect_filters import ProspectFilter, drop_searched_text, format_filter
from daemon.contacts.saved_filters import require_saved_filter
from daemon.errors import BadRequest, Conflict, NotFound, require_reason
from daemon.outbox.message_check import SendOutlook
from statemachines.campaign import (
    ON_ITS_WAY_PERSON_STATES,
    STARTED_STATES,
    CampaignEvent,
    CampaignPersonEvent,
    CampaignPersonState,
    CampaignState,
)
from statemachines.machine import IllegalTransition
from statemachines.message import CANCELLABLE_STATES, MessageState
from storage import (
    audit,
    breaker_trips,
    campaign_people,
    campaigns,
    messages,
    numbers,
    sessions,
    texts,
)
from storage.breaker_trips import BreakerTrip
from storage.campaign_people import NewCampaignPerson
from storage.campaigns import CampaignRecord
from storage.db import Database
from storage.dry_runs import DryRunPerson
from storage.tx import Reader, Tx

MAX_NAME_LENGTH: Final = 120
CLOSED_SENTENCES: Final = {
    CampaignState.DRAFT: "The campaign has not been started.",
    CampaignState.PAUSED: "The campaign is paused.",
    CampaignState.FINISHED: "Everybody is done.",
    CampaignState.CANCELLED: "The campaign was cancelled.",
}
"""Why it is nobody's turn in a campaign that does not run."""
_LIST_HINT: Final = "List them: leadmaster campaigns list"


class CampaignView(Struct, frozen=True, kw_only=True):
    """A campaign with what became of its people.

    ``will_leave`` are those whose turn would still come; none while it does not run.
    ``on_its_way`` are those whose link was shown, and nobody said yet whether it was sent.
    ``breaker`` is why the breaker paused it. ``withheld`` names what is left out for a caller who
    may not read prospects: ``audience.text``, the words that its filter searches for.
    """

    campaign: CampaignRecord
    left_out: Sequence[str]
    counts: Mapping[str, int]
    will_leave: int
    on_its_way: int
    breaker: BreakerTrip | None
    withheld: Sequence[str] = ()


class CampaignChange(Struct, frozen=True, kw_only=True):
    """What a person changed of a draft; what is None stays, and '' takes it out.

    ``saved_filter`` is the id or the name of one, whose fields the audience takes as they are now.
    """

    name: str | None = None
    session: str | None = None
    text: str | None = None
    text_version: int | None = None
    typed: str | None = None
    audience: ProspectFilter | None = None
    saved_filter: str | None = None
    left_out: Sequence[str] | None = None
    ends_at: datetime | None = None

    def __repr__(self) -> str:
        """Keep the words, and who is searched for, out of logs: only the fields are named."""
        given = (name for name, value in structs.asdict(self).items() if value is not None)
        return f"CampaignChange({', '.join(given)})"


class AudienceCounts(Struct, frozen=True, kw_only=True):
    """Who a filter finds, exactly; those who opted out or are left out count apart.

    ``permissions`` counts the others; ``reachable`` are those of them who gave or may give one.
    ``new`` are those who are in no started campaign of this id yet.
    """

    total: int
    reachable: int
    suppressed: int
    left_out: int
    permissions: Mapping[str, int]
    new: int


class CampaignService:
    """Stores campaigns as they are typed, and starts them by the counts of a dry run."""

    def __init__(
        self,
        database: Database,
        runs: CampaignDryRuns,
        clock: Clock,
        default_region: str,
    ) -> None:
        self._database = database
        self._runs = runs
        self._clock = clock
        self._region = default_region

    async def list_campaigns(self, *, after: str = "", limit: int = 50) -> list[CampaignView]:
        """Return campaigns past the id ``after``, the newest first."""
        return await self._database.read(
            lambda reader: [
                _build_view(reader, each)
                for each in campaigns.list_campaigns(reader, after=after, limit=limit)
            ]
        )

    async def get(self, id_: str) -> CampaignView:
        """Return a campaign. Raises NotFound."""
        return await self._database.read(
            lambda reader: _build_view(reader, require_campaign(reader, id_))
        )

    async def create(self, change: CampaignChange, who: str) -> CampaignView:
        """Store a draft, whole or not. Raises BadRequest, and Conflict for a name that is taken."""
        now, name = self._clock.now(), _clean_name(change.name or "")

        def job(tx: Tx) -> CampaignView:
            id_ = campaigns.insert_campaign(tx, name, at=now, who=who)
            if id_ is None:
                raise _build_taken_error(name)
            self._apply(tx, id_, change, now)
            audit.insert_audit_entry(tx, at=now, who=who, action="campaign_created", subject=id_)
            return _build_view(tx, require_campaign(tx, id_))

        return await self._database.write(job, urgent=True)

    async def change(self, id_: str, change: CampaignChange, who: str) -> CampaignView:
        """Change a draft, as it is typed. Raises NotFound, BadRequest, and Conflict after a start.

        The end of one that was started may be moved.
        """
        now = self._clock.now()

        def job(tx: Tx) -> CampaignView:
            found = require_campaign(tx, id_)
            if found.state is not CampaignState.DRAFT:
                raise Conflict(f"The campaign is {found.state}: only a draft can be changed.")
            self._apply(tx, id_, change, now)
            audit.insert_audit_entry(tx, at=now, who=who, action="campaign_changed", subject=id_)
            return _build_view(tx, require_campaign(tx, id_))

        return await self._database.write(job, urgent=True)

    def _apply(self, tx: Tx, id_: str, change: CampaignChange, now: datetime) -> None:
        columns: dict[str, object] = {}
        if change.name is not None:
            columns["name"] = _clean_name(change.name)
            if campaigns.is_name_taken(tx, str(columns["name"]), except_of=id_):
                raise _build_taken_error(str(columns["name"]))
        if change.session is not None:
            columns["session"] = _require_session(tx, change.session)
        if change.text is not None:
            columns |= _require_version(tx, change.text, change.text_version)
        if change.typed is not None:
            columns["typed"] = change.typed
        if (audience := _choose_audience(tx, change)) is not None:
            columns["audience"] = audience
        if change.ends_at is not None:
            if change.ends_at <= now:
                raise BadRequest("ends_at: it lies in the past.")
            columns["ends_at"] = change.ends_at
        campaigns.update_draft(tx, id_, at=now, **columns)
        if change.left_out is not None:
            campaigns.set_exclusions(tx, id_, change.left_out)

    async def count_audience(self, id_: str) -> AudienceCounts:
        """Return who the campaign's filter finds now. Raises NotFound, BadRequest if too many."""
        now = self._clock.now()

        def read(reader: Reader) -> AudienceCounts:
            campaign = require_campaign(reader, id_)
            found = list_audience(reader, campaign.audience, now, self._region)
            counted = count_audience(
                found,
                left_out=set(campaigns.list_exclusions(reader, id_)),
                members=campaign_people.list_members(reader, id_),
            )
            return AudienceCounts(**counted)

        return await self._database.read(read)

    async def start(self, id_: str, hash_: str, who: str, reason: str) -> CampaignView:
        """Start a draft with the people of its dry run, or add the new ones to a started campaign.

        Raises DryRunMoved where somebody's outlook is another one by now, with the new dry run
        stored; Conflict where the dry run is over, or the campaign is.
        """
        stated = require_reason(reason, hint="Say why it starts; it is recorded in the audit.")
        if await self._runs.is_started_by(id_, hash_):
            return await self.get(id_)  # the same request again, as by a second click
        fresh = await self._runs.repeat(id_, hash_, who)
        now = self._clock.now()

        def job(tx: Tx) -> CampaignView:
            campaign = require_campaign(tx, id_)
            if self._runs.count_moved(tx, fresh) or campaign.changed_at > fresh.at:
                raise DryRunMoved("Somebody moved at this moment. Nothing was started.")
            _start_or_add(tx, campaign, fresh, now, who, stated)
            return _build_view(tx, require_campaign(tx, id_))

        return await self._database.write(job, urgent=True)

    async def pause(self, id_: str, who: str, reason: str) -> CampaignView:
        """Pause a running campaign at once: no further link is shown until a person resumes it."""
        stated, now = require_reason(reason), self._clock.now()

        def job(tx: Tx) -> CampaignView:
            campaign = require_campaign(tx, id_)
            if campaign.state is not CampaignState.RUNNING:
                raise Conflict(f"The campaign is {campaign.state}.")
            campaigns.pause_campaign(tx, id_, at=now, who=who, reason=stated)
            _audit(tx, campaign, "campaign_paused", now, who, stated)
            return _build_view(tx, require_campaign(tx, id_))

        return await self._database.write(job, urgent=True, uses_ballast=True)

    async def resume(self, id_: str, who: str, reason: str) -> CampaignView:
        """Resume a paused campaign. Raises Conflict while the breaker stops its number."""
        stated, now = require_reason(reason), self._clock.now()

        def job(tx: Tx) -> CampaignView:
            campaign = require_campaign(tx, id_)
            number = numbers.find_number(tx, campaign.phone) if campaign.phone else None
            if campaign.breaker_trip is not None and number and number.new_chats_stopped_at:
                raise Conflict(
                    "New chats of this number are stopped.",
                    hint="Resume them first, with a reason: the number's page, or leadmaster"
                    " budgets resume",
                )
            _move(
                tx,
                campaign,
                CampaignEvent.RESUMED,
                now,
                who,
                stated,
                paused_at=None,
                paused_by=None,
                pause_reason=None,
                breaker_trip=None,
            )
            _audit(tx, campaign, "campaign_resumed", now, who, stated)
            campaign_people.finish_if_done(tx, id_, at=now)
            return _build_view(tx, require_campaign(tx, id_))

        return await self._database.write(job, urgent=True)

    async def cancel(self, id_: str, who: str, reason: str) -> CampaignView:
        """Cancel a campaign: nobody else gets anything; whose link was shown is still confirmed."""
        stated, now = require_reason(reason), self._clock.now()

        def job(tx: Tx) -> CampaignView:
            campaign = require_campaign(tx, id_)
            _move(tx, campaign, CampaignEvent.CANCELLED, now, who, stated, ended_at=now)
            _skip_unseen(tx, id_, f"The campaign was cancelled: {stated}", now, who)
            _audit(tx, campaign, "campaign_cancelled", now, who, stated)
            return _build_view(tx, require_campaign(tx, id_))

        return await self._database.write(job, urgent=True)


def require_campaign(reader: Reader, id_: str) -> CampaignRecord:
    """Return a campaign; raise :class:`NotFound`."""
    found = campaigns.get_campaign(reader, id_)
    if found is None:
        raise NotFound(f"There is no campaign {id_}.", hint=_LIST_HINT)
    return found


def _build_view(reader: Reader, campaign: CampaignRecord) -> CampaignView:
    counts = campaign_people.count_campaign_people(reader, campaign.id)
    running = campaign.state is CampaignState.RUNNING
    trip = campaign.breaker_trip
    unseen = CampaignPersonState.QUEUED, CampaignPersonState.WAITING, CampaignPersonState.CLAIMED
    return CampaignView(
        campaign=campaign,
        left_out=campaigns.list_exclusions(reader, campaign.id),
        counts={state.value: n for state, n in counts.items()},
        will_leave=sum(counts[state] for state in unseen) if running else 0,
        on_its_way=sum(counts[state] for state in ON_ITS_WAY_PERSON_STATES),
        breaker=None if trip is None else breaker_trips.get_breaker_trip(reader, trip),
    )


def _move(
    tx: Tx,
    campaign: CampaignRecord,
    event: CampaignEvent,
    at: datetime,
    who: str,
    reason: str,
    **columns: object,
) -> None:
    try:
        campaigns.change_campaign_state(
            tx, campaign.id, event, at=at, who=who, reason=reason, **columns
        )
    except IllegalTransition as refusal:
        raise Conflict(f"The campaign is {campaign.state}.") from refusal


def _start_or_add(
    tx: Tx, campaign: CampaignRecord, fresh: FreshDryRun, now: datetime, who: str, reason: str
) -> None:
    """Start a draft, or add people to a campaign that was started; audit it with the counts."""
    action = "campaign_people_added"
    if campaign.state is CampaignState.DRAFT:
        action = "campaign_started"
        columns = {"started_at": now, "started_by": who, "start_reason": reason}
        _move(tx, campaign, CampaignEvent.STARTED, now, who, reason, **columns)
    elif campaign.state not in STARTED_STATES:
        raise Conflict(f"The campaign is {campaign.state}.")
    _insert_people(tx, campaign.id, fresh, now, who)
    audit.insert_audit_entry(
        tx,
        at=now,
        who=who,
        action=action,
        subject=campaign.id,
        reason=reason,
        detail=dict(Counter(each.outlook for each in fresh.people)),
    )
    campaign_people.finish_if_done(tx, campaign.id, at=now)


def _audit(
    tx: Tx, campaign: CampaignRecord, action: str, at: datetime, who: str, reason: str
) -> None:
    audit.insert_audit_entry(tx, at=at, who=who, action=action, subject=campaign.id, reason=reason)


def _insert_people(tx: Tx, id_: str, fresh: FreshDryRun, now: datetime, who: str) -> None:
    order = (SendOutlook.BY_HAND, SendOutlook.APPROVAL, SendOutlook.LATER, SendOutlook.NO)
    people = sorted(fresh.people, key=lambda each: order.index(SendOutlook(each.outlook)))
    campaign_people.insert_campaign_people(
        tx, id_, [_build_person(each) for each in people], at=now, who=who
    )


def _build_person(found: DryRunPerson) -> NewCampaignPerson:
    state = CampaignPersonState.QUEUED
    if found.outlook == SendOutlook.NO:
        state = CampaignPersonState.LEFT_OUT
    elif is_queued_to_wait(found):
        state = CampaignPersonState.WAITING
    return NewCampaignPerson(
        prospect=found.prospect,
        contact=found.contact,
        state=state,
        reason_code=found.reason_code,
        sentence=found.sentence,
        first_contact=found.first_contact,
    )


def _skip_unseen(tx: Tx, id_: str, sentence: str, at: datetime, who: str) -> None:
    for person in campaign_people.list_unseen_people(tx, id_):
        message = messages.get_message(tx, person.message) if person.message else None
        if message is not None and message.state in CANCELLABLE_STATES:
            messages.transition_message(
                tx,
                message.id,
                MessageState.CANCELLED,
                at=at,
                reason_code="campaign_cancelled",
                sentence=sentence,
                who=who,
            )
            continue
        campaign_people.change_person_state(
            tx,
            person.id,
            CampaignPersonEvent.SKIPPED,
            at=at,
            who=who,
            reason_code="campaign_cancelled",
            sentence=sentence,
        )


def withhold_searched_text(view: CampaignView) -> CampaignView:
    """Return a campaign as it is shown to whoever may not read prospects."""
    kept = drop_searched_text(view.campaign.audience)
    if kept == view.campaign.audience:
        return view
    campaign = structs.replace(view.campaign, audience=kept)
    return structs.replace(view, campaign=campaign, withheld=["audience.text"])


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise BadRequest(f"name: it must have 1 to {MAX_NAME_LENGTH} letters, on one line.")
    return name


def _build_taken_error(name: str) -> Conflict:
    return Conflict(f"There is a campaign named {name} already.", hint=_LIST_HINT)


def _choose_audience(reader: Reader, change: CampaignChange) -> Mapping[str, str] | None:
    """Return the filter that a change gives, typed or saved; None where it gives none."""
    if change.saved_filter is None:
        return None if change.audience is None else format_filter(change.audience)
    if change.audience is not None:
        raise BadRequest("Give audience or saved_filter: one of the two.")
    # A copy: whoever changes or deletes the saved filter later changes no campaign.
    return require_saved_filter(reader, change.saved_filter).filter


def _require_session(reader: Reader, name: str) -> str | None:
    if not name:
        return None
    if sessions.get_session(reader, name) is None:
        raise BadRequest(f"session: there is no session {name!r}.")
    return name


def _require_version(reader: Reader, text: str, version: int | None) -> dict[str, object]:
    if not text:
        return {"text": None, "text_version": None}
    found = texts.get_text(reader, text)
    known = {each.version for each in found.versions} if found else set()
    wanted = version or max(known, default=0)
    if wanted not in known:
        raise BadRequest(f"text: there is no version {wanted} of the text {text}.")
    return {"text": text, "text_version": wanted}
