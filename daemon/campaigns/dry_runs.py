"""Dry runs: what a campaign would do for each of its people, by the code of the send itself."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Final

from msgspec import Struct, structs

from daemon.api.clock import Clock
from daemon.campaigns.audience import list_audience
from daemon.campaigns.pace import DryRunPace, build_pace, compute_pace
from daemon.campaigns.person_texts import CampaignRequest, CampaignTexts
from daemon.errors import Conflict, LeadMasterError, NotFound
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.message_check import ListedCheck, MessageCheck, SendOutlook
from daemon.outbox.pacing import Pacing
from daemon.rulesets.active import ActiveRulesets
from statemachines.campaign import STARTED_STATES, CampaignState
from storage import campaign_people, campaigns, contacts, dry_runs
from storage.campaigns import CampaignRecord
from storage.db import Database
from storage.dry_runs import (
    DryRunChange,
    DryRunGroup,
    DryRunPerson,
    DryRunRecord,
    ListedDryRunPerson,
)
from storage.evaluation_context import read_session_context
from storage.prospect_search import ProspectDirectoryEntry
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx

VALID_FOR: Final = timedelta(minutes=30)
"""How long a start may rest on a dry run."""
MISSING_VALUE: Final = "missing_value"
_BATCH_SIZE: Final = 500
_SHOWN_NAMES: Final = 5


class DryRunAction(StrEnum):
    """The one action that changes what would become of a person."""

    NONE = "none"
    WAIT = "wait"
    APPROVE = "approve"
    CHECK_NUMBER = "check_number"
    VALIDATE_NUMBER = "validate_number"
    RECORD_CONSENT = "record_consent"
    CORRECT_PERSON = "correct_person"
    CHANGE_TEXT = "change_text"
    IMPORT_REGISTER = "import_register"
    ACKNOWLEDGE_BAN = "acknowledge_ban"


_ACTIONS: Final[Mapping[str, DryRunAction]] = MappingProxyType(
    {
        "not_checked_yet": DryRunAction.CHECK_NUMBER,
        "still_unknown": DryRunAction.VALIDATE_NUMBER,
        "phone_linked_recently": DryRunAction.VALIDATE_NUMBER,
        "no_phone_checks": DryRunAction.VALIDATE_NUMBER,
        "not_validated_yet": DryRunAction.VALIDATE_NUMBER,
        "hard_limit_not_validated": DryRunAction.VALIDATE_NUMBER,
        "not_valid": DryRunAction.CORRECT_PERSON,
        "hard_limit_not_reachable": DryRunAction.CORRECT_PERSON,
        "number_rejected": DryRunAction.CORRECT_PERSON,
        MISSING_VALUE: DryRunAction.CORRECT_PERSON,
        "no_permission": DryRunAction.RECORD_CONSENT,
        "hard_limit_no_permission": DryRunAction.RECORD_CONSENT,
        "duplicate": DryRunAction.CHANGE_TEXT,
        "link_to_a_stranger": DryRunAction.CHANGE_TEXT,
        "bad_request": DryRunAction.CHANGE_TEXT,
        "register_too_old": DryRunAction.IMPORT_REGISTER,
        "number_banned": DryRunAction.ACKNOWLEDGE_BAN,
    }
)
"""By reason code; else approvals wait for a person, waits for their end, and a no is final."""
_NUMBER_ACTIONS: Final = frozenset({DryRunAction.CHECK_NUMBER, DryRunAction.VALIDATE_NUMBER})


class DryRunMoved(LeadMasterError):
    """What would become of somebody has changed since the dry run; nothing was started."""

    code = "dry_run_moved"
    status = 409
    hint = "Look at who moved in the new dry run, and start again if it is all right."

    def __init__(self, sentence: str, *, unnamed: str = "") -> None:
        """Store the sentence, and the one without names where ``sentence`` has some."""
        super().__init__(sentence)
        self._unnamed = unnamed or sentence

    def withhold_names(self) -> DryRunMoved:
        """Return the error for a caller who may not read prospects."""
        return DryRunMoved(self._unnamed)


class OptedOutSince(Struct, frozen=True, kw_only=True):
    """Who opted out since the dry run of ``at``: how many, and the first names."""

    at: datetime
    count: int
    names: Sequence[str]


class DryRunView(Struct, frozen=True, kw_only=True):
    """A dry run with its counts, which add up to ``total``.

    It is ``valid`` for half an hour, or until a fact moves: ``stale_reason`` says what did.
    ``moved`` are those whose outlook is another one than in the dry run before. ``withheld`` names
    what is left out for a caller who may not read prospects: ``moved.name`` and
    ``opted_out_since.names``.
    """

    id: str
    at: datetime
    who: str
    hash: str
    valid: bool
    valid_until: datetime
    stale_reason: str
    total: int
    outlooks: Mapping[str, int]
    groups: Sequence[DryRunGroup]
    pace: DryRunPace
    opted_out_since: OptedOutSince | None
    moved: Sequence[DryRunChange]
    withheld: Sequence[str] = ()


class FreshDryRun(Struct, frozen=True):
    """A dry run that was just made, and is not stored."""

    at: datetime
    hash: str
    ruleset: str
    people: Sequence[DryRunPerson]
    pace: DryRunPace


class CampaignDryRuns:
    """Makes, stores and compares dry runs; `MessageCheck` judges each person as a send does."""

    def __init__(
        self,
        database: Database,
        check: MessageCheck,
        pacing: Pacing,
        rulesets: ActiveRulesets,
        clock: Clock,
        default_region: str,
    ) -> None:
        self._database = database
        self._check = check
        self._pacing = pacing
        self._rulesets = rulesets
        self._clock = clock
        self._region = default_region
        self._one_at_a_time = asyncio.Lock()

    async def run(self, id_: str, who: str) -> DryRunView:
        """Make a dry run and return it: of all, or of the new people of a started campaign.

        Raises NotFound, and Conflict where the draft has no phone or no text.
        """
        async with self._one_at_a_time:
            await self._store(id_, await self._make(id_, who), who)
        return await self.get(id_)

    async def repeat(self, id_: str, hash_: str, who: str) -> FreshDryRun:
        """Make the latest dry run again, and return it if it has this hash still.

        Raises Conflict for another one or one that is over, and DryRunMoved with the new one stored
        where somebody moved.
        """
        async with self._one_at_a_time:
            found = await self._database.read(lambda reader: dry_runs.list_dry_runs(reader, id_))
            if not found or found[0].hash != hash_:
                raise Conflict(
                    "There is another dry run by now. Nothing was started.",
                    hint="Look at its counts, and start by these.",
                )
            if found[0].at + VALID_FOR <= self._clock.now():
                raise Conflict(
                    "The dry run is older than 30 minutes. Nothing was started.",
                    hint="Repeat it, and start by its counts.",
                )
            fresh = await self._make(id_, who)
            if fresh.hash == hash_:
                return fresh
            await self._store(id_, fresh, who)
        raise await self._describe_move(id_)

    async def is_started_by(self, id_: str, hash_: str) -> bool:
        """Return whether the latest dry run has this hash, and its people are in the campaign."""

        def read(reader: Reader) -> bool:
            campaign = campaigns.get_campaign(reader, id_)
            latest = next(iter(dry_runs.list_dry_runs(reader, id_)), None)
            if campaign is None or campaign.started_at is None or latest is None:
                return False
            return latest.hash == hash_ and dry_runs.are_all_in_campaign(reader, latest.id)

        return await self._database.read(read)

    async def get(self, id_: str) -> DryRunView:
        """Return the latest dry run of a campaign. Raises NotFound where there is none."""
        return await self._database.read(lambda reader: self._build_view(reader, id_))

    async def list_people(
        self, id_: str, *, outlook: str, reason_code: str, after: str, limit: int
    ) -> list[ListedDryRunPerson]:
        """Return the people behind one of the numbers of the latest dry run."""

        def read(reader: Reader) -> list[ListedDryRunPerson]:
            latest = _require_dry_run(reader, id_)[0]
            return dry_runs.list_dry_run_people(
                reader,
                latest.id,
                outlook=outlook,
                reason_code=reason_code,
                after=after,
                limit=limit,
            )

        return await self._database.read(read)

    def count_moved(self, reader: Reader, fresh: FreshDryRun) -> int:
        """Return of how many people of a dry run facts have changed since it was made."""
        revisions = contacts.list_contact_revisions(reader, [each.contact for each in fresh.people])
        return sum(revisions.get(each.contact) != each.revision for each in fresh.people)

    async def _make(self, id_: str, who: str) -> FreshDryRun:
        at = self._clock.now()
        campaign, found = await self._database.read(
            lambda reader: _read_people(reader, id_, at, self._region)
        )
        requests: list[CampaignRequest] = []
        for start in range(0, len(found), _BATCH_SIZE):
            requests += await self._database.read(
                partial(_build_requests, campaign, found[start : start + _BATCH_SIZE], who)
            )
        sendable = [each for each in requests if isinstance(each, SendRequest)]
        checks = iter(await self._check.check_by_hand(sendable))
        lacking = [
            entry.prospect.contact
            for entry, request in zip(found, requests, strict=True)
            if not isinstance(request, SendRequest)
        ]
        revisions = await self._database.read(
            lambda reader: contacts.list_contact_revisions(reader, lacking)
        )
        people = [
            _build_person(entry.prospect, next(checks))
            if isinstance(request, SendRequest)
            else _build_lacking(entry, request, revisions)
            for entry, request in zip(found, requests, strict=True)
        ]
        pace = await self._database.read(partial(self._compute_pace, campaign, people, at))
        return FreshDryRun(
            at,
            _hash(campaign, people),
            self._rulesets.compiled.gate.ruleset.hash,
            people,
            pace,
        )

    async def _store(self, id_: str, fresh: FreshDryRun, who: str) -> None:
        pace = fresh.pace

        def begin(tx: Tx) -> str:
            return dry_runs.insert_dry_run(
                tx,
                id_,
                at=fresh.at,
                who=who,
                ruleset=fresh.ruleset,
                per_day=pace.per_day,
                left_today=pace.left_today,
                days=pace.days,
                hash_=fresh.hash,
            )

        dry_run = await self._database.write(begin)
        # In pieces, so that an opt-out never waits for ten thousand rows.
        for start in range(0, len(fresh.people), _BATCH_SIZE):
            batch = fresh.people[start : start + _BATCH_SIZE]
            await self._database.write(
                partial(dry_runs.insert_dry_run_people, dry_run=dry_run, people=batch)
            )
        now = self._clock.now()
        await self._database.write(lambda tx: dry_runs.finish_dry_run(tx, dry_run, id_, at=now))

    async def _describe_move(self, id_: str) -> DryRunMoved:
        view = await self.get(id_)
        names = ", ".join(each.name or each.prospect for each in view.moved[:_SHOWN_NAMES])
        if not view.moved:
            return DryRunMoved("The people are others by now. Nothing was started.")
        return DryRunMoved(
            f"Since the dry run, {len(view.moved)} moved: {names}. Nothing was started.",
            unnamed=f"Since the dry run, {len(view.moved)} moved. Nothing was started.",
        )

    def _build_view(self, reader: Reader, id_: str) -> DryRunView:
        latest, *earlier = _require_dry_run(reader, id_)
        groups = dry_runs.group_dry_run_people(reader, latest.id)
        counts: Counter[str] = Counter()
        for group in groups:
            counts[group.outlook] += group.count
        outlooks = [each for each in SendOutlook if each is not SendOutlook.NOW]
        changes = [
            change
            for each in earlier
            for change in dry_runs.list_dry_run_changes(reader, latest.id, each.id)
        ]
        gone = [each for each in changes if each.opted_out]
        stale = self._find_stale_reason(reader, latest)
        return DryRunView(
            id=latest.id,
            at=latest.at,
            who=latest.who,
            hash=latest.hash,
            valid=not stale,
            valid_until=latest.at + VALID_FOR,
            stale_reason=stale,
            total=sum(counts.values()),
            outlooks={each.value: counts[each] for each in outlooks},
            groups=groups,
            pace=build_pace(
                dry_runs.count_first_contacts(reader, latest.id),
                latest.per_day,
                latest.left_today,
                latest.days,
            ),
            opted_out_since=OptedOutSince(
                at=earlier[0].at, count=len(gone), names=[each.name for each in gone[:_SHOWN_NAMES]]
            )
            if gone
            else None,
            moved=changes,
        )

    def _compute_pace(
        self,
        campaign: CampaignRecord,
        people: Sequence[DryRunPerson],
        at: datetime,
        reader: Reader,
    ) -> DryRunPace:
        wanted = sum(each.first_contact and each.outlook == SendOutlook.BY_HAND for each in people)
        session = read_session_context(reader, campaign.session or "", at)
        return compute_pace(reader, self._pacing, session, wanted, at)

    def _find_stale_reason(self, reader: Reader, latest: DryRunRecord) -> str:
        campaign = campaigns.get_campaign(reader, latest.campaign)
        if latest.at + VALID_FOR <= self._clock.now():
            return "It is older than 30 minutes."
        if campaign is not None and campaign.changed_at > latest.at:
            return "The campaign was changed since."
        if latest.ruleset != self._rulesets.compiled.gate.ruleset.hash:
            return "The rules were changed since."
        moved = dry_runs.count_moved_people(reader, latest.id)
        return f"Of {moved} people something has changed since." if moved else ""


def withhold_names(view: DryRunView) -> DryRunView:
    """Return a dry run as it is shown to a caller who may not read prospects."""
    gone, withheld = view.opted_out_since, []
    if any(each.name for each in view.moved):
        withheld.append("moved.name")
    if gone and gone.names:
        withheld.append("opted_out_since.names")
        gone = structs.replace(gone, names=[])
    moved = [structs.replace(each, name="") for each in view.moved]
    return structs.replace(view, moved=moved, opted_out_since=gone, withheld=withheld)


def is_queued_to_wait(person: DryRunPerson) -> bool:
    """Return whether a person's message is stored at the start, for an approval or a check."""
    if person.outlook == SendOutlook.APPROVAL:
        return True
    return person.outlook == SendOutlook.LATER and person.action in _NUMBER_ACTIONS


