"""Collects all that is stored of a person, for one page: the person may ask to see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from storage.do_not_call import LINE_BYTES
from storage.tx import Cell, Reader

_OF_CONTACT: Final = "WHERE contact = :contact"
_OUR_MESSAGES: Final = "(SELECT id FROM messages WHERE contact = :contact)"
_SUBJECTS: Final = (
    "(:contact, :prospect) OR subject IN (SELECT id FROM messages WHERE contact = :contact)"
    " OR subject IN (SELECT id FROM inbound WHERE contact = :contact)"
)

SECTIONS: Final[Mapping[str, str]] = {
    "person": (
        "SELECT name, phone, email, trade, city, country, notes, whatsapp_id, line_type,"
        " permission, conversation_until, intent, on_whatsapp, checked_at, validation,"
        " validado_tecnicamente, validated_at, expires_at, score_contactabilidad, data_date,"
        " created_at, updated_at FROM prospects WHERE id = :prospect"
    ),
    "more": "SELECT name, value FROM prospect_fields WHERE prospect = :prospect ORDER BY name",
    "identifiers": f"SELECT kind, alias FROM aliases {_OF_CONTACT} ORDER BY kind, alias",
    "origin": (
        "SELECT p.cartera_origen, i.origen_en_palabras, i.filename, i.at, i.who, r.record,"
        " r.outcome FROM prospects AS p"
        " LEFT JOIN import_records AS r ON r.prospect = p.id"
        " LEFT JOIN imports AS i ON i.number = r.import WHERE p.id = :prospect ORDER BY i.at"
    ),
    "evidence": (
        f"SELECT at, kind, value, quote, source, imported FROM evidence {_OF_CONTACT} ORDER BY at"
    ),
    "ours": (
        "SELECT created_at, sent_at, text, state, sentence, kind, channel, session, recipient"
        f" FROM messages {_OF_CONTACT} ORDER BY id"
    ),
    "theirs": f"SELECT at, text, kind, origin, own, request FROM inbound {_OF_CONTACT} ORDER BY at",
    "moves": (
        f"SELECT at, state, sentence, who FROM message_history WHERE message IN {_OUR_MESSAGES}"
        " ORDER BY id"
    ),
    "decisions": (
        "SELECT at, phase, verdict, recipient, facts FROM decisions"
        f" WHERE message IN {_OUR_MESSAGES} ORDER BY id"
    ),
    "permits": (
        f"SELECT redeemed_at, expires_at FROM permits WHERE message IN {_OUR_MESSAGES} ORDER BY id"
    ),
    "approvals": (
        "SELECT at, who, reason, recipient, channel, expires_at FROM approvals"
        f" WHERE message IN {_OUR_MESSAGES} ORDER BY id"
    ),
    "receipts": f"SELECT at, kind, session FROM receipts {_OF_CONTACT} ORDER BY at",
    "readings": (
        "SELECT asked_at, cause, quote, meaning, who, reason, classified_at FROM inbound_reviews"
        f" {_OF_CONTACT} ORDER BY asked_at"
    ),
    "outcomes": (
        "SELECT at, outcome, next_action, who, quote, undoes IS NOT NULL AS taken_back"
        f" FROM outcomes {_OF_CONTACT} ORDER BY id"
    ),
    "sharing": (
        "SELECT q.at, c.name, q.who FROM share_questions AS q JOIN clients AS c ON c.id = q.client"
        " WHERE q.contact = :contact ORDER BY q.at"
    ),
    "campaigns": (
        "SELECT c.name, r.state, r.sentence, r.claimed_by, r.opened_at, r.changed_at,"
        " r.changed_by FROM campaign_people AS r JOIN campaigns AS c ON c.id = r.campaign"
        " WHERE r.contact = :contact ORDER BY r.id"
    ),
    "dry_runs": (
        "SELECT c.name, d.at, r.outlook, r.sentence FROM dry_run_people AS r"
        " JOIN dry_runs AS d ON d.id = r.dry_run JOIN campaigns AS c ON c.id = d.campaign"
        " WHERE r.contact = :contact ORDER BY d.id"
    ),
    "left_out": (
        "SELECT c.name FROM campaign_exclusions AS r JOIN campaigns AS c ON c.id = r.campaign"
        " WHERE r.contact = :contact ORDER BY r.campaign"
    ),
    "deliveries": (
        "SELECT r.at, c.name AS client, d.number, r.number AS row, r.name, r.phone, r.cells,"
        " r.evidence, r.ground, r.state, r.exclusive_until FROM delivery_rows AS r"
        " JOIN deliveries AS d ON d.id = r.delivery JOIN clients AS c ON c.id = d.client"
        " WHERE r.contact = :contact ORDER BY r.at"
    ),
    "delivery_moves": (
        "SELECT h.at, h.state, h.who, h.reason, h.note FROM delivery_row_history AS h"
        " JOIN delivery_rows AS r ON r.delivery = h.delivery AND r.number = h.row"
        " WHERE r.contact = :contact ORDER BY h.id"
    ),
    "reviews": (
        f"SELECT at, outcome, who, reason, expires_at FROM prospect_reviews {_OF_CONTACT}"
        " ORDER BY id"
    ),
    "chat": (
        "SELECT closed_at, closed_by, snoozed_until, snoozed_by, taken_by FROM conversations"
        f" {_OF_CONTACT}"
    ),
    "drafts": f"SELECT changed_at, who, text FROM conversation_drafts {_OF_CONTACT}",
    "seen": f"SELECT who FROM conversation_reads {_OF_CONTACT} ORDER BY who",
    "held": (
        "SELECT review_reason, hold_scope FROM contacts WHERE id = :contact"
        " AND review_reason IS NOT NULL"
    ),
    "quarantined": (
        "SELECT received_at, sentence, kept, settled_at, settled_by FROM quarantined_signals"
        f" {_OF_CONTACT} ORDER BY received_at"
    ),
    "opt_outs": (
        f"SELECT at, source, reason, lifted_at, lifted_reason FROM suppressions {_OF_CONTACT}"
        " ORDER BY at"
    ),
    "registers": (
        "SELECT DISTINCT r.country, r.dated FROM do_not_call_registers AS r"
        " JOIN do_not_call_numbers AS n ON n.register = r.id"
        f" JOIN aliases AS a ON n.line = substr(a.alias_hash, 1, {LINE_BYTES})"
        " WHERE a.contact = :contact AND r.in_force = 1 ORDER BY r.country"
    ),
    "budgets": (
        f"SELECT at, kind, phone AS sender FROM spends WHERE message IN {_OUR_MESSAGES} ORDER BY id"
    ),
    "audit": (
        f"SELECT at, who, action, reason, detail FROM audit WHERE subject IN {_SUBJECTS}"
        " ORDER BY id"
    ),
    "events": f"SELECT at, type FROM events WHERE subject IN {_SUBJECTS} ORDER BY seq",
}
"""The query of each section; each table that refers to people is in one of them."""


class DossierSection(Struct, frozen=True):
    """What one place holds of a person: rows by column, as stored."""

    name: str
    rows: list[dict[str, Cell]]

    def __repr__(self) -> str:
        """Keep the data out of logs."""
        return f"DossierSection({self.name!r}, {len(self.rows)} rows)"


def read_dossier(reader: Reader, *, prospect: str, contact: str) -> list[DossierSection]:
    """Return every section that has a row, in order; columns without a value are left out."""
    who = {"prospect": prospect, "contact": contact}
    sections = []
    for name, query in SECTIONS.items():
        rows = [
            {column: value for column, value in dict(row).items() if value not in (None, "")}
            for row in reader.all(query, who)
        ]
        if rows := [row for row in rows if row]:
            sections.append(DossierSection(name, rows))
    return sections
