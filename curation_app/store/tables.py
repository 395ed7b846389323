"""The tables of a store, by the store version that brought them."""

#: Raised by one whenever the tables change shape; older stores are brought over when opened.
STORE_VERSION = 2

_EVENTS = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    sample_id TEXT NOT NULL,
    dataset_version TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    kind TEXT NOT NULL,
    undoes TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX event_of_sample ON event (sample_id, seq);
CREATE INDEX event_of_reviewer ON event (reviewer, dataset_version, seq);
CREATE INDEX event_undone ON event (undoes) WHERE undoes IS NOT NULL;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
"""

#: `expires` is in seconds since 1970; `languages` is a JSON list, null for all. An item of a queue
#: is a sample's id, or a seed's. Votes are derived from events and change with them.
_WORK = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE account (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    role TEXT NOT NULL CHECK (role IN ('reviewer', 'lead')),
    languages TEXT,
    password_hash TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    is_active INTEGER NOT NULL DEFAULT 1,
    created_ts TEXT NOT NULL
) STRICT;
CREATE TABLE invite (
    token_hash TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('reviewer', 'lead')),
    languages TEXT,
    created_by TEXT NOT NULL,
    expires REAL NOT NULL,
    used_by TEXT
) STRICT;
CREATE TABLE guideline (
    version INTEGER PRIMARY KEY,
    ts TEXT NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE queue (
    queue_id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    dataset_version TEXT NOT NULL,
    origin TEXT NOT NULL,
    mode TEXT NOT NULL,
    overlap INTEGER NOT NULL CHECK (overlap >= 1),
    is_blind INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_ts TEXT NOT NULL,
    closed_ts TEXT
) STRICT;
CREATE TABLE queue_item (
    queue_id TEXT NOT NULL REFERENCES queue,
    item_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    language TEXT NOT NULL,
    stratum TEXT NOT NULL DEFAULT '',
    inclusion_prob REAL,
    num_votes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (queue_id, item_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_item_open ON queue_item (queue_id, num_votes, position);
CREATE TABLE queue_vote (
    queue_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    counts INTEGER NOT NULL,
    PRIMARY KEY (queue_id, item_id, reviewer)
) STRICT, WITHOUT ROWID;
CREATE TABLE lease (
    queue_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    token TEXT NOT NULL,
    expires REAL NOT NULL,
    PRIMARY KEY (queue_id, item_id, reviewer)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_of_reviewer ON lease (reviewer, queue_id);
CREATE TABLE audit (
    audit_id TEXT PRIMARY KEY,
    queue_id TEXT NOT NULL,
    design TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_ts TEXT NOT NULL,
    closed_ts TEXT,
    report TEXT
) STRICT;
CREATE TABLE seed (
    seed_id TEXT PRIMARY KEY,
    queue_id TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX seed_of_queue ON seed (queue_id);
CREATE TABLE seed_verdict (
    event_id TEXT PRIMARY KEY,
    seed_id TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    ts TEXT NOT NULL,
    verdict TEXT,
    reasons TEXT NOT NULL DEFAULT '[]',
    ms_active INTEGER
) STRICT;
CREATE INDEX seed_verdict_of_seed ON seed_verdict (seed_id);
"""

#: What each store version adds to the one before.
ADDED_IN = {1: _EVENTS, 2: _WORK}