def _require_dry_run(reader: Reader, id_: str) -> list[DryRunRecord]:
    found = dry_runs.list_dry_runs(reader, id_)
    if not found:
        raise NotFound("There is no dry run of it yet.", hint="Make one: leadmaster campaigns try")
    return found


def _read_people(
    reader: Reader, id_: str, at: datetime, region: str
) -> tuple[CampaignRecord, list[ProspectDirectoryEntry]]:
    """Return the campaign and its people who are not in it yet, the oldest first."""
    campaign = campaigns.get_campaign(reader, id_)
    if campaign is None:
        raise NotFound(f"There is no campaign {id_}.")
    if campaign.state is not CampaignState.DRAFT and campaign.state not in STARTED_STATES:
        raise Conflict(f"The campaign is {campaign.state}.")
    if campaign.session is None:
        raise Conflict("The campaign has no phone yet.", hint="Choose whose phone writes.")
    if campaign.text is None and not campaign.typed.strip():
        raise Conflict("The campaign has no text yet.", hint="Choose a text, or type one.")
    skipped = {*campaigns.list_exclusions(reader, id_), *campaign_people.list_members(reader, id_)}
    found = list_audience(reader, campaign.audience, at, region)
    return campaign, [each for each in found if each.prospect.id not in skipped]


