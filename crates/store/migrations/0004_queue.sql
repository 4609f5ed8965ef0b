-- The queue: syncs that wait, who runs them and how far they are.

-- `sync`, `replay`, `baseline` or `release`.
ALTER TABLE syncs ADD COLUMN kind TEXT NOT NULL DEFAULT 'sync';
-- JSON: what else was asked for.
ALTER TABLE syncs ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
-- What started it, in one word, where `trigger` says it to people.
ALTER TABLE syncs ADD COLUMN cause TEXT NOT NULL DEFAULT 'command';
ALTER TABLE syncs ADD COLUMN requested_by TEXT;
ALTER TABLE syncs ADD COLUMN requested_by_name TEXT;
ALTER TABLE syncs ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE syncs ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE syncs ADD COLUMN destination TEXT NOT NULL DEFAULT '';
ALTER TABLE syncs ADD COLUMN mapping_version INTEGER;
-- When it was put into the queue; never of one that somebody ran without it.
ALTER TABLE syncs ADD COLUMN queued_at INTEGER;
-- When it should have started. The oldest is first in the queue.
ALTER TABLE syncs ADD COLUMN due_at INTEGER;
-- Not before this moment is it taken from the queue.
ALTER TABLE syncs ADD COLUMN ready_at INTEGER NOT NULL DEFAULT 0;
-- Who runs it, and until when that is certain. Zero: given back.
ALTER TABLE syncs ADD COLUMN worker TEXT;
ALTER TABLE syncs ADD COLUMN taken_until INTEGER;
-- The same for those that share an extract.
ALTER TABLE syncs ADD COLUMN extract TEXT;
ALTER TABLE syncs ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0;
-- JSON: how far it is, and when it was at what.
ALTER TABLE syncs ADD COLUMN progress TEXT;
ALTER TABLE syncs ADD COLUMN phases TEXT;
ALTER TABLE syncs ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;
-- The sync that goes on where this one was cut off, and how many there were before this one.
ALTER TABLE syncs ADD COLUMN successor TEXT;
ALTER TABLE syncs ADD COLUMN takeovers INTEGER NOT NULL DEFAULT 0;
-- Whether its end was told to those who wait for it, and counted.
ALTER TABLE syncs ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX syncs_queued ON syncs (mapping) WHERE state = 'queued';
CREATE INDEX syncs_in_turn ON syncs (source, due_at, id) WHERE state = 'queued';
CREATE INDEX syncs_taken ON syncs (source, extract) WHERE finished_at IS NULL AND extract IS NOT NULL;
CREATE INDEX syncs_of_worker ON syncs (worker) WHERE finished_at IS NULL AND worker IS NOT NULL;
CREATE INDEX syncs_unnoted ON syncs (finished_at) WHERE finished_at IS NOT NULL AND noted = 0;

-- Lists ask for one state after the other, so each is read in order from one of these.
CREATE INDEX syncs_by_state ON syncs (state, id);
CREATE INDEX syncs_by_mapping ON syncs (mapping, state, id);
CREATE INDEX syncs_by_model ON syncs (model, state, id);
CREATE INDEX syncs_by_source ON syncs (source, state, id);
CREATE INDEX syncs_by_destination ON syncs (destination, state, id);
CREATE INDEX syncs_by_cause ON syncs (cause, state, id);

-- How many extracts a source bears at once, and the number of its last turn.
CREATE TABLE queue_sources (
    source       TEXT    PRIMARY KEY,
    extracts_max INTEGER NOT NULL,
    turn         INTEGER NOT NULL
) STRICT;

-- What a caller called its request to start a sync: the same again starts none.
CREATE TABLE start_keys (
    start_key TEXT    PRIMARY KEY,
    sync      TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

CREATE INDEX start_keys_by_time ON start_keys (at);

-- When mappings are due.
CREATE TABLE due (
    mapping     TEXT    PRIMARY KEY,
    model       TEXT    NOT NULL,
    -- What the rest was worked out from: the schedule as JSON, and whether it may start at all.
    schedule    TEXT    NOT NULL,
    enabled     INTEGER NOT NULL,
    -- Missing: no moment makes it due.
    next_due_at INTEGER,
    -- The moment the last start was due at.
    last_due_at INTEGER,
    -- What makes it due: the word for a sync's `cause`.
    reason      TEXT    NOT NULL,
    -- It was due while it ran, and starts once more when it has ended.
    waits       INTEGER NOT NULL DEFAULT 0,
    -- JSON: the syncs of others that its last start has seen.
    consumed    TEXT    NOT NULL DEFAULT '{}',
    -- Grows with each change, so that what was worked out from an older state is not written.
    revision    INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- Mappings of one model that are due together stand together.
CREATE INDEX due_next ON due (next_due_at, model, mapping) WHERE next_due_at IS NOT NULL AND waits = 0;
CREATE INDEX due_waiting ON due (mapping) WHERE waits = 1;

-- Which mappings wait for the end of which.
CREATE TABLE due_after (
    awaited TEXT NOT NULL,
    mapping TEXT NOT NULL,
    PRIMARY KEY (awaited, mapping)
) STRICT, WITHOUT ROWID;

CREATE INDEX due_after_of_mapping ON due_after (mapping);

-- What was done, by day of the end and destination.
CREATE TABLE usage (
    day         INTEGER NOT NULL,
    destination TEXT    NOT NULL,
    syncs       INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    partly      INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    delivered   INTEGER NOT NULL,
    undelivered INTEGER NOT NULL,
    requests    INTEGER NOT NULL,
    PRIMARY KEY (day, destination)
) STRICT, WITHOUT ROWID;

-- Who may run a mapping when several processes might. The token grows with each claim: what is written under an older
-- one is refused.
CREATE TABLE claims (
    mapping TEXT    PRIMARY KEY,
    worker  TEXT,
    attempt INTEGER NOT NULL,
    token   INTEGER NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

CREATE INDEX claims_of_worker ON claims (worker);

-- The journals of syncs whose files other machines cannot see, in parts.
CREATE TABLE journal_parts (
    sync  TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    token INTEGER NOT NULL,
    bytes BLOB    NOT NULL,
    PRIMARY KEY (sync, seq)
) STRICT, WITHOUT ROWID;

-- The newest manifest of each checkpoint that several machines share.
CREATE TABLE checkpoint_pointers (
    mapping    TEXT    PRIMARY KEY,
    object_key TEXT    NOT NULL,
    token      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- What syncs would do, worked out to be looked through.
CREATE TABLE plans (
    id           TEXT    PRIMARY KEY,
    mapping      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    worker       TEXT,
    summary      TEXT,
    file         TEXT,
    error        TEXT,
    requested_by TEXT,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX plans_of_mapping ON plans (mapping, id);
CREATE INDEX plans_by_expiry ON plans (expires_at);
