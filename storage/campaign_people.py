"""The table `campaign_people`: each person of a started campaign, and what became of them.

A person's state follows that of their one message, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.campaign import (
    EVENT_BY_MESSAGE_STATE,
    FINAL_PERSON_STATES,
    UNSEEN_PERSON_STATES,
    CampaignEvent,
    CampaignPersonEvent,
    CampaignPersonMachine,
    CampaignPersonState,
    CampaignState,
)
from statemachines.machine import fire_event, list_accepted_events, restore_machine
from statemachines.message import MessageState
from storage.campaigns import change_campaign_state
from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id
from storage.sql_text import format_sql_list
from storage.suppressions import IS_CONTACT_SUPPRESSED

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx

_KEY_PREFIX: Final = "campaign:"
SUPPRESSED: Final = "suppressed"
"""The reason code of what is cancelled because the contact opted out."""
_UNSEEN: Final = format_sql_list(UNSEEN_PERSON_STATES)
_OPEN: Final = format_sql_list(frozenset(CampaignPersonState) - FINAL_PERSON_STATES)
_IS_SUPPRESSED: Final = IS_CONTACT_SUPPRESSED.format(contact="r.contact")
_SELECT: Final = (
    f"SELECT r.*, p.name, p.phone, {_IS_SUPPRESSED} AS suppressed, m.text"
    " FROM campaign_people AS r LEFT JOIN prospects AS p ON p.id = r.prospect"
    " LEFT JOIN messages AS m ON m.id = r.message"
)


class CampaignPerson(Struct, frozen=True, kw_only=True):
    """A person in a campaign. ``text`` is what they get, once their message is stored.

    ``suppressed``: they opted out; an operator who has them opened must not send.
    """

    id: str
    campaign: str
    prospect: str
    contact: str
    name: str
    phone: str
    place: int
    state: CampaignPersonState
    reason_code: str
    sentence: str
    first_contact: bool
    message: str | None
    text: str
    claimed_by: str | None
    lease_until: datetime | None
    not_before: datetime | None
    opened_at: datetime | None
    changed_at: datetime
    suppressed: bool

    @property
    def message_key(self) -> str:
        """Return the idempotency key of their one message."""
        return f"{_KEY_PREFIX}{self.id}"

    def __repr__(self) -> str:
        """Keep name, number and text out of logs."""
        return f"CampaignPerson({self.id!r}, {self.state.value})"


class NewCampaignPerson(Struct, frozen=True, kw_only=True):
    """A person as the dry run at the start found them."""

    prospect: str
    contact: str
    state: CampaignPersonState
    reason_code: str
    sentence: str
    first_contact: bool


class CampaignPersonStateEvent(Struct, frozen=True):
    """The event of a person's change, as stored; `CampaignPersonChanged` is its public form."""

    at: datetime
    subject: str
    data: Mapping[str, object]
    type: str = "campaign.person_changed"


def insert_campaign_people(
    tx: Tx, campaign: str, people: Sequence[NewCampaignPerson], *, at: datetime, who: str
) -> None:
    """Store people behind those that the campaign has; those who are in it already stay."""
    place: int = tx.value(
        "SELECT coalesce(max(place), 0) FROM campaign_people WHERE campaign = ?", (campaign,)
    )
    now = format_timestamp(at)
    tx.execute_many(
        "INSERT INTO campaign_people (id, campaign, prospect, contact, place, state, reason_code,"
        " sentence, first_contact, changed_at, changed_by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (campaign, prospect) DO NOTHING",
        (
            (
                *(new_id("cpe", at), campaign, each.prospect, each.contact, place + n),
                *(each.state.value, each.reason_code, each.sentence, int(each.first_contact)),
                *(now, who),
            )
            for n, each in enumerate(people, start=1)
        ),
    )


def find_campaign_person(reader: Reader, campaign: str, prospect: str) -> CampaignPerson | None:
    """Return a person of a campaign by their prospect's id, or None."""
    row = reader.one(f"{_SELECT} WHERE r.campaign = ? AND r.prospect = ?", (campaign, prospect))
    return None if row is None else _person_from_row(row)


