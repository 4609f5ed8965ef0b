-- What the engine remembers of records that are not delivered.

-- It was given up: no further sync tries it until its values change or a person asks for it.
ALTER TABLE failures ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;

-- Records that fail in sync after sync, of mappings that give up at some time.
CREATE TABLE failing (
    mapping         TEXT    NOT NULL,
    record_key      TEXT    NOT NULL,
    -- Of the values that fail. Others begin anew.
    fingerprint     INTEGER NOT NULL,
    first_failed_at INTEGER NOT NULL,
    syncs           INTEGER NOT NULL,
    last_sync       TEXT    NOT NULL,
    given_up_at     INTEGER,
    PRIMARY KEY (mapping, record_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX failing_given_up ON failing (mapping, record_key) WHERE given_up_at IS NOT NULL;
