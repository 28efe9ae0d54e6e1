-- The schema of the database, whole: step m001_schema of storage/migrations.py runs it.
--
-- Released, and so never edited: the schema goes forward only. A change is a further step at the end
-- of storage/migrations.py; tests/tools/test_public_names.py refuses one here.
--
-- Triggers are not here: which states a row may have, and which transitions are legal, is derived
-- from the declarations in statemachines/ at every open (storage/triggers.py).

-- What storage itself needs: the identity of the database, and all events in commit order.

CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY,           -- one more each time that a person adopts a copy
    instance_id TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- AUTOINCREMENT never gives a number twice
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;

-- Sessions and the numbers they send from.

CREATE TABLE numbers (
    phone TEXT PRIMARY KEY,              -- E.164; budgets belong to it and survive re-pairing
    first_linked_at TEXT NOT NULL,
    time_zone TEXT NOT NULL,             -- of its first session: a day of its budgets is one there
    new_chats_stopped_at TEXT,           -- the breaker: replies go on, new chats do not
    counted_after INTEGER NOT NULL DEFAULT 0, -- the breaker counts the spends after this one
    warned_at TEXT,                      -- few people answer; stops nothing
    reply_only_until TEXT,               -- no new chats until then, because of a ban
    banned_at TEXT                       -- a ban that no person has acknowledged yet
) STRICT;
CREATE TABLE sessions (
    name TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    phone TEXT REFERENCES numbers (phone),
    time_zone TEXT NOT NULL,
    options TEXT NOT NULL DEFAULT '{}',
    desired TEXT NOT NULL DEFAULT 'off' CHECK (desired IN ('on', 'off')),
    connection TEXT NOT NULL DEFAULT 'stopped',
    phone_state TEXT NOT NULL DEFAULT 'unlinked',
    sending TEXT NOT NULL DEFAULT 'all',
    pairing TEXT NOT NULL DEFAULT 'none', -- state of the latest attempt to link a phone
    pairing_method TEXT NOT NULL DEFAULT 'qr' CHECK (pairing_method IN ('qr', 'code')),
    reason_code TEXT NOT NULL DEFAULT '',
    fault TEXT NOT NULL DEFAULT '',      -- why its channel can't be opened, in the channel's words
    since TEXT NOT NULL,
    due_at TEXT,                         -- the connection's deadline
    phone_seen_at TEXT,                  -- when the phone that owns the account was last online
    sending_until TEXT,
    banned_until TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, -- reconnects in a row
    created_at TEXT NOT NULL,
    deleted_at TEXT
) STRICT;
CREATE TABLE bans (
    id TEXT PRIMARY KEY,
    phone TEXT,                          -- null: a person reported it, of a number unknown here
    session TEXT NOT NULL REFERENCES sessions (name),
    at TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    until TEXT,                          -- as the platform names it
    acknowledged_at TEXT
) STRICT;
CREATE INDEX bans_by_time ON bans (at);
CREATE TABLE breaker_trips (
    id INTEGER PRIMARY KEY,
    phone TEXT NOT NULL REFERENCES numbers (phone),
    at TEXT NOT NULL,
    cause TEXT NOT NULL,
    detail TEXT NOT NULL,                -- what the platform said, or the count and its total
    resumed_at TEXT,
    resumed_by TEXT,
    resumed_reason TEXT
) STRICT;
CREATE INDEX breaker_trips_by_phone ON breaker_trips (phone, id);
CREATE TABLE linking_answers (           -- what a person said about a number before it was linked
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (name),
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    number_age TEXT NOT NULL,
    banned TEXT NOT NULL,
    banned_on TEXT                       -- a day; NULL where nobody knows, or was banned
) STRICT;
CREATE INDEX linking_answers_by_session ON linking_answers (session);
CREATE TABLE session_history (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (name),
    at TEXT NOT NULL,
    region TEXT NOT NULL CHECK (region IN ('connection', 'phone', 'sending', 'desired')),
    previous TEXT NOT NULL,
    state TEXT NOT NULL,
    reason_code TEXT NOT NULL
) STRICT;
CREATE INDEX session_history_by_session ON session_history (session, id);