def require_campaign_person(reader: Reader, id_: str) -> CampaignPerson:
    """Return a person who must exist. Raises KeyError, a defect of the caller, otherwise."""
    row = reader.one(f"{_SELECT} WHERE r.id = ?", (id_,))
    if row is None:
        raise KeyError(id_)
    return _person_from_row(row)


def find_claimed_person(reader: Reader, campaign: str, who: str) -> CampaignPerson | None:
    """Return the person that an operator has claimed or opened in a campaign, or None."""
    row = reader.one(
        f"{_SELECT} WHERE r.campaign = ? AND r.claimed_by = ? AND r.state IN"
        f" ('{CampaignPersonState.CLAIMED}', '{CampaignPersonState.OPENED}') LIMIT 1",
        (campaign, who),
    )
    return None if row is None else _person_from_row(row)


def find_next_person(
    reader: Reader, campaign: str, *, at: datetime, new_chats: bool
) -> CampaignPerson | None:
    """Return whose turn it is, or None; without ``new_chats``, of those who are known to us."""
    row = reader.one(
        f"{_SELECT} WHERE r.campaign = :campaign AND r.state = '{CampaignPersonState.QUEUED}'"
        " AND (r.not_before IS NULL OR r.not_before <= :at)"
        " AND (:new_chats OR r.first_contact = 0) ORDER BY r.place LIMIT 1",
        {"campaign": campaign, "at": format_timestamp(at), "new_chats": new_chats},
    )
    return None if row is None else _person_from_row(row)


def list_campaign_people(
    reader: Reader,
    campaign: str,
    *,
    states: Sequence[CampaignPersonState] = (),
    condition: str = "TRUE",
    after: int = 0,
    limit: int = 50,
) -> list[CampaignPerson]:
    """Return people in the order of their turns, past the place ``after``.

    ``condition`` is SQL of this package over the row ``r``.
    """
    chosen = f"r.state IN {format_sql_list(states)}" if states else "TRUE"
    rows = reader.all(
        f"{_SELECT} WHERE r.campaign = ? AND r.place > ? AND {chosen} AND ({condition})"
        " ORDER BY r.place LIMIT ?",
        (campaign, after, limit),
    )
    return [_person_from_row(row) for row in rows]


def count_campaign_people(reader: Reader, campaign: str) -> dict[CampaignPersonState, int]:
    """Return how many people are in each state, with 0 for the others."""
    rows = reader.all(
        "SELECT state, count(*) AS n FROM campaign_people WHERE campaign = ? GROUP BY state",
        (campaign,),
    )
    found = {row["state"]: row["n"] for row in rows}
    return {state: found.get(state, 0) for state in CampaignPersonState}


def find_next_wait(reader: Reader, campaign: str, at: datetime) -> datetime | None:
    """Return the earliest moment at which somebody's turn comes, or None."""
    found = reader.value(
        "SELECT min(not_before) FROM campaign_people WHERE campaign = ? AND not_before > ?"
        f" AND state = '{CampaignPersonState.QUEUED}'",
        (campaign, format_timestamp(at)),
    )
    return parse_timestamp(found) if found else None


def change_person_state(
    tx: Tx,
    id_: str,
    event: CampaignPersonEvent,
    *,
    at: datetime,
    who: str,
    reason_code: str = "",
    sentence: str = "",
    **columns: object,
) -> CampaignPersonState:
    """Move a person by an event, set ``columns`` with it, and return the new state.

    The campaign is finished with its last person. Raises IllegalTransition where the state does
    not accept the event.
    """
    row = tx.one("SELECT * FROM campaign_people WHERE id = ?", (id_,))
    if row is None:
        raise KeyError(id_)
    state = fire_event(restore_machine(CampaignPersonMachine, row["state"]), event)
    changes: dict[str, object] = {
        "state": state.value,
        "reason_code": reason_code,
        "sentence": sentence,
        "changed_at": at,
        "changed_by": who,
        **_reset_columns(state),
        **columns,
    }
    assignments = ", ".join(f"{name} = ?" for name in changes)
    values = [format_timestamp(v) if isinstance(v, datetime) else v for v in changes.values()]
    tx.execute(f"UPDATE campaign_people SET {assignments} WHERE id = ?", [*values, id_])
    event_data = {"state": state.value, "previous": row["state"], "prospect": row["prospect"]}
    event_data |= {"reason_code": reason_code, "sentence": sentence}
    tx.emit(CampaignPersonStateEvent(at, row["campaign"], event_data))
    if state in FINAL_PERSON_STATES:
        finish_if_done(tx, row["campaign"], at=at)
    return state


