"""What became of a campaign's people: the stages of its funnel, and the rows of its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.campaign import FINAL_PERSON_STATES, CampaignPersonState
from storage.column_formats import parse_timestamp
from storage.outcomes import IS_STANDING, Outcome
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader


class CampaignStage(StrEnum):
    """A stage of the funnel; each person counts in all that they reached."""

    QUEUED = "queued"
    ALLOWED = "allowed"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    REPLIED = "replied"
    INTERESTED = "interested"
    OPTED_OUT = "opted_out"
    """Sent, and they asked for no more messages afterwards."""


_SENT: Final = f"r.state = '{CampaignPersonState.SENT}'"
_ARRIVED: Final = "('delivered', 'read')"
_SEEN: Final = "('read')"
_REPLIED: Final = (
    f"({_SENT} AND EXISTS (SELECT 1 FROM inbound AS i WHERE i.contact = r.contact AND i.own = 0"
    " AND i.conversation = 1 AND i.request <> 'automatic' AND i.at >= r.opened_at))"
)
_HAS_RECEIPT: Final = (
    "EXISTS (SELECT 1 FROM messages AS q JOIN receipts AS x ON x.session = q.session"
    " AND x.wire_id = q.wire_id WHERE q.id = r.message AND x.kind IN {kinds})"
)
# An answer proves that the message arrived and was read, though no receipt came.
_DELIVERED: Final = f"({_SENT} AND {_HAS_RECEIPT.format(kinds=_ARRIVED)} OR {_REPLIED})"
_READ: Final = f"({_SENT} AND {_HAS_RECEIPT.format(kinds=_SEEN)} OR {_REPLIED})"
_INTERESTED: Final = (
    f"({_SENT} AND EXISTS (SELECT 1 FROM outcomes AS o WHERE o.contact = r.contact"
    f" AND o.outcome = '{Outcome.INTERESTED}' AND o.at >= r.opened_at AND {IS_STANDING}))"
)
_OPTED_OUT: Final = (
    f"({_SENT} AND EXISTS (SELECT 1 FROM suppressions AS u WHERE u.contact = r.contact"
    " AND u.at >= r.opened_at AND u.lifted_at IS NULL))"
)
STAGE_CONDITIONS: Final[Mapping[CampaignStage, str]] = {
    CampaignStage.QUEUED: f"r.state <> '{CampaignPersonState.LEFT_OUT}'",
    CampaignStage.ALLOWED: "EXISTS (SELECT 1 FROM permits AS k WHERE k.message = r.message)",
    CampaignStage.SENT: _SENT,
    CampaignStage.DELIVERED: _DELIVERED,
    CampaignStage.READ: _READ,
    CampaignStage.REPLIED: _REPLIED,
    CampaignStage.INTERESTED: _INTERESTED,
    CampaignStage.OPTED_OUT: _OPTED_OUT,
}
"""SQL for whether a row ``r`` of `campaign_people` reached a stage."""

_NOT_SENT: Final = format_sql_list(FINAL_PERSON_STATES - {CampaignPersonState.SENT})


class SentCampaignPerson(Struct, frozen=True, kw_only=True):
    """Somebody who was written to: by what, and what came of it.

    ``template`` is the version of a text, which has ``text_name``. ``rules`` are the reasons, by
    id, of those that fired at the release.
    """

    template: str | None
    text_name: str
    phone: str | None
    time_zone: str
    opened_at: datetime
    rules: Mapping[str, str]
    replied: bool
    interested: bool
    opted_out: bool


class StoppedCampaignPeople(Struct, frozen=True, kw_only=True):
    """How many people a reason kept from being written to, and how many of them wrote later."""

    state: CampaignPersonState
    reason_code: str
    sentence: str
    count: int
    wrote_later: int


class ExportedCampaignPerson(Struct, frozen=True, kw_only=True):
    """A person of a campaign with all that became of them, as a row of a list."""

    prospect: str
    name: str
    phone: str
    state: CampaignPersonState
    sentence: str
    operator: str
    opened_at: str
    template: str
    delivered: bool
    read: bool
    replied: bool
    interested: bool
    opted_out: bool
    place: int

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"ExportedCampaignPerson({self.prospect!r}, {self.state.value})"


def list_exported_people(
    reader: Reader, campaign: str, *, after: int, limit: int
) -> list[ExportedCampaignPerson]:
    """Return people in the order of their turns, past the place ``after``, for a list."""
    stages = (
        CampaignStage.DELIVERED,
        CampaignStage.READ,
        CampaignStage.REPLIED,
        CampaignStage.INTERESTED,
        CampaignStage.OPTED_OUT,
    )
    columns = ", ".join(f"{STAGE_CONDITIONS[stage]} AS {stage}" for stage in stages)
    rows = reader.all(
        "SELECT r.place, r.prospect, r.state, r.sentence, r.claimed_by, r.opened_at, m.template,"
        f" p.name, p.phone, {columns} FROM campaign_people AS r"
        " LEFT JOIN prospects AS p ON p.id = r.prospect"
        " LEFT JOIN messages AS m ON m.id = r.message"
        " WHERE r.campaign = ? AND r.place > ? ORDER BY r.place LIMIT ?",
        (campaign, after, limit),
    )
    return [
        ExportedCampaignPerson(
            prospect=row["prospect"],
            name=row["name"] or "",
            phone=row["phone"] or "",
            state=CampaignPersonState(row["state"]),
            sentence=row["sentence"],
            operator=row["claimed_by"] or "",
            opened_at=row["opened_at"] or "",
            template=row["template"] or "",
            place=row["place"],
            **{stage.value: bool(row[stage.value]) for stage in stages},
        )
        for row in rows
    ]


def count_stages(reader: Reader, campaign: str) -> dict[CampaignStage, int]:
    """Return how many people reached each stage."""
    columns = ", ".join(
        f"coalesce(sum({condition}), 0) AS {stage}" for stage, condition in STAGE_CONDITIONS.items()
    )
    row = reader.one(
        f"SELECT {columns} FROM campaign_people AS r WHERE r.campaign = ?", (campaign,)
    )
    return {stage: row[stage.value] if row else 0 for stage in CampaignStage}


def list_sent_people(reader: Reader, campaign: str) -> list[SentCampaignPerson]:
    """Return everybody who was written to, in the order of their turns."""
    rows = reader.all(
        "SELECT m.template, x.name AS text_name, r.opened_at, s.phone, s.time_zone, d.document,"
        f" {_REPLIED} AS replied, {_INTERESTED} AS interested, {_OPTED_OUT} AS opted_out"
        " FROM campaign_people AS r JOIN messages AS m ON m.id = r.message"
        " JOIN sessions AS s ON s.name = m.session"
        " LEFT JOIN texts AS x ON x.id = substr(m.template, 1, instr(m.template, '@') - 1)"
        " LEFT JOIN decisions AS d ON d.id = m.decision"
        f" WHERE r.campaign = ? AND {_SENT} AND r.opened_at IS NOT NULL ORDER BY r.place",
        (campaign,),
    )
    return [
        SentCampaignPerson(
            template=row["template"],
            text_name=row["text_name"] or "",
            phone=row["phone"],
            time_zone=row["time_zone"],
            opened_at=parse_timestamp(row["opened_at"]),
            rules=_list_rules(row["document"]),
            replied=bool(row["replied"]),
            interested=bool(row["interested"]),
            opted_out=bool(row["opted_out"]),
        )
        for row in rows
    ]


def list_stopped_people(reader: Reader, campaign: str) -> list[StoppedCampaignPeople]:
    """Return why people were not written to, the most frequent reason first."""
    rows = reader.all(
        "SELECT r.state, r.reason_code, r.sentence, count(*) AS n, sum(EXISTS (SELECT 1"
        " FROM inbound AS i WHERE i.contact = r.contact AND i.own = 0 AND i.conversation = 1"
        " AND i.at >= r.changed_at)) AS wrote_later"
        f" FROM campaign_people AS r WHERE r.campaign = ? AND r.state IN {_NOT_SENT}"
        " GROUP BY r.state, r.reason_code, r.sentence"
        " ORDER BY n DESC, r.state, r.reason_code, r.sentence",
        (campaign,),
    )
    return [
        StoppedCampaignPeople(
            state=CampaignPersonState(row["state"]),
            reason_code=row["reason_code"],
            sentence=row["sentence"],
            count=row["n"],
            wrote_later=row["wrote_later"],
        )
        for row in rows
    ]


def _list_rules(document: str | None) -> dict[str, str]:
    """Return the reasons of the rules that changed the score in a stored decision, by id."""
    found = json.loads(document) if document else {}
    return {str(each["id"]): str(each["reason"]) for each in found.get("contributions", ())}