-- Contacts, prospects, and where they came from.

CREATE TABLE contacts (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0, -- grows with each change of facts; a send compares it
    merged_into TEXT REFERENCES contacts (id),
    review_reason TEXT,                  -- why commercial messages wait for a person, if they do
    review_asked_at TEXT,                -- when: reviews from before do not count
    hold_scope TEXT CHECK (hold_scope IN ('commercial', 'all')), -- which messages wait for a person
    stopped_reason TEXT                  -- why nothing goes to them until a person has decided
) STRICT, WITHOUT ROWID;
CREATE TABLE aliases (
    alias TEXT PRIMARY KEY,              -- E.164 in any of its forms, or a hidden id (LID)
    alias_hash BLOB NOT NULL,            -- keyed; not indexed: it is found by its contact
    contact TEXT NOT NULL REFERENCES contacts (id),
    kind TEXT NOT NULL CHECK (kind IN ('phone', 'lid', 'bsuid'))
) STRICT;
CREATE INDEX aliases_by_contact ON aliases (contact);
CREATE TABLE suppressions (
    alias_hash TEXT PRIMARY KEY,         -- keyed hash: holds after everything else is erased
    contact TEXT REFERENCES contacts (id),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    lifted_at TEXT,
    lifted_reason TEXT
) STRICT;
CREATE INDEX suppressions_by_contact ON suppressions (contact);
CREATE TABLE do_not_call_registers (
    id TEXT PRIMARY KEY,
    country TEXT NOT NULL,               -- two letters: whose numbers it is about
    dated TEXT NOT NULL,                 -- the day on which the register was as it says
    filename TEXT NOT NULL,
    imported_at TEXT NOT NULL,
    who TEXT NOT NULL,
    numbers INTEGER NOT NULL DEFAULT 0,
    finished_at TEXT,                    -- null: still being read
    in_force INTEGER NOT NULL DEFAULT 0  -- the newest one of its country
) STRICT;
CREATE UNIQUE INDEX do_not_call_registers_in_force ON do_not_call_registers (country)
WHERE in_force = 1;
CREATE TABLE do_not_call_numbers (
    line BLOB NOT NULL,                  -- 16 bytes of the keyed hash of the line's first spelling
    register TEXT NOT NULL REFERENCES do_not_call_registers (id),
    PRIMARY KEY (register, line)         -- so that an old register goes without a search
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,              -- append-only: permission, reach and intent derive from it
    contact TEXT NOT NULL REFERENCES contacts (id),
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    quote TEXT NOT NULL DEFAULT '',
    inbound TEXT,                        -- the message of theirs that it was read from
    imported INTEGER NOT NULL DEFAULT 0  -- from the history of a former system
) STRICT;
CREATE INDEX evidence_by_contact ON evidence (contact);
CREATE TABLE imports (
    number INTEGER PRIMARY KEY,          -- what its records refer to: an id would double their size
    id TEXT NOT NULL UNIQUE,
    content_hash TEXT NOT NULL,          -- of file, mapping and options: one import each
    file_hash TEXT NOT NULL,             -- of the bytes alone: the same list under another name
    source TEXT NOT NULL,
    filename TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    options TEXT NOT NULL,
    origen_en_palabras TEXT NOT NULL DEFAULT '', -- the origin, as one would tell it to who asks
    finished_at TEXT,
    accepted INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    undo_asked_at TEXT,                  -- a person undoes it; it may be imported anew from then on
    undo_asked_by TEXT,
    undo_reason TEXT,
    undone_at TEXT                       -- null: not undone, or not to its end yet
) STRICT;
CREATE UNIQUE INDEX imports_by_content ON imports (content_hash) WHERE undo_asked_at IS NULL;
CREATE INDEX imports_by_file ON imports (file_hash);
CREATE TABLE history_imports (          -- what a former system sent and was answered
    id TEXT PRIMARY KEY,
    content_hash TEXT NOT NULL UNIQUE,   -- of file and options: one import each
    filename TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    finished_at TEXT,
    records INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0,     -- new lines of each kind
    received INTEGER NOT NULL DEFAULT 0,
    declined INTEGER NOT NULL DEFAULT 0,
    opt_out INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE history_lines (
    line TEXT PRIMARY KEY,               -- keyed hash of who, when and what: it counts once
    import TEXT NOT NULL REFERENCES history_imports (id)
) STRICT, WITHOUT ROWID;
CREATE TABLE history_declarations (     -- a person said that there is no history
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE consent_words (
    word TEXT PRIMARY KEY,               -- folded: without case, accents and punctuation
    answer TEXT NOT NULL CHECK (answer IN ('yes', 'relationship', 'no', 'nothing')),
    who TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE import_records (
    import INTEGER NOT NULL REFERENCES imports (number),
    record INTEGER NOT NULL,
    outcome TEXT NOT NULL,               -- accepted (of three kinds), duplicate, rejected
    phone TEXT,
    prospect TEXT,
    reason_code TEXT NOT NULL DEFAULT '',
    sentence TEXT NOT NULL DEFAULT '',
    undo TEXT,                           -- what undoing the import did: removed, or why they stay
    PRIMARY KEY (import, record)
) STRICT, WITHOUT ROWID;
CREATE TABLE score_explanations (
    id INTEGER PRIMARY KEY,              -- from a hash of the document, so that it is stored once
    document TEXT NOT NULL               -- the whole score: points, reasons, what was unknown
) STRICT;
CREATE TABLE prospects (
    id TEXT PRIMARY KEY,
    contact TEXT NOT NULL UNIQUE REFERENCES contacts (id),
    phone TEXT NOT NULL,                 -- E.164
    whatsapp_id TEXT,
    name TEXT NOT NULL DEFAULT '',
    trade TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '',
    email TEXT NOT NULL DEFAULT '',
    city TEXT NOT NULL DEFAULT '',
    cartera_origen TEXT NOT NULL,        -- set at import, never changed
    country TEXT,
    line_type TEXT NOT NULL,
    permission TEXT NOT NULL DEFAULT 'none', -- outside a conversation
    conversation_until TEXT,             -- till then it is `conversation`
    intent TEXT NOT NULL DEFAULT 'none',
    data_date TEXT,                      -- when the contact data was known to be true
    on_whatsapp TEXT NOT NULL DEFAULT 'unknown' CHECK (on_whatsapp IN ('yes', 'no', 'unknown')),
    checked_at TEXT,
    check_attempts INTEGER NOT NULL DEFAULT 0,
    validation TEXT NOT NULL DEFAULT 'unchecked',
    validado_tecnicamente INTEGER CHECK (validado_tecnicamente IN (0, 1)),
    validated_at TEXT,
    expires_at TEXT,
    score_contactabilidad INTEGER CHECK (score_contactabilidad BETWEEN 0 AND 100),
    score_explanation INTEGER,           -- of score_explanations; no foreign key: it is deleted late
    import TEXT REFERENCES imports (id),
    record INTEGER,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX prospects_by_validation ON prospects (validation, expires_at);
CREATE TABLE prospect_fields (
    prospect TEXT NOT NULL REFERENCES prospects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                  -- the header of the list that the value came in
    value TEXT NOT NULL,
    PRIMARY KEY (prospect, name)
) STRICT, WITHOUT ROWID;

-- Messages, and what was decided about them.

CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    idempotency_key TEXT UNIQUE,
    request_hash TEXT NOT NULL,          -- what the idempotency key was used for
    contact TEXT NOT NULL REFERENCES contacts (id),
    recipient TEXT NOT NULL,             -- E.164
    session TEXT NOT NULL REFERENCES sessions (name),
    channel TEXT NOT NULL,
    text TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    template TEXT,                       -- whose fixed words the text has, as the caller says
    typed TEXT,                          -- what a person typed of it, as the caller says; null: all
    campaign TEXT,
    kind TEXT NOT NULL DEFAULT 'commercial',
    first_contact INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued',
    reason_code TEXT NOT NULL DEFAULT '',
    sentence TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    not_before TEXT,
    not_after TEXT NOT NULL,             -- past it the message expires, and is not sent late
    expires_by_default INTEGER NOT NULL DEFAULT 0, -- nobody said when; a wait of days moves it
    due_at TEXT,                         -- when it is judged again, if a time ends the deferral
    waits_for TEXT CHECK (waits_for IN ('checked', 'halt', 'register', 'session')), -- or an event
    blocked_by TEXT CHECK (blocked_by IN ('number_banned', 'session_banned_temporarily',
        'session_blocked', 'session_deleted', 'session_failed', 'session_logged_out',
        'session_outdated', 'session_qr_expired', 'session_replaced', 'session_reply_only',
        'session_stopped', 'session_unlinked', 'phone_linked_recently', 'no_phone_checks')),
                                         -- why its session can't send, or nobody check the number
    needs_review INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, -- sends that were certainly refused
    faults INTEGER NOT NULL DEFAULT 0,   -- gate faults in a row
    in_flight_key TEXT UNIQUE,           -- one message per contact is in flight at a time
    decision TEXT,
    permit TEXT,
    wire_id TEXT,
    sent_at TEXT,
    taken_by TEXT,
    lease_until TEXT,
    expiry_announced_at TEXT             -- once: nobody checked its number, and its time ends
) STRICT;
CREATE UNIQUE INDEX messages_by_wire_id ON messages (session, wire_id) WHERE wire_id IS NOT NULL;
CREATE INDEX messages_by_state ON messages (state, session, created_at);
CREATE INDEX messages_due ON messages (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_blocked ON messages (session, blocked_by) WHERE blocked_by IS NOT NULL;
CREATE INDEX messages_by_contact ON messages (contact, created_at);
CREATE TABLE message_history (
    id INTEGER PRIMARY KEY,
    message TEXT NOT NULL REFERENCES messages (id),
    at TEXT NOT NULL,
    previous TEXT,
    state TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    sentence TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT;
CREATE INDEX message_history_by_message ON message_history (message, id);
CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    message TEXT NOT NULL REFERENCES messages (id),
    at TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('enqueue', 'release')),
    ruleset TEXT NOT NULL,
    verdict TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    recipient TEXT NOT NULL,
    document TEXT NOT NULL,              -- the whole decision: score, vetoes, contributions
    facts TEXT NOT NULL,                 -- the snapshot it was judged on; text only as a hash
    microseconds INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_by_message ON decisions (message, at);
CREATE TABLE permits (
    id TEXT PRIMARY KEY,
    message TEXT NOT NULL REFERENCES messages (id),
    decision TEXT NOT NULL UNIQUE REFERENCES decisions (id),
    document TEXT NOT NULL,
    redeemed_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,
    message TEXT NOT NULL REFERENCES messages (id),
    body_hash TEXT NOT NULL,
    recipient TEXT NOT NULL,
    channel TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_by_message ON approvals (message);
CREATE TABLE spends (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- the ledger of the budgets; no id is given twice
    phone TEXT NOT NULL,                 -- the number, or the session's name before pairing
    kind TEXT NOT NULL CHECK (kind IN ('message', 'new_chat', 'manual_new_chat', 'check')),
    session TEXT NOT NULL,
    message TEXT,
    at TEXT NOT NULL,
    own_hash TEXT                        -- of an own message's number and wire id: it counts once
) STRICT;
CREATE INDEX spends_by_phone ON spends (phone, kind, at);
CREATE UNIQUE INDEX spends_of_own_messages ON spends (own_hash, kind) WHERE own_hash IS NOT NULL;
CREATE TABLE inbound (
    id TEXT PRIMARY KEY,
    session TEXT REFERENCES sessions (name), -- null: from the history of a former system
    wire_id TEXT NOT NULL,
    contact TEXT NOT NULL REFERENCES contacts (id),
    at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    text TEXT NOT NULL,
    request TEXT NOT NULL,
    own INTEGER NOT NULL DEFAULT 0,      -- the account's owner typed it on the phone
    kind TEXT NOT NULL DEFAULT 'text',
    origin TEXT NOT NULL DEFAULT 'live'
        CHECK (origin IN ('live', 'offline', 'history', 'imported')),
    past INTEGER NOT NULL DEFAULT 0,     -- reported as history: nobody waits for an answer
    conversation INTEGER NOT NULL DEFAULT 1, -- 0: a reaction, an edit, a program: no answer
    UNIQUE (session, contact, wire_id),  -- ids are made by the senders' phones
    CHECK ((session IS NULL) = (origin = 'imported'))
) STRICT;
CREATE INDEX inbound_by_contact ON inbound (contact, at);
CREATE INDEX inbound_answerable ON inbound (contact, id)
WHERE own = 0 AND conversation = 1 AND past = 0;
CREATE TABLE inbound_reviews (
    inbound TEXT PRIMARY KEY REFERENCES inbound (id) ON DELETE CASCADE,
    contact TEXT NOT NULL REFERENCES contacts (id),
    cause TEXT NOT NULL,                 -- why a person reads it; of an opt-out: may correct it
    sentence TEXT NOT NULL,
    quote TEXT NOT NULL,                 -- the words that show the cause
    listed INTEGER NOT NULL,             -- a whole listed word: nobody may correct it
    asked_at TEXT NOT NULL,
    meaning TEXT,                        -- what a person says that it means; null: nobody has yet
    who TEXT,
    reason TEXT,
    classified_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX inbound_reviews_by_contact ON inbound_reviews (contact);
CREATE INDEX inbound_reviews_waiting ON inbound_reviews (asked_at) WHERE meaning IS NULL;
CREATE INDEX inbound_reviews_answered ON inbound_reviews (classified_at) WHERE meaning IS NOT NULL;
CREATE TABLE conversations (            -- what the team did with a chat; who waits is a query
    contact TEXT PRIMARY KEY REFERENCES contacts (id),
    closed_at TEXT,
    closed_by TEXT,
    closed_after TEXT,                   -- the last message of theirs then: a later one reopens it
    snoozed_until TEXT,
    snoozed_by TEXT,
    snoozed_after TEXT,                  -- the last message of theirs then: a later one ends it
    taken_by TEXT,                       -- who said that it is theirs
    writing_by TEXT,                     -- who is typing an answer …
    writing_until TEXT                   -- … and until when the others are asked first
) STRICT, WITHOUT ROWID;
CREATE TABLE conversation_drafts (
    contact TEXT NOT NULL REFERENCES contacts (id),
    who TEXT NOT NULL,
    text TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (contact, who)
) STRICT, WITHOUT ROWID;
CREATE TABLE conversation_reads (       -- unread is each person's own; waiting is the team's
    contact TEXT NOT NULL REFERENCES contacts (id),
    who TEXT NOT NULL,
    inbound TEXT NOT NULL,               -- the last message of theirs that the person has seen
    PRIMARY KEY (contact, who)
) STRICT, WITHOUT ROWID;
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,              -- append-only: an undone one is named by a later row
    contact TEXT NOT NULL REFERENCES contacts (id),
    at TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('interested', 'minor', 'not_interested',
        'number_changed_owner', 'third_party')),
    next_action TEXT NOT NULL CHECK (next_action IN ('close', 'do_not_contact', 'hand_over',
        'invalidate_phone')),
    who TEXT NOT NULL,
    inbound TEXT,                        -- the message of theirs that shows it
    quote TEXT NOT NULL DEFAULT '',
    undoes INTEGER REFERENCES outcomes (id)
) STRICT;
CREATE INDEX outcomes_by_contact ON outcomes (contact, id);
CREATE TABLE quarantined_signals (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (name),
    channel TEXT NOT NULL,
    received_at TEXT NOT NULL,
    signal TEXT NOT NULL,                -- the class of the signal
    reason_code TEXT NOT NULL,
    sentence TEXT NOT NULL,
    kept TEXT NOT NULL,                  -- the fields that could be kept, as JSON
    request TEXT NOT NULL,               -- what the kept text asks for
    contact TEXT REFERENCES contacts (id), -- null: the sender is not known, or it has none
    fingerprint TEXT NOT NULL,           -- a repeated signal is one row
    settled_at TEXT,
    settled_by TEXT,
    settled_reason TEXT,
    UNIQUE (session, fingerprint)
) STRICT;
CREATE INDEX quarantined_signals_unsettled ON quarantined_signals (contact)
WHERE settled_at IS NULL;
CREATE TABLE receipts (
    session TEXT NOT NULL,
    wire_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,                    -- by the platform's clock
    received_at TEXT NOT NULL,           -- by ours
    reason_code TEXT NOT NULL DEFAULT '',
    contact TEXT REFERENCES contacts (id), -- null: an unknown recipient
    message TEXT,                        -- null: a receipt for an unknown id
    PRIMARY KEY (session, wire_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_contact ON receipts (contact) WHERE contact IS NOT NULL;

-- Operation.

CREATE TABLE halts (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    lifted_at TEXT,
    lifted_by TEXT,
    lifted_reason TEXT
) STRICT;
CREATE UNIQUE INDEX halts_one_open ON halts (lifted_at IS NULL) WHERE lifted_at IS NULL;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject, id);
CREATE TABLE decision_entries (         -- append-only: what a person decided to allow, and why
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    subject TEXT NOT NULL,               -- such as budget.new_chats_later
    value REAL NOT NULL,                 -- up to which it is allowed; the last row counts
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX decision_entries_by_subject ON decision_entries (subject, id);
CREATE TABLE rulesets (
    hash TEXT PRIMARY KEY,
    format TEXT NOT NULL,
    files TEXT NOT NULL,                 -- path and text of each, so that any can be restored
    loaded_at TEXT NOT NULL,
    loaded_by TEXT NOT NULL
) STRICT;

-- Users and how they sign in. Passwords, links and browsers' cookies are here as hashes only,
-- signing keys by their public half.

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password_hash TEXT,                  -- null: signs in by link only
    created_at TEXT NOT NULL,
    signed_in_at TEXT,
    disabled_at TEXT
) STRICT;
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
CREATE TABLE sign_ins (
    id_hash TEXT PRIMARY KEY,            -- of the browser's cookie
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

-- Which ruleset was live when, and what a shadow would have decided.

CREATE TABLE ruleset_history (
    id INTEGER PRIMARY KEY,              -- append-only: the last row of a format is the live one
    at TEXT NOT NULL,
    format TEXT NOT NULL,
    hash TEXT NOT NULL REFERENCES rulesets (hash),
    previous TEXT,
    how TEXT NOT NULL CHECK (how IN ('loaded', 'accepted', 'rolled_back')),
    who TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX ruleset_history_by_format ON ruleset_history (format, id);
CREATE TABLE shadow_decisions (
    decision TEXT PRIMARY KEY REFERENCES decisions (id) ON DELETE CASCADE,
    at TEXT NOT NULL,
    ruleset TEXT NOT NULL,
    verdict TEXT NOT NULL,               -- the shadow's, which is only counted
    live TEXT NOT NULL,                  -- the one in force
    document TEXT NOT NULL
) STRICT;
CREATE INDEX shadow_decisions_by_ruleset ON shadow_decisions (ruleset, verdict = live, at);

-- What people decided about prospects.

CREATE TABLE prospect_reviews (
    id INTEGER PRIMARY KEY,              -- append-only: the last row of a contact counts
    contact TEXT NOT NULL REFERENCES contacts (id),
    outcome TEXT NOT NULL CHECK (outcome IN ('approved', 'rejected')),
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    expires_at TEXT                      -- null: until another review
) STRICT;
CREATE INDEX prospect_reviews_by_contact ON prospect_reviews (contact, id);

-- Indexes that hold just the rows that are counted: the gate counts before every message. SQLite
-- takes a partial index only for a query that repeats its condition word for word, so the lists
-- here are sorted, as storage/sql_text.py writes those of the queries.

CREATE INDEX spends_of_first_contacts ON spends (phone, id)
WHERE kind IN ('manual_new_chat', 'new_chat') AND message IS NOT NULL;
CREATE INDEX messages_by_campaign ON messages (campaign, state) WHERE campaign IS NOT NULL;
CREATE INDEX prospects_by_score ON prospects (score_contactabilidad);
CREATE INDEX contacts_to_review ON contacts (id) WHERE review_reason IS NOT NULL;
CREATE INDEX messages_sold_lately ON messages (coalesce(sent_at, changed_at))
WHERE kind = 'commercial' AND state IN
('confirmed_by_hand', 'delivered', 'in_doubt', 'read', 'revealed', 'sending', 'sent');
