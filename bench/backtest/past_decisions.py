"""Builds a database of past decisions of many kinds, for the backtest measurements."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import rules
from rules.examples import baseline_facts
from storage import triggers
from storage.column_formats import encode_json, format_timestamp
from storage.db import Database
from storage.schema_steps import MIGRATIONS
from storage.tx import Tx

FIRST_DECISION_AT = datetime(2026, 3, 2, 14, tzinfo=UTC)
SCORE = "prospect.score_contactabilidad"
_BATCH_SIZE = 5_000


def iter_snapshots(count: int, seed: int = 7) -> Iterator[dict[str, object]]:
    """Yield facts as a busy month leaves them: many alike, ages and scores all over."""
    dice = random.Random(seed)  # noqa: S311 - the same rows in every run
    ruleset = rules.load_ruleset([rules.DEFAULTS / "gate.yaml"])
    usual = baseline_facts(ruleset)
    for number in range(count):
        yield {
            **usual,
            "clock.in_window": dice.choice([["business"], ["business"], ["business"], []]),
            SCORE: dice.randint(30, 100),
            "prospect.validation_age_days": dice.random() * 100,
            "prospect.data_age_days": dice.random() * 500,
            "prospect.permission": dice.choice(["opted_in", "relationship", "public_source"]),
            "prospect.suppressed": dice.randrange(50) == 0,
            "message.first_contact": dice.choice([True, True, False]),
            "message.similarity": round(dice.random(), 3),
            "message.links": dice.choice([0, 0, 0, 1]),
            "message.text": f"sha256:{number:064x}",
            "history.unanswered": dice.choice([0, 0, 0, 1, 2]),
            "session.channel": dice.choice(["linked", "linked", "manual"]),
        }


async def build_database(folder: Path, count: int) -> Path:
    """Make a database with that many decisions on a thousand prospects; return its file."""
    database = await Database.open(
        folder, migrations=MIGRATIONS, on_events=lambda _: None, at_open=triggers.install_triggers
    )
    await database.write(_insert_people)
    judge = rules.RuleEvaluator(rules.load_ruleset([rules.DEFAULTS / "gate.yaml"]), "reference")
    rows: list[tuple[object, ...]] = []
    for number, facts in enumerate(iter_snapshots(count)):
        decision = judge.decide(facts)
        rows.append(_decision_row(number, facts, decision))
        if len(rows) == _BATCH_SIZE or number == count - 1:
            batch, rows = rows, []
            await database.write(partial(_insert_decisions, batch=batch))
    path = database.path
    await database.close()
    return path


def _decision_row(
    number: int, facts: dict[str, object], decision: rules.Decision
) -> tuple[object, ...]:
    at = format_timestamp(FIRST_DECISION_AT + timedelta(seconds=number))
    return (
        f"dec_{number:08}",
        f"msg_{number % 1_000:04}",
        at,
        decision.ruleset,
        decision.verdict.value,
        encode_json(decision.to_dict()),
        encode_json(facts),
    )


def _insert_decisions(tx: Tx, batch: list[tuple[object, ...]]) -> None:
    tx.execute_many(
        "INSERT INTO decisions (id, message, at, phase, ruleset, verdict, body_hash, recipient,"
        " document, facts, microseconds) VALUES (?, ?, ?, 'enqueue', ?, ?, '', '', ?, ?, 0)",
        batch,
    )


def _insert_people(tx: Tx) -> None:
    at = format_timestamp(FIRST_DECISION_AT)
    tx.execute(
        "INSERT INTO sessions (name, channel, time_zone, since, created_at) VALUES"
        " ('main', 'simulated', 'America/Argentina/Buenos_Aires', ?, ?)",
        (at, at),
    )
    for number in range(1_000):
        contact, phone = f"con_{number:04}", f"+54911{number:08}"
        tx.execute("INSERT INTO contacts (id, created_at) VALUES (?, ?)", (contact, at))
        tx.execute(
            "INSERT INTO prospects (id, contact, phone, name, cartera_origen, line_type,"
            " created_at, updated_at) VALUES (?, ?, ?, ?, 'feria', 'mobile', ?, ?)",
            (f"pro_{number:04}", contact, phone, f"Person {number}", at, at),
        )
        tx.execute(
            "INSERT INTO messages (id, request_hash, contact, recipient, session, channel, text,"
            " body_hash, created_at, changed_at, not_after) VALUES"
            " (?, '', ?, ?, 'main', 'simulated', 'Hola', '', ?, ?, '2027')",
            (f"msg_{number:04}", contact, phone, at, at),
        )


def build_database_sync(folder: Path, count: int) -> Path:
    """Make the database, from plain code."""
    return asyncio.run(build_database(folder, count))
