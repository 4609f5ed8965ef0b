-- Of passwords, links, sessions and tokens only hashes stand here.

CREATE TABLE users (
    id            TEXT    PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    -- NULL is as the role has it.
    see_personal  INTEGER,
    -- NULL while there is no password: invited, or signing in elsewhere.
    password_hash TEXT,
    issuer        TEXT,
    subject       TEXT,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    signed_in_at  INTEGER
) STRICT;

CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE subject IS NOT NULL;

-- Links that work once: to set the first owner up, to accept an invitation, to set a new password.
CREATE TABLE links (
    token_hash TEXT    PRIMARY KEY,
    purpose    TEXT    NOT NULL,
    -- NULL for the first owner's, who is nobody yet.
    user_id    TEXT    REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX links_of_user ON links (user_id);

CREATE TABLE sessions (
    id         TEXT    PRIMARY KEY,
    token_hash TEXT    NOT NULL UNIQUE,
    user_id    TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    address    TEXT,
    agent      TEXT
) STRICT;

CREATE INDEX sessions_of_user ON sessions (user_id, id DESC);

CREATE TABLE tokens (
    id           TEXT    PRIMARY KEY,
    token_hash   TEXT    NOT NULL UNIQUE,
    user_id      TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    -- Its last characters, by which a person knows it again.
    ending       TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    see_personal INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    used_at      INTEGER
) STRICT;

CREATE INDEX tokens_of_user ON tokens (user_id, id DESC);

-- Ids sort by time. Actors are not referenced: what they did stays when they are gone.
CREATE TABLE audit (
    id           TEXT    PRIMARY KEY,
    at           INTEGER NOT NULL,
    actor_id     TEXT    NOT NULL,
    actor_name   TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    subject_kind TEXT    NOT NULL,
    subject_name TEXT    NOT NULL,
    details      TEXT    NOT NULL,
    request_id   TEXT
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_actor ON audit (actor_id, id DESC);
CREATE INDEX audit_by_subject ON audit (subject_kind, subject_name, id DESC);
CREATE INDEX audit_by_action ON audit (action, id DESC);
