"""The steps of the schema, in order. One that was released is never changed: another is added."""

from __future__ import annotations

import importlib.resources
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from storage.migrations import SchemaMigrations

if TYPE_CHECKING:
    from sqlite_utils import Database as SchemaDatabase

MIGRATIONS: Final = SchemaMigrations("leadmaster")


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script one by one; a trigger is one statement."""
    # Not `executescript`: it would commit the migration's transaction first.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


def read_schema() -> str:
    """Return the text of `schema.sql`."""
    return importlib.resources.files("storage").joinpath("schema.sql").read_text("utf-8")


@MIGRATIONS.add
def m001_schema(database: SchemaDatabase) -> None:
    """Create every table and index of `schema.sql`."""
    for statement in split_statements(read_schema()):
        database.conn.execute(statement)


@MIGRATIONS.add
def m002_outcome_changes(database: SchemaDatabase) -> None:
    """Add to each outcome what it changed, which taking it back restores."""
    database.conn.execute("ALTER TABLE outcomes ADD COLUMN changed TEXT NOT NULL DEFAULT '{}'")


@MIGRATIONS.add
def m003_halts_that_let_replies_go(database: SchemaDatabase) -> None:
    """Mark the halts of restores, during which messages that answer somebody are sent."""
    database.conn.execute("ALTER TABLE halts ADD COLUMN replies_go INTEGER NOT NULL DEFAULT 0")


@MIGRATIONS.add
def m004_private_contacts(database: SchemaDatabase) -> None:
    """Add the table of people whose messages are private, by the keyed hashes of their aliases."""
    database.conn.execute(
        "CREATE TABLE private_contacts (alias_hash TEXT PRIMARY KEY, who TEXT NOT NULL,"
        " at TEXT NOT NULL) STRICT, WITHOUT ROWID"
    )


_OUTCOMES_OF_CLOCK: Final = """\
CREATE TABLE outcomes_and_messages (
    id INTEGER PRIMARY KEY,              -- append-only: an undone one is named by a later row
    contact TEXT NOT NULL REFERENCES contacts (id),
    at TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('interested', 'minor', 'no_reply', 'not_delivered',
        'not_interested', 'number_changed_owner', 'number_does_not_exist', 'third_party')),
    next_action TEXT NOT NULL CHECK (next_action IN ('close', 'do_not_contact', 'hand_over',
        'invalidate_phone', 'technical_retry')),
    who TEXT NOT NULL,
    inbound TEXT,                        -- the message of theirs that shows it
    quote TEXT NOT NULL DEFAULT '',
    undoes INTEGER REFERENCES outcomes_and_messages (id),
    changed TEXT NOT NULL DEFAULT '{}',  -- what it changed, which taking it back restores
    message TEXT REFERENCES messages (id), -- ours, which it is the outcome of
    reason TEXT NOT NULL DEFAULT ''      -- why, in the words of a person who set it by hand
) STRICT;
INSERT INTO outcomes_and_messages (id, contact, at, outcome, next_action, who, inbound, quote,
    undoes, changed)
