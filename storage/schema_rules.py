"""The tables of version 3: which rule set was live when, and what a shadow would have said."""

from __future__ import annotations

HISTORY = """
CREATE TABLE ruleset_history (
    id INTEGER PRIMARY KEY,              -- append-only: the last row of a format names its live set
    at TEXT NOT NULL,
    format TEXT NOT NULL,
    hash TEXT NOT NULL REFERENCES rulesets (hash),
    previous TEXT,
    how TEXT NOT NULL CHECK (how IN ('loaded', 'accepted', 'rolled_back')),
    who TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX ruleset_history_by_format ON ruleset_history (format, id);
"""

SHADOW = """
CREATE TABLE shadow_decisions (
    decision TEXT PRIMARY KEY REFERENCES decisions (id) ON DELETE CASCADE,
    at TEXT NOT NULL,
    ruleset TEXT NOT NULL,
    verdict TEXT NOT NULL,               -- never obeyed
    live TEXT NOT NULL,                  -- what was
    document TEXT NOT NULL
) STRICT;
CREATE INDEX shadow_decisions_by_ruleset ON shadow_decisions (ruleset, verdict = live, at);
"""

TABLES = (HISTORY, SHADOW)
