"""The tables `campaigns` and `campaign_exclusions`: lists of people that are worked by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.campaign import STARTED_STATES, CampaignEvent, CampaignMachine, CampaignState
from statemachines.machine import fire_event, restore_machine
from storage.column_formats import encode_json, format_timestamp, parse_timestamp
from storage.connections import fold_text
from storage.ids import new_id
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx

BREAKER_ACTOR: Final = "breaker"
"""Who paused a campaign because the breaker stopped the new chats of its number."""
_TIME_COLUMNS: Final = frozenset(
    {"ends_at", "created_at", "changed_at", "started_at", "paused_at", "ended_at"}
)


class CampaignRecord(Struct, frozen=True, kw_only=True):
    """A campaign as stored. ``audience`` is the filter of its prospects.

    ``text`` with ``text_version``, or else ``typed``, is what is written. ``session`` is the one
    whose phone writes, with its number in ``phone``. A draft may lack any of them.
    """

    id: str
    name: str
    state: CampaignState
    session: str | None
    phone: str | None
    text: str | None
    text_version: int | None
    typed: str
    audience: Mapping[str, str]
    ends_at: datetime | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    started_at: datetime | None
    started_by: str | None
    start_reason: str | None
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    breaker_trip: int | None
    ended_at: datetime | None

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"CampaignRecord({self.id!r}, {self.state.value})"


class CampaignStateEvent(Struct, frozen=True):
    """The event of a change, as stored; `CampaignChanged` is its public form."""

    at: datetime
    subject: str
    data: Mapping[str, object]
    type: str = "campaign.changed"


_SELECT: Final = (
    "SELECT c.*, s.phone FROM campaigns AS c LEFT JOIN sessions AS s ON s.name = c.session"
)


def insert_campaign(tx: Tx, name: str, *, at: datetime, who: str) -> str | None:
    """Store an empty draft and return its id; None where there is a campaign of this name."""
    id_, now = new_id("cmp", at), format_timestamp(at)
    done = tx.execute(
        "INSERT INTO campaigns (id, name, folded_name, state, created_at, created_by, changed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (folded_name) DO NOTHING",
        (id_, name, fold_text(name), CampaignState.DRAFT, now, who, now),
    )
    return id_ if done.rowcount else None


def is_name_taken(reader: Reader, name: str, *, except_of: str) -> bool:
    """Return whether another campaign has this name, however it is written."""
    found = reader.value(
        "SELECT 1 FROM campaigns WHERE folded_name = ? AND id <> ?", (fold_text(name), except_of)
    )
    return found is not None


def update_draft(tx: Tx, id_: str, *, at: datetime, **columns: object) -> None:
    """Set columns of a draft, among them ``audience`` as a mapping and ``name``."""
    changes = dict(columns) | {"changed_at": at}
    if "name" in changes:
        changes["folded_name"] = fold_text(str(changes["name"]))
    assignments = ", ".join(f"{name} = ?" for name in changes)
    tx.execute(
        f"UPDATE campaigns SET {assignments} WHERE id = ?",
        [*map(_value_to_column, changes.values()), id_],
    )


def set_exclusions(tx: Tx, campaign: str, prospects: Sequence[str]) -> None:
    """Replace who is left out of the audience by hand; unknown ids are ignored."""
    tx.execute("DELETE FROM campaign_exclusions WHERE campaign = ?", (campaign,))
    tx.execute(
        "INSERT INTO campaign_exclusions (campaign, prospect, contact)"
        " SELECT ?, p.id, p.contact FROM prospects AS p"
        " WHERE p.id IN (SELECT value FROM json_each(?))",
        (campaign, json.dumps(list(prospects))),
    )


def list_exclusions(reader: Reader, campaign: str) -> list[str]:
    """Return the prospects who are left out by hand."""
    rows = reader.all(
        "SELECT prospect FROM campaign_exclusions WHERE campaign = ? ORDER BY prospect", (campaign,)
    )
    return [row["prospect"] for row in rows]


def get_campaign(reader: Reader, id_: str) -> CampaignRecord | None:
    """Return a campaign, or None."""
    row = reader.one(f"{_SELECT} WHERE c.id = ?", (id_,))
    return None if row is None else _campaign_from_row(row)


def list_campaigns(reader: Reader, *, after: str = "", limit: int = 50) -> list[CampaignRecord]:
    """Return campaigns past the id ``after``, the newest first."""
    rows = reader.all(
        f"{_SELECT} WHERE (:after = '' OR c.id < :after) ORDER BY c.id DESC LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [_campaign_from_row(row) for row in rows]


def list_running_of_number(reader: Reader, phone: str) -> list[CampaignRecord]:
    """Return the running campaigns whose session writes from this number."""
    rows = reader.all(
        f"{_SELECT} WHERE c.state = '{CampaignState.RUNNING}' AND s.phone = ? ORDER BY c.id",
        (phone,),
    )
    return [_campaign_from_row(row) for row in rows]


def list_started(reader: Reader) -> list[CampaignRecord]:
    """Return the campaigns that run or are paused."""
    rows = reader.all(f"{_SELECT} WHERE c.state IN {format_sql_list(STARTED_STATES)} ORDER BY c.id")
    return [_campaign_from_row(row) for row in rows]


def change_campaign_state(
    tx: Tx,
    id_: str,
    event: CampaignEvent,
    *,
    at: datetime,
    who: str,
    reason: str = "",
    **columns: object,
) -> CampaignState:
    """Move a campaign by an event, set ``columns`` with it, and return its new state.

    Raises IllegalTransition where its state does not accept the event.
    """
    stored = tx.value("SELECT state FROM campaigns WHERE id = ?", (id_,))
    state = fire_event(restore_machine(CampaignMachine, stored), event)
    update_draft(tx, id_, at=at, state=state.value, **columns)
    tx.emit(
        CampaignStateEvent(
            at, id_, {"state": state.value, "previous": stored, "who": who, "reason": reason}
        )
    )
    return state


def pause_campaigns_of_number(
    tx: Tx, phone: str, *, at: datetime, reason: str, trip: int | None
) -> None:
    """Pause every running campaign of a number, because the breaker stopped its new chats."""
    for campaign in list_running_of_number(tx, phone):
        pause_campaign(tx, campaign.id, at=at, who=BREAKER_ACTOR, reason=reason, trip=trip)


def pause_all_campaigns(tx: Tx, *, at: datetime, who: str, reason: str) -> None:
    """Pause every running campaign: its people may have been written to by another copy."""
    for campaign in list_started(tx):
        if campaign.state is CampaignState.RUNNING:
            pause_campaign(tx, campaign.id, at=at, who=who, reason=reason)


def pause_campaign(
    tx: Tx, id_: str, *, at: datetime, who: str, reason: str, trip: int | None = None
) -> None:
    """Pause a campaign. Raises IllegalTransition where it does not run."""
    change_campaign_state(
        tx,
        id_,
        CampaignEvent.PAUSED,
        at=at,
        who=who,
        reason=reason,
        paused_at=at,
        paused_by=who,
        pause_reason=reason,
        breaker_trip=trip,
    )


def _campaign_from_row(row: sqlite3.Row) -> CampaignRecord:
    values = {name: row[name] for name in CampaignRecord.__struct_fields__}
    for name in _TIME_COLUMNS:
        values[name] = parse_timestamp(row[name]) if row[name] else None
    values |= {"state": CampaignState(row["state"]), "audience": json.loads(row["audience"])}
    return CampaignRecord(**values)


def _value_to_column(value: object) -> object:
    if isinstance(value, datetime):
        return format_timestamp(value)
    return encode_json(value) if isinstance(value, Mapping) else value


def count_stopped_by_breaker(reader: Reader) -> int:
    """Return how many campaigns the breaker has paused."""
    n: int = reader.value(
        "SELECT count(*) FROM campaigns WHERE state = ? AND paused_by = ?",
        (CampaignState.PAUSED, BREAKER_ACTOR),
    )
    return n
