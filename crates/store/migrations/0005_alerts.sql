-- What is watched, what is wrong with it, and who is told. The document is the form of the API.
CREATE TABLE alert_rules (
    id              TEXT    PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    enabled         INTEGER NOT NULL,
    document        TEXT    NOT NULL,
    muted_until     INTEGER,
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    updated_by      TEXT    NOT NULL,
    updated_by_name TEXT    NOT NULL
) STRICT;

-- Ways to tell people and programs. Secrets in the document are sealed.
CREATE TABLE alert_channels (
    id              TEXT    PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    document        TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    updated_by      TEXT    NOT NULL,
    updated_by_name TEXT    NOT NULL
) STRICT;

-- Trouble of one kind with one subject, as one rule sees it, from its beginning to its end.
CREATE TABLE alerts (
    id              TEXT    PRIMARY KEY,
    rule            TEXT    NOT NULL,
    rule_name       TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    subject_kind    TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    raised_at       INTEGER NOT NULL,
    ended_at        INTEGER,
    ending          TEXT,
    message         TEXT    NOT NULL,
    details         TEXT    NOT NULL,
    sync            TEXT,
    told_at         INTEGER,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    muted_until     INTEGER
) STRICT;

CREATE UNIQUE INDEX alerts_open ON alerts (rule, kind, subject_kind, subject) WHERE ended_at IS NULL;
CREATE INDEX alerts_of_subject ON alerts (subject, id DESC);

-- What was written down of it: its beginning, its end, that it was told again.
CREATE TABLE alert_events (
    id      TEXT    PRIMARY KEY,
    alert   TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    change  TEXT    NOT NULL,
    -- As they were then, so that what is sent twice says the same twice.
    message TEXT    NOT NULL,
    details TEXT    NOT NULL,
    sync    TEXT
) STRICT;

CREATE INDEX alert_events_of_alert ON alert_events (alert, id);
CREATE INDEX alert_events_by_time ON alert_events (at);

-- Who has read what: everything up to the mark, and single ones after it.
CREATE TABLE alert_read_marks (
    person TEXT PRIMARY KEY,
    event  TEXT NOT NULL
) STRICT;

CREATE TABLE alert_reads (
    person TEXT NOT NULL,
    event  TEXT NOT NULL REFERENCES alert_events (id) ON DELETE CASCADE,
    PRIMARY KEY (person, event)
) STRICT, WITHOUT ROWID;

-- What is to be sent: events that go through one channel together.
CREATE TABLE alert_dispatches (
    id              TEXT    PRIMARY KEY,
    channel         TEXT    NOT NULL REFERENCES alert_channels (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    -- Recipients who have it already.
    received_by     TEXT    NOT NULL,
    answer          TEXT,
    ended_at        INTEGER
) STRICT;

CREATE INDEX alert_dispatches_due ON alert_dispatches (next_attempt_at) WHERE state = 'pending';
CREATE INDEX alert_dispatches_open ON alert_dispatches (channel) WHERE state = 'pending' AND attempts = 0;

CREATE TABLE alert_dispatch_events (
    dispatch TEXT NOT NULL REFERENCES alert_dispatches (id) ON DELETE CASCADE,
    event    TEXT NOT NULL REFERENCES alert_events (id) ON DELETE CASCADE,
    PRIMARY KEY (dispatch, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_dispatches_of_event ON alert_dispatch_events (event);

-- Which process looks at what has happened, and up to when it has.
CREATE TABLE alert_watch (
    id           INTEGER PRIMARY KEY,
    watcher      TEXT    NOT NULL,
    until        INTEGER NOT NULL,
    looked_up_to INTEGER NOT NULL
) STRICT;

-- The columns of a model in the newest extract, and each time they were others than in the extract before.
CREATE TABLE model_columns (
    model   TEXT    PRIMARY KEY,
    columns TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

CREATE TABLE model_column_changes (
    model          TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    sync           TEXT,
    columns_before TEXT    NOT NULL,
    columns_now    TEXT    NOT NULL,
    PRIMARY KEY (model, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX model_column_changes_by_time ON model_column_changes (at);

-- What has ended is looked at in the order of its end.
CREATE INDEX syncs_by_finish ON syncs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX syncs_held ON syncs (mapping) WHERE state = 'held';
