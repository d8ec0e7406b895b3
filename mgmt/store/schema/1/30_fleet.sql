-- Gateways that have joined. Their certificates are not kept: what they say is signed.
CREATE TABLE gateways (
    name      TEXT PRIMARY KEY,
    grp       TEXT NOT NULL,
    instance  TEXT NOT NULL, -- what it called itself
    joined    BIGINT NOT NULL,
    joined_by TEXT NOT NULL, -- token:ID, or who issued its certificate
    serial    TEXT NOT NULL, -- of its latest certificate
    not_after BIGINT NOT NULL,
    ended     TEXT NOT NULL, -- empty, revoked or retired
    ended_at  BIGINT NOT NULL
);
CREATE INDEX gateways_group ON gateways (grp, name);

-- What gateways said last, written every second in one transaction.
CREATE TABLE gateway_status (
    name   TEXT PRIMARY KEY,
    seen   BIGINT NOT NULL,
    away   BIGINT NOT NULL, -- microseconds for which a manager was up and did not hear of it
    report TEXT NOT NULL    -- JSON, empty before the first
);

CREATE TABLE join_tokens (
    id      TEXT PRIMARY KEY,
    grp     TEXT NOT NULL,
    hash    {{bytes}} NOT NULL, -- of the secret
    at      BIGINT NOT NULL,
    author  TEXT NOT NULL,
    note    TEXT NOT NULL,
    expires BIGINT NOT NULL,
    uses    BIGINT NOT NULL, -- how often it may be used
    used    BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);

-- What gateways trust, each bundle signed with the keys of the one before.
CREATE TABLE trust (
    serial BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    hash   TEXT NOT NULL UNIQUE,
    bundle {{bytes}} NOT NULL,
    signed {{bytes}} NOT NULL
);
