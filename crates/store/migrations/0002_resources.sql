-- Definitions and their versions, settings of the server, granted access, answers of requests that may come twice.

-- The document has the form of a project's file. What it refers to stands beside it, for lists and for deletions.
CREATE TABLE resources (
    id              TEXT    PRIMARY KEY,
    kind            TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    enabled         INTEGER NOT NULL,
    document        TEXT    NOT NULL,
    managed_by      TEXT,
    ref_source      TEXT,
    ref_model       TEXT,
    ref_destination TEXT,
    found_by        TEXT    NOT NULL,
    revision        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    updated_by      TEXT    NOT NULL,
    updated_by_name TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX resources_by_name ON resources (kind, name);
CREATE INDEX resources_of_source ON resources (ref_source) WHERE ref_source IS NOT NULL;
CREATE INDEX resources_of_model ON resources (ref_model, name) WHERE ref_model IS NOT NULL;
CREATE INDEX resources_of_destination ON resources (ref_destination, name) WHERE ref_destination IS NOT NULL;
CREATE INDEX resources_by_revision ON resources (revision);

-- Mappings that wait for other mappings.
CREATE TABLE resource_waits (
    resource TEXT NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    mapping  TEXT NOT NULL,
    PRIMARY KEY (resource, mapping)
) STRICT, WITHOUT ROWID;

CREATE INDEX resource_waits_for ON resource_waits (mapping);

CREATE TABLE resource_versions (
    resource   TEXT    NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    change     TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    managed_by TEXT,
    at         INTEGER NOT NULL,
    actor_id   TEXT    NOT NULL,
    actor_name TEXT    NOT NULL,
    PRIMARY KEY (resource, version)
) STRICT, WITHOUT ROWID;

-- One row: it grows with every change of a definition, and whoever changes one holds it meanwhile.
CREATE TABLE resource_revision (
    one      INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE server_settings (
    key             TEXT    PRIMARY KEY,
    value           TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    updated_by      TEXT    NOT NULL,
    updated_by_name TEXT    NOT NULL
) STRICT;

-- Tokens that a person granted or a tool renewed, as a sealed JSON text. Whoever renews them holds them for a while.
CREATE TABLE granted_tokens (
    destination TEXT    PRIMARY KEY,
    tokens      TEXT,
    updated_at  INTEGER NOT NULL,
    holder      TEXT,
    held_until  INTEGER
) STRICT;

-- Answers of requests that may come a second time.
CREATE TABLE idempotency (
    caller       TEXT    NOT NULL,
    route        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    request_hash TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    status       INTEGER,
    answer       TEXT,
    begun_at     INTEGER NOT NULL,
    PRIMARY KEY (caller, route, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_time ON idempotency (begun_at);
