"""What was decided can't be rewritten, not even by SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from statemachines.vocabulary import NumberAge, ReportedBan
from storage import audit, prospect_reviews, rulesets
from storage.db import Database
from storage.linking_answers import LinkingAnswers, insert_linking_answers
from storage.prospect_reviews import ProspectReview, ProspectReviewOutcome
from storage.triggers import APPEND_ONLY_TABLES, ERASABLE_TABLES
from storage.tx import Tx
from tests.helpers.services.database import open_database

AT = datetime(2026, 3, 3, tzinfo=UTC)
STAMP = "2026-03-03T00:00:00.000Z"


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


CHANGED = {
    "decisions": "verdict = 'allow'",
    "permits": "message = 'msg_2'",
    "message_history": "state = 'sent'",
    "audit": "who = 'nobody'",
    "linking_answers": "banned = 'no'",
    "prospect_reviews": "outcome = 'approved'",
    "ruleset_history": "who = 'nobody'",
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
