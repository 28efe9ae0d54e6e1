"""What was decided can't be rewritten, not even by SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from statemachines.delivery import DeliveryRowState
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import audit, clients, deliveries, prospect_reviews, rulesets
from storage.client_terms import NEEDED_COLUMNS, DeliveryTerms
from storage.db import Database
from storage.linking_answers import LinkingAnswers, insert_linking_answers
from storage.outcomes import Outcome, insert_outcome
from storage.prospect_reviews import ProspectReview, ProspectReviewOutcome
from storage.texts import NewTextVersion, TextPurpose, insert_text, insert_text_version
from storage.triggers import APPEND_ONLY_TABLES, ERASABLE_TABLES
from storage.tx import Tx
from tests.helpers.services.database import open_database

AT = datetime(2026, 3, 3, tzinfo=UTC)
STAMP = "2026-03-03T00:00:00.000Z"


def _fill_delivery(tx: Tx) -> None:
    """Enter a delivery of one row, which was disputed."""
    client = clients.insert_client(tx, "Dentalia SA", at=AT, who="ana")
    assert client is not None
    terms = DeliveryTerms(
        price_cents=100,
        currency="ARS",
        dispute_days=7,
        reasons=("x",),
        exclusive_days=0,
        columns=NEEDED_COLUMNS,
        silence_accepts=False,
        language="es",
    )
    delivery = deliveries.insert_delivery(tx, client.id, terms, number=1, at=AT, who="ana")
    row = deliveries.NewDeliveryRow(
        contact="con_1",
        name="Ana",
        phone="+1",
        cells={},
        evidence=(),
        ground=deliveries.DeliveryGround.MAY_SHARE,
    )
    day = AT.date()
    deliveries.insert_delivery_row(
        tx, delivery, 1, row, at=AT, dispute_until=day, exclusive_until=day
    )
    move = deliveries.DeliveryRowMove(
        row=1,
        at=AT,
        previous=DeliveryRowState.DELIVERED,
        state=DeliveryRowState.DISPUTED,
        who="ana",
        reason="x",
        disputed_on=day,
        note="",
    )
    deliveries.move_row(tx, delivery, move)


def _fill(tx: Tx) -> None:
    """Enter one row of each table that only grows, by the shortest way."""
    tx.execute(
        "INSERT INTO sessions (name, channel, time_zone, since, created_at)"
        " VALUES ('main', 'simulated', 'UTC', ?, ?)",
        (STAMP, STAMP),
    )
    tx.execute("INSERT INTO contacts (id, created_at) VALUES ('con_1', ?)", (STAMP,))
    tx.execute(
        "INSERT INTO messages (id, request_hash, contact, recipient, session, channel, text,"
        " body_hash, created_at, changed_at, not_after)"
        " VALUES ('msg_1', '', 'con_1', '+1', 'main', 'simulated', 'x', 'h', ?, ?, ?)",
        (STAMP, STAMP, STAMP),
    )
    tx.execute(
        "INSERT INTO decisions (id, message, at, phase, ruleset, verdict, body_hash, recipient,"
        " document, facts, microseconds)"
        " VALUES ('dec_1', 'msg_1', ?, 'enqueue', 'r', 'block', 'h', '+1', '{}', '{}', 1)",
        (STAMP,),
    )
    tx.execute(
        "INSERT INTO permits (id, message, decision, document, redeemed_at, expires_at)"
        " VALUES ('per_1', 'msg_1', 'dec_1', '{}', ?, ?)",
        (STAMP, STAMP),
    )
    tx.execute(
        "INSERT INTO message_history (message, at, state, reason_code, sentence, who)"
        " VALUES ('msg_1', ?, 'queued', '', '', 'test')",
        (STAMP,),
    )
    said = ProspectReview(
        outcome=ProspectReviewOutcome.REJECTED, who="ana", reason="no", at=AT, expires_at=None
    )
    prospect_reviews.insert_prospect_review(tx, said, contact="con_1")
    _fill_delivery(tx)
    rulesets.insert_ruleset(tx, hash_="h", format_="leadmaster/gate@1", files=(), at=AT, who="ana")
    rulesets.insert_activation(
        tx,
        at=AT,
        format_="leadmaster/gate@1",
        hash_="h",
        how=rulesets.RulesetActivationKind.LOADED,
        who="ana",
    )
    audit.insert_audit_entry(
        tx, at=AT, who="ana", action="halt", subject="installation", reason="test"
    )
    answers = LinkingAnswers(AT, "ana", NumberAge.LONGER, ReportedBan.YES)
    insert_linking_answers(tx, "main", answers)
    insert_outcome(tx, "con_1", Outcome.INTERESTED, at=AT, who="ana", inbound=None, quote="Sí")
    text = insert_text(tx, "Saludo", TextPurpose.ANSWER, "es", at=AT, who="ana")
    assert text is not None
    new = NewTextVersion(body="Hola", footer="", fallbacks={})
    insert_text_version(tx, text, new, at=AT, who="ana")


CHANGED = {
    "decisions": "verdict = 'allow'",
    "permits": "message = 'msg_2'",
    "message_history": "state = 'sent'",
    "audit": "who = 'nobody'",
    "linking_answers": "banned = 'no'",
    "outcomes": "outcome = 'minor'",
    "prospect_reviews": "outcome = 'approved'",
    "ruleset_history": "who = 'nobody'",
    "text_versions": "body = 'Otra cosa'",
    "deliveries": "price_cents = 1",
    "delivery_row_history": "state = 'accepted'",
}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database with one row in each of the tables."""
    async with open_database(tmp_path) as opened:
        await opened.write(_fill)
        yield opened


