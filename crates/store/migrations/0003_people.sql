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
