"""The numbered, append-only list of migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlite_utils import Database as SqliteUtils
from sqlite_utils import Migrations

from storage import schema, schema_auth, schema_reach, schema_rules

MIGRATIONS = Migrations("leadmaster")


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one, triggers whole.

    ``executescript`` would commit the migration's transaction first.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


@MIGRATIONS()
def m001_first_tables(database: SqliteUtils) -> None:
    """Create every table of version 1."""
    for script in schema.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m002_auth(database: SqliteUtils) -> None:
    """Create the tables of users, tokens and sign-ins."""
    for script in schema_auth.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m003_rules(database: SqliteUtils) -> None:
    """Create the history of live rule sets, and the shadow's decisions."""
    for script in schema_rules.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m004_reach(database: SqliteUtils) -> None:
    """Create what the gate counts by, and the table of prospects that a person decided on."""
    for script in schema_reach.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m005_waiting_prospects(database: SqliteUtils) -> None:
    """Create the indexes by which the queue finds the prospects that wait."""
    for statement in split_statements(schema_reach.QUEUE):
        database.conn.execute(statement)


@MIGRATIONS()
def m006_texts_of_a_day(database: SqliteUtils) -> None:
    """Create the index by which the gate finds what was sent to others lately."""
    for statement in split_statements(schema_reach.LATELY):
        database.conn.execute(statement)