@pytest.mark.parametrize("table", sorted(APPEND_ONLY_TABLES.keys() - ERASABLE_TABLES))
async def test_what_was_decided_is_never_deleted(database: Database, table: str) -> None:
    """A row of a table that only grows stays."""
    with pytest.raises(Exception, match="kept as it was"):
        await database.write(lambda tx: tx.execute(f"DELETE FROM {table}"))


@pytest.mark.parametrize("table", sorted(APPEND_ONLY_TABLES))
async def test_what_was_decided_is_never_changed(database: Database, table: str) -> None:
    """Its columns keep what they say."""
    with pytest.raises(Exception, match="kept as it was"):
        await database.write(lambda tx: tx.execute(f"UPDATE {table} SET {CHANGED[table]}"))


async def test_a_decisions_number_may_be_forgotten(database: Database) -> None:
    """Retention takes the number out, and nothing else."""
    await database.write(lambda tx: tx.execute("UPDATE decisions SET recipient = ''"))
    left = await database.read(lambda reader: reader.value("SELECT recipient FROM decisions"))
    assert left == ""


_SUPPRESSED: Final = (
    "INSERT INTO suppressions (alias_hash, contact, source, reason, at)"
    f" VALUES ('own', 'con_1', 'contact', 'STOP', '{STAMP}'),"
    f" ('ours', NULL, 'import', 'x', '{STAMP}')"
)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM suppressions WHERE alias_hash = 'own'",
        (
            "INSERT OR REPLACE INTO suppressions (alias_hash, source, reason, at, lifted_at)"
            f" VALUES ('own', 'import', 'x', '{STAMP}', '{STAMP}')"
        ),
        "UPDATE suppressions SET alias_hash = 'another' WHERE alias_hash = 'own'",
        "UPDATE suppressions SET source = 'operator' WHERE alias_hash = 'own'",
        "UPDATE suppressions SET reason = 'another' WHERE alias_hash = 'ours'",
        f"UPDATE suppressions SET lifted_at = '{STAMP}' WHERE alias_hash = 'own'",
        f"UPDATE suppressions SET lifted_at = '{STAMP}', lifted_reason = ''",
    ],
)
async def test_a_suppression_is_not_undone_by_sql(database: Database, change: str) -> None:
    """It can't be deleted, replaced, moved to another alias, weakened, or lifted without a word."""
    await database.write(lambda tx: tx.execute(_SUPPRESSED))
    with pytest.raises(sqlite3.IntegrityError, match="suppression"):
        await database.write(lambda tx: tx.execute(change))


async def test_what_a_suppression_may_become_is_allowed(database: Database) -> None:
    """Linked to its contact, replaced by the contact's own, lifted with a reason, entered anew."""

    def change(tx: Tx) -> None:
        tx.execute(_SUPPRESSED)
        for assignment in (
            "contact = 'con_1'",
            "source = 'contact', reason = 'STOP'",
            f"lifted_at = '{STAMP}', lifted_reason = 'ALTA'",
            "source = 'import', reason = 'x', lifted_at = NULL, lifted_reason = NULL",
        ):
            tx.execute(f"UPDATE suppressions SET {assignment} WHERE alias_hash = 'ours'")

    await database.write(change)
    row = await database.read(
        lambda r: r.one(
            "SELECT contact, source, reason, lifted_at FROM suppressions WHERE alias_hash = 'ours'"
        )
    )
    assert row is not None
    assert tuple(row) == ("con_1", "import", "x", None)