SELECT id, contact, at, outcome, next_action, who, inbound, quote, undoes, changed FROM outcomes;
DROP TABLE outcomes;
ALTER TABLE outcomes_and_messages RENAME TO outcomes;
CREATE INDEX outcomes_by_contact ON outcomes (contact, id);
CREATE INDEX outcomes_by_message ON outcomes (message) WHERE message IS NOT NULL;
CREATE INDEX outcomes_undone ON outcomes (undoes) WHERE undoes IS NOT NULL;
CREATE TABLE clients (                   -- who gets what a delivery has
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL UNIQUE,    -- one client for each name, however it is written
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE share_questions (           -- messages that ask whether a client may write to them
    message_key TEXT PRIMARY KEY,        -- the idempotency key of the message
    contact TEXT NOT NULL REFERENCES contacts (id),
    client TEXT NOT NULL REFERENCES clients (id),
    at TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX share_questions_by_contact ON share_questions (contact);
"""


@MIGRATIONS.add
def m005_outcomes_of_messages_and_clients(database: SchemaDatabase) -> None:
    """Let an outcome name a message of ours and come from the clock, and add clients."""
    for statement in split_statements(_OUTCOMES_OF_CLOCK):
        database.conn.execute(statement)


_TEXTS: Final = """\
CREATE TABLE texts (                     -- templates of messages
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL UNIQUE,
    purpose TEXT NOT NULL CHECK (purpose IN ('answer', 'first_contact', 'follow_up',
        'origin_answer')),
    language TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE text_versions (             -- append-only: what runs with one stays as it is
    text TEXT NOT NULL REFERENCES texts (id),
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    footer TEXT NOT NULL,
    fallbacks TEXT NOT NULL,             -- what is written where a person has no value, as JSON
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    approved_at TEXT,
    approved_by TEXT,
    PRIMARY KEY (text, version)
) STRICT, WITHOUT ROWID;
"""


@MIGRATIONS.add
def m006_texts(database: SchemaDatabase) -> None:
    """Add templates of messages, with their versions and approvals."""
    for statement in split_statements(_TEXTS):
        database.conn.execute(statement)


_ALERT_TABLES: Final = """
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,               -- a session, or the installation
    began_at TEXT NOT NULL,
    noticed_at TEXT NOT NULL,
    sentence TEXT NOT NULL,
    gone_at TEXT,                        -- not there since; it ends where it stays away
    ended_at TEXT
) STRICT;
CREATE UNIQUE INDEX alerts_one_open ON alerts (code, subject) WHERE ended_at IS NULL;
CREATE TABLE notices (                   -- texts for the owner's targets
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    alert INTEGER REFERENCES alerts (id),
    at TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    targets TEXT NOT NULL DEFAULT '',    -- fingerprints of those that took it
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at TEXT,                         -- null: all took it, or it was given up
    sent_at TEXT,                        -- when the first took it
    failure TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_by_alert ON notices (alert) WHERE alert IS NOT NULL;
"""


@MIGRATIONS.add
def m007_alerts(database: SchemaDatabase) -> None:
    """Create the tables of what is wrong since when, and of who was notified."""
    for statement in split_statements(_ALERT_TABLES):
        database.conn.execute(statement)


_CAMPAIGN_TABLES: Final = """
CREATE TABLE campaigns (                 -- lists of people that are worked through by hand
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL UNIQUE,    -- messages name their campaign
    state TEXT NOT NULL,
    session TEXT REFERENCES sessions (name), -- whose phone writes
    text TEXT REFERENCES texts (id),     -- with its version; or else what was typed
    text_version INTEGER,
    typed TEXT NOT NULL DEFAULT '',
    audience TEXT NOT NULL DEFAULT '{}', -- the filter of prospects, as JSON
    ends_at TEXT,                        -- who was not written to by then expires
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    started_at TEXT,
    started_by TEXT,
    start_reason TEXT,
    paused_at TEXT,
    paused_by TEXT,
    pause_reason TEXT,
    breaker_trip INTEGER REFERENCES breaker_trips (id), -- which paused it
    ended_at TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE campaign_exclusions (       -- people of the audience who are left out by hand
    campaign TEXT NOT NULL REFERENCES campaigns (id),
    prospect TEXT NOT NULL,
    contact TEXT NOT NULL REFERENCES contacts (id),
    PRIMARY KEY (campaign, prospect)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_exclusions_by_contact ON campaign_exclusions (contact);
CREATE TABLE campaign_people (
    id TEXT PRIMARY KEY,                 -- in the idempotency key of their one message
    campaign TEXT NOT NULL REFERENCES campaigns (id),
    prospect TEXT NOT NULL,
    contact TEXT NOT NULL REFERENCES contacts (id),
    place INTEGER NOT NULL,              -- of their turn
    state TEXT NOT NULL,
    reason_code TEXT NOT NULL DEFAULT '',
    sentence TEXT NOT NULL DEFAULT '',
    first_contact INTEGER NOT NULL DEFAULT 0,
    message TEXT UNIQUE REFERENCES messages (id),
    claimed_by TEXT,
    lease_until TEXT,
    not_before TEXT,                     -- their turn does not come before
    opened_at TEXT,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    UNIQUE (campaign, prospect)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_people_by_state ON campaign_people (campaign, state, place);
CREATE INDEX campaign_people_by_contact ON campaign_people (contact);
CREATE TABLE dry_runs (                  -- what a campaign would do, as it was when asked
    id TEXT PRIMARY KEY,
    campaign TEXT NOT NULL REFERENCES campaigns (id),
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    hash TEXT NOT NULL,
    ruleset TEXT NOT NULL,
    per_day INTEGER NOT NULL,            -- first contacts by hand that the budgets allow
    left_today INTEGER NOT NULL,
    days INTEGER,                        -- that the budgets make it last; null: none are allowed
    finished_at TEXT                     -- null: not all of its people are stored
) STRICT, WITHOUT ROWID;
CREATE INDEX dry_runs_by_campaign ON dry_runs (campaign, id);
CREATE TABLE dry_run_people (
    dry_run TEXT NOT NULL REFERENCES dry_runs (id) ON DELETE CASCADE,
    prospect TEXT NOT NULL,
    contact TEXT NOT NULL REFERENCES contacts (id),
    outlook TEXT NOT NULL CHECK (outlook IN ('approval', 'by_hand', 'later', 'no')),
    reason_code TEXT NOT NULL,
    sentence TEXT NOT NULL,
    action TEXT NOT NULL,                -- the one that would change it
    first_contact INTEGER NOT NULL,
    suppressed INTEGER NOT NULL,
    revision INTEGER NOT NULL,           -- of the facts about the contact that it rests on
    PRIMARY KEY (dry_run, prospect)
) STRICT, WITHOUT ROWID;
CREATE INDEX dry_run_people_by_contact ON dry_run_people (contact);
"""


@MIGRATIONS.add
def m008_campaigns(database: SchemaDatabase) -> None:
    """Create the tables of campaigns by hand, of their people, and of their dry runs."""
    for statement in split_statements(_CAMPAIGN_TABLES):
        database.conn.execute(statement)


_DELIVERIES: Final = """\
CREATE TABLE client_terms (              -- what holds for the next batch of a client
    client TEXT PRIMARY KEY REFERENCES clients (id),
    price_cents INTEGER NOT NULL,        -- of an accepted row, in hundredths of the currency
    currency TEXT NOT NULL,
    dispute_days INTEGER NOT NULL,
    reasons TEXT NOT NULL,               -- for which a row may be disputed, as JSON
    exclusive_days INTEGER NOT NULL,     -- for so long no other client gets these people
    columns TEXT NOT NULL,               -- of the file, as JSON
    silence_accepts INTEGER NOT NULL,
    language TEXT NOT NULL,              -- of the file
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (                -- frozen batches, with the terms as they were then
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    client TEXT NOT NULL REFERENCES clients (id),
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    price_cents INTEGER NOT NULL,
    currency TEXT NOT NULL,
    dispute_days INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    exclusive_days INTEGER NOT NULL,
    columns TEXT NOT NULL,
    silence_accepts INTEGER NOT NULL,
    language TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_client ON deliveries (client, number);
CREATE TABLE delivery_rows (
    delivery TEXT NOT NULL REFERENCES deliveries (id),
    number INTEGER NOT NULL,
    contact TEXT REFERENCES contacts (id), -- null: the person was erased
    at TEXT NOT NULL,
    name TEXT NOT NULL,                  -- empty once erased, as all that is about the person
    phone TEXT NOT NULL,
    cells TEXT NOT NULL,                 -- further columns of the file, as JSON
    evidence TEXT NOT NULL,              -- why this person was handed over, as JSON
    ground TEXT NOT NULL CHECK (ground IN ('decision', 'may_share')),
    dispute_until TEXT NOT NULL,         -- the last day on which the client may dispute it
    exclusive_until TEXT NOT NULL,       -- the last day on which no other client gets them
    replaces INTEGER,                    -- the row that this one was given for
    state TEXT NOT NULL DEFAULT 'delivered',
    erased INTEGER NOT NULL DEFAULT 0,
    opt_out_reported_at TEXT,            -- when a person said that the client knows
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_rows_by_contact ON delivery_rows (contact) WHERE contact IS NOT NULL;
CREATE INDEX delivery_rows_by_state ON delivery_rows (state, dispute_until);
CREATE TABLE delivery_row_history (
    id INTEGER PRIMARY KEY,
    delivery TEXT NOT NULL,
    row INTEGER NOT NULL,
    at TEXT NOT NULL,
    previous TEXT NOT NULL,
    state TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,                -- of a dispute: one of those that count
    disputed_on TEXT,                    -- the day on which the client said so
    note TEXT NOT NULL,                  -- what a person typed; empty once the row is erased
    FOREIGN KEY (delivery, row) REFERENCES delivery_rows (delivery, number)
) STRICT;
CREATE INDEX delivery_row_history_by_row ON delivery_row_history (delivery, row, id);
CREATE INDEX delivery_rows_accepted ON delivery_row_history (at) WHERE state = 'accepted';
CREATE TABLE delivery_files (            -- the bytes that were handed over
    delivery TEXT NOT NULL REFERENCES deliveries (id),
    part INTEGER NOT NULL,               -- 0: the batch; else the row that replaces another
    format TEXT NOT NULL CHECK (format IN ('csv', 'xlsx')),
    hash TEXT NOT NULL,
    content BLOB,                        -- null: somebody in it was erased since
    PRIMARY KEY (delivery, part, format)
) STRICT;
"""


@MIGRATIONS.add
def m009_deliveries(database: SchemaDatabase) -> None:
    """Add terms of clients, and frozen batches with their rows, files and what became of them."""
    for statement in split_statements(_DELIVERIES):
        database.conn.execute(statement)


_ACCESS_AND_BUDGETS: Final = """
ALTER TABLE users ADD COLUMN phone TEXT; -- their own number, E.164
ALTER TABLE users ADD COLUMN language TEXT; -- null: as their browser asks
ALTER TABLE users ADD COLUMN seen_at TEXT; -- coarse: not written at each request
ALTER TABLE users ADD COLUMN seen_from TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN last_used_from TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN uses_on TEXT;
ALTER TABLE decision_entries ADD COLUMN lower_when TEXT NOT NULL DEFAULT '';
ALTER TABLE decision_entries ADD COLUMN until TEXT;
CREATE TABLE number_budgets (            -- append-only: who set which budget of a number
    id INTEGER PRIMARY KEY,
    phone TEXT NOT NULL REFERENCES numbers (phone),
    budget TEXT NOT NULL,
    value REAL NOT NULL,
    raises INTEGER NOT NULL,             -- 1: allows more than the settings do, 0: at most this
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    until TEXT,                          -- a raise ends; null: until another row
    decision INTEGER REFERENCES decision_entries (id)
) STRICT;
CREATE INDEX number_budgets_by_phone ON number_budgets (phone, id);
"""


@MIGRATIONS.add
def m010_access_and_number_budgets(database: SchemaDatabase) -> None:
    """Add where users and tokens were seen, people's own settings, and budgets of one number."""
    for statement in split_statements(_ACCESS_AND_BUDGETS):
        database.conn.execute(statement)


_INVITES: Final = """
CREATE TABLE invites (                   -- links by which people write to us first
    code TEXT PRIMARY KEY,               -- stands in the text that the link fills in
    name TEXT NOT NULL,                  -- where it hangs: the origin of who writes
    phone TEXT NOT NULL REFERENCES numbers (phone),
    words TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


@MIGRATIONS.add
def m011_invites(database: SchemaDatabase) -> None:
    """Add the invitations, which are what an inbound's code refers to."""
    for statement in split_statements(_INVITES):
        database.conn.execute(statement)


@MIGRATIONS.add
def m012_saved_filters(database: SchemaDatabase) -> None:
    """Add the filters of prospects that people keep under a name."""
    database.conn.execute(
        "CREATE TABLE saved_filters (id TEXT PRIMARY KEY, name TEXT NOT NULL,"
        " folded_name TEXT NOT NULL UNIQUE, filter TEXT NOT NULL, created_at TEXT NOT NULL,"
        " created_by TEXT NOT NULL, changed_at TEXT NOT NULL, changed_by TEXT NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )
