"""The tables of version 4: what the gate counts of a number and a campaign, and prospects decided.

The indexes hold just the rows that are counted, since the gate counts before every message.
"""

from __future__ import annotations

COUNTED = """
CREATE INDEX spends_of_first_contacts ON spends (phone, at)
WHERE kind IN ('new_chat', 'manual_new_chat') AND message IS NOT NULL;
CREATE INDEX messages_by_campaign ON messages (campaign, state) WHERE campaign IS NOT NULL;
"""

REVIEWS = """
ALTER TABLE contacts ADD COLUMN review_asked_at TEXT; -- what was decided before counts no more
CREATE TABLE prospect_reviews (
    id INTEGER PRIMARY KEY,              -- append-only: the last row of a contact is the word on it
    contact TEXT NOT NULL REFERENCES contacts (id),
    word TEXT NOT NULL CHECK (word IN ('approved', 'rejected')),
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    expires_at TEXT                      -- null: until another word
) STRICT;
CREATE INDEX prospect_reviews_by_contact ON prospect_reviews (contact, id);
"""

TABLES = (COUNTED, REVIEWS)

QUEUE = """
CREATE INDEX prospects_by_score ON prospects (score_contactabilidad);
CREATE INDEX contacts_to_review ON contacts (id) WHERE review_reason IS NOT NULL;
"""
"""Version 5: how the queue finds the prospects that wait."""

LATELY = """
CREATE INDEX messages_sold_lately ON messages (coalesce(sent_at, changed_at))
WHERE kind = 'commercial' AND state IN
('sending', 'sent', 'delivered', 'read', 'confirmed_by_hand', 'in_doubt', 'revealed');
"""
"""Version 6: how the gate finds the texts that a message is compared with, without all others."""