def _build_requests(
    campaign: CampaignRecord, found: Sequence[ProspectDirectoryEntry], who: str, reader: Reader
) -> list[CampaignRequest]:
    builder = CampaignTexts(reader, campaign)
    return [builder.build_request(reader, each.prospect, who) for each in found]


def _build_person(prospect: ProspectRecord, check: ListedCheck) -> DryRunPerson:
    return DryRunPerson(
        prospect=prospect.id,
        contact=prospect.contact,
        outlook=check.outlook.value,
        reason_code=check.reason_code,
        sentence=check.sentence,
        action=_choose_action(check).value,
        first_contact=check.first_contact,
        suppressed=check.suppressed,
        revision=check.revision,
    )


def _build_lacking(
    entry: ProspectDirectoryEntry, missing: Sequence[str], revisions: Mapping[str, int]
) -> DryRunPerson:
    """Return a person who lacks a value of the text; an opt-out is the better reason."""
    prospect = entry.prospect
    check = ListedCheck(
        outlook=SendOutlook.NO,
        reason_code=campaign_people.SUPPRESSED if entry.suppressed else MISSING_VALUE,
        sentence="They are on the opt-out list"
        if entry.suppressed
        else f"They have no {', '.join(missing)}, so this text leaves them out.",
        suppressed=entry.suppressed,
        revision=revisions.get(prospect.contact, 0),
    )
    return _build_person(prospect, check)


def _choose_action(check: ListedCheck) -> DryRunAction:
    if check.outlook is SendOutlook.BY_HAND:
        return DryRunAction.NONE
    if check.outlook is SendOutlook.APPROVAL:
        return _ACTIONS.get(check.reason_code, DryRunAction.APPROVE)
    waits = check.outlook is SendOutlook.LATER
    return _ACTIONS.get(check.reason_code, DryRunAction.WAIT if waits else DryRunAction.NONE)


def _hash(campaign: CampaignRecord, people: Sequence[DryRunPerson]) -> str:
    """Return a hash of what would be written, from which phone, and what becomes of each."""
    head = f"{campaign.id} {campaign.session} {campaign.text}@{campaign.text_version}"
    lines = sorted(f"{each.prospect} {each.outlook} {each.reason_code}" for each in people)
    text = "\n".join([head, campaign.typed, *lines])
    return hashlib.sha256(text.encode()).hexdigest()
