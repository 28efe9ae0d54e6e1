"""The tables of people and their ways in, as SQL. A later change is a new migration.

Passwords, links and browsers' cookies stand here as hashes only, signing keys by their public half.
"""

from __future__ import annotations

USERS = """
CREATE TABLE users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password_hash TEXT,                  -- null: comes in by link only
    created_at TEXT NOT NULL,
    signed_in_at TEXT,
    disabled_at TEXT
) STRICT;
"""

TOKENS = """
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    public_key BLOB NOT NULL,            -- the private half is never in the database
    since TEXT NOT NULL,
    retired_at TEXT                      -- null: the one that signs
) STRICT;
CREATE UNIQUE INDEX signing_keys_one_signs ON signing_keys (retired_at IS NULL)
WHERE retired_at IS NULL;
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,                 -- the token's jti
    user TEXT NOT NULL REFERENCES users (name),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,                -- words with blanks between them, as in the token
    made_by TEXT NOT NULL,
    made_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    last_used_at TEXT,                   -- coarse: not written at each use
    revoked_at TEXT
) STRICT;
CREATE INDEX tokens_by_user ON tokens (user);
"""

SIGN_INS = """
CREATE TABLE sign_ins (
    id_hash TEXT PRIMARY KEY,            -- of what the browser's cookie says
    user TEXT NOT NULL REFERENCES users (name),
    began_at TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    idle_until TEXT NOT NULL,            -- moves on with use …
    ends_at TEXT NOT NULL                -- … but never past this
) STRICT;
CREATE INDEX sign_ins_by_user ON sign_ins (user);
CREATE TABLE sign_in_links (
    id_hash TEXT PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (name),
    made_by TEXT NOT NULL,
    made_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    spent_at TEXT
) STRICT;
"""

TABLES = (USERS, TOKENS, SIGN_INS)