def _reset_columns(state: CampaignPersonState) -> dict[str, object]:
    """Return the columns that do not belong to a state, empty."""
    changes: dict[str, object] = {}
    if state not in {CampaignPersonState.CLAIMED, CampaignPersonState.OPENED}:
        changes["lease_until"] = None
    if state in UNSEEN_PERSON_STATES - {CampaignPersonState.CLAIMED}:
        changes["claimed_by"] = None
    return changes


def finish_if_done(tx: Tx, campaign: str, *, at: datetime) -> None:
    """Finish a started campaign of which every person is final."""
    open_ = tx.value(
        f"SELECT 1 FROM campaign_people WHERE campaign = ? AND state IN {_OPEN} LIMIT 1",
        (campaign,),
    )
    state = tx.value("SELECT state FROM campaigns WHERE id = ?", (campaign,))
    if open_ is None and state in {CampaignState.RUNNING, CampaignState.PAUSED}:
        change_campaign_state(
            tx, campaign, CampaignEvent.FINISHED, at=at, who="campaign", ended_at=at
        )


class FollowedMessage(Struct, frozen=True, kw_only=True):
    """A message that has just moved from ``previous``, None for a new one, and who moved it."""

    id: str
    key: str
    state: MessageState
    previous: MessageState | None
    at: datetime
    who: str
    reason_code: str
    sentence: str
    taken_by: str | None
    lease_until: datetime | None


def is_message_key(key: str | None) -> bool:
    """Return whether an idempotency key is that of a campaign's message."""
    return key is not None and key.startswith(_KEY_PREFIX)


def follow_message(tx: Tx, message: FollowedMessage) -> None:
    """Move the person whose message this is."""
    row = tx.one(
        "SELECT id, state FROM campaign_people WHERE id = ?",
        (message.key.removeprefix(_KEY_PREFIX),),
    )
    if row is None:
        return
    if message.previous is None:
        tx.execute("UPDATE campaign_people SET message = ? WHERE id = ?", (message.id, row["id"]))
        return
    event = _find_event(message.state, message.previous, row["state"], message.reason_code)
    # What a person's state does not accept changes nothing: a final one stays as it is.
    if event is None or event not in list_accepted_events(CampaignPersonMachine, row["state"]):
        return
    columns: dict[str, object] = {}
    if event is CampaignPersonEvent.CLAIMED:
        columns = {"claimed_by": message.taken_by, "lease_until": message.lease_until}
    elif event is CampaignPersonEvent.OPENED:
        columns = {"opened_at": message.at}
    change_person_state(
        tx,
        row["id"],
        event,
        at=message.at,
        who=message.who,
        reason_code=message.reason_code,
        sentence=message.sentence,
        **columns,
    )


def _find_event(
    state: MessageState, previous: MessageState, person_state: str, reason_code: str
) -> CampaignPersonEvent | None:
    if state is MessageState.CLEARED:
        # Just judged, in the hands of the operator whose turn it is: the take comes next.
        judged_in_hand = (
            previous is MessageState.QUEUED and person_state == CampaignPersonState.CLAIMED
        )
        return None if judged_in_hand else CampaignPersonEvent.FREED
    if state is MessageState.CANCELLED and reason_code == SUPPRESSED:
        return CampaignPersonEvent.OPTED_OUT
    return EVENT_BY_MESSAGE_STATE.get(state)


