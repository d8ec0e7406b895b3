-- Times are microseconds since 1970, UTC. Names of objects and people are text as given.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A topic's counter rises with every transaction that notified it.
CREATE TABLE topics (
    name  TEXT PRIMARY KEY,
    count BIGINT NOT NULL
);

CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token  BIGINT NOT NULL, -- rises with every new holder: the fence
    until  BIGINT NOT NULL
);

-- Append-only; each entry's hash covers the one before.
CREATE TABLE audit (
    seq    BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL, -- JSON
    hash   TEXT NOT NULL
);
CREATE TABLE audit_head ( -- one row, locked by whoever appends
    id   BIGINT PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

CREATE TABLE idempotency (
    actor   TEXT NOT NULL,
    key     TEXT NOT NULL,
    request TEXT NOT NULL, -- hash of method, path, query and body
    reply   {{bytes}} NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_at ON idempotency (at);

-- The depot of revisions: objects that never change, and heads that do.
CREATE TABLE depot (
    name TEXT PRIMARY KEY,
    tag  TEXT NOT NULL,
    data {{bytes}} NOT NULL,
    at   BIGINT NOT NULL
);

-- What still has to be written to the bucket, in order.
CREATE TABLE outbox (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    head BIGINT NOT NULL, -- 1: a head, which may be replaced; 0: an object
    at   BIGINT NOT NULL
);

CREATE TABLE sealed ( -- with the master key
    name TEXT PRIMARY KEY,
    data {{bytes}} NOT NULL,
    at   BIGINT NOT NULL
);
