-- Times are microseconds since 1970 (UTC); ids and states are the words of the program.

CREATE TABLE syncs (
    id            TEXT    PRIMARY KEY,
    mapping       TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    trigger       TEXT    NOT NULL,
    started_at    INTEGER NOT NULL,
    finished_at   INTEGER,
    counts        TEXT    NOT NULL,
    held_code     TEXT,
    held_message  TEXT,
    error_code    TEXT,
    error_message TEXT,
    error_hint    TEXT,
    change_set    TEXT,
    disk_bytes    INTEGER NOT NULL DEFAULT 0,
    memory_bytes  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX syncs_of_mapping ON syncs (mapping, started_at DESC, id DESC);
CREATE INDEX syncs_by_start ON syncs (started_at DESC, id DESC);
CREATE INDEX syncs_unfinished ON syncs (mapping) WHERE finished_at IS NULL;

-- What became of the records that were not delivered. Delivered ones are counted, and kept in the history.
CREATE TABLE failures (
    sync         TEXT    NOT NULL REFERENCES syncs (id) ON DELETE CASCADE,
    record_index INTEGER NOT NULL,
    record_key   TEXT    NOT NULL,
    operation    TEXT    NOT NULL,
    outcome      TEXT    NOT NULL,
    code         TEXT    NOT NULL,
    message      TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (sync, record_index)
) STRICT, WITHOUT ROWID;

CREATE INDEX failures_by_code ON failures (sync, outcome, code);

-- Where each mapping's checkpoint lies, and which definition of the mapping it was made with.
CREATE TABLE checkpoints (
    mapping         TEXT    PRIMARY KEY,
    folder          TEXT    NOT NULL,
    records         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    definition_hash TEXT    NOT NULL,
    definition      TEXT    NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_sync       TEXT
) STRICT;