def withdraw_contact(
    tx: Tx,
    contact: str,
    *,
    at: datetime,
    reason_code: str,
    sentence: str,
    who: str,
    started_by: datetime | None,
) -> None:
    """Take somebody out of the queue of every campaign; whose link was shown stays.

    With ``started_by``, of campaigns that were started by then alone.
    """
    rows = tx.all(
        "SELECT r.id FROM campaign_people AS r JOIN campaigns AS c ON c.id = r.campaign"
        f" WHERE r.contact = :contact AND r.state IN {_UNSEEN}"
        " AND (:by IS NULL OR c.started_at <= :by)",
        {"contact": contact, "by": started_by and format_timestamp(started_by)},
    )
    opted_out = reason_code == SUPPRESSED
    event = CampaignPersonEvent.OPTED_OUT if opted_out else CampaignPersonEvent.SKIPPED
    for row in rows:
        change_person_state(
            tx, row["id"], event, at=at, who=who, reason_code=reason_code, sentence=sentence
        )


def find_stopped_campaign(reader: Reader, message: str) -> str | None:
    """Return the name of a message's campaign where that does not run now, or None."""
    name: str | None = reader.value(
        "SELECT c.name FROM campaign_people AS r JOIN campaigns AS c ON c.id = r.campaign"
        f" WHERE r.message = ? AND c.state <> '{CampaignState.RUNNING}'",
        (message,),
    )
    return name


def list_people_to_submit(reader: Reader, campaign: str, limit: int) -> list[CampaignPerson]:
    """Return who waits for an approval or a check, and has no message for it yet."""
    return list_campaign_people(
        reader,
        campaign,
        states=[CampaignPersonState.WAITING],
        condition="r.message IS NULL",
        limit=limit,
    )


def list_members(reader: Reader, campaign: str) -> set[str]:
    """Return the prospects of everybody in a campaign."""
    rows = reader.all("SELECT prospect FROM campaign_people WHERE campaign = ?", (campaign,))
    return {row["prospect"] for row in rows}


def list_withdrawn_people(
    reader: Reader, campaign: str, operator: str, *, since: datetime
) -> list[CampaignPerson]:
    """Return who opted out lately while an operator had them."""
    rows = reader.all(
        f"{_SELECT} WHERE r.campaign = ? AND r.state = '{CampaignPersonState.OPTED_OUT}'"
        " AND r.claimed_by = ? AND r.changed_at >= ? ORDER BY r.place",
        (campaign, operator, format_timestamp(since)),
    )
    return [_person_from_row(row) for row in rows]


def list_unseen_people(reader: Reader, campaign: str) -> list[CampaignPerson]:
    """Return everybody who was certainly not written to, and still would be."""
    return list_campaign_people(reader, campaign, states=sorted(UNSEEN_PERSON_STATES), limit=-1)


def free_stale_claims(tx: Tx, campaign: str, at: datetime) -> None:
    """Put back people whose claim is over and whose message nobody has taken."""
    rows = tx.all(
        "SELECT id FROM campaign_people WHERE campaign = ? AND lease_until <= ?"
        f" AND state = '{CampaignPersonState.CLAIMED}'",
        (campaign, format_timestamp(at)),
    )
    for row in rows:
        change_person_state(
            tx,
            row["id"],
            CampaignPersonEvent.FREED,
            at=at,
            who="clock",
            reason_code="lease_over",
            sentence="Nobody finished it in time; it is back in the queue.",
        )


def _person_from_row(row: sqlite3.Row) -> CampaignPerson:
    def moment(name: str) -> datetime | None:
        return parse_timestamp(row[name]) if row[name] else None

    return CampaignPerson(
        id=row["id"],
        campaign=row["campaign"],
        prospect=row["prospect"],
        contact=row["contact"],
        name=row["name"] or "",
        phone=row["phone"] or "",
        place=row["place"],
        state=CampaignPersonState(row["state"]),
        reason_code=row["reason_code"],
        sentence=row["sentence"],
        first_contact=bool(row["first_contact"]),
        message=row["message"],
        text=row["text"] or "",
        claimed_by=row["claimed_by"],
        lease_until=moment("lease_until"),
        not_before=moment("not_before"),
        opened_at=moment("opened_at"),
        changed_at=parse_timestamp(row["changed_at"]),
        suppressed=bool(row["suppressed"]),
    )
