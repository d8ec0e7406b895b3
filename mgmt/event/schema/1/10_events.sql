-- Times are microseconds since 1970, UTC; days are counted from then. Tables with the column day are dropped day by day in PostgreSQL.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE topics (
    name  TEXT PRIMARY KEY,
    count BIGINT NOT NULL
);

-- The next number of an event. Whoever stores locks it first, so that numbers are seen in their order.
CREATE TABLE numbers (
    id   BIGINT PRIMARY KEY,
    next BIGINT NOT NULL
);
INSERT INTO numbers (id, next) VALUES (1, 1);

-- Up to which batch the spools of gateways are stored.
CREATE TABLE spools (
    gateway TEXT NOT NULL,
    spool   TEXT NOT NULL,
    stored  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (gateway, spool)
);

-- Records as the gateways made them: the lines of the events id to id+events-1, compressed together.
CREATE TABLE blocks (
    day    BIGINT NOT NULL,
    id     BIGINT NOT NULL,
    events BIGINT NOT NULL,
    data   {{bytes}} NOT NULL,
    PRIMARY KEY (id, day)
) {{by_day}};

-- What events are found by.
CREATE TABLE events (
    day         BIGINT NOT NULL,
    id          BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    block       BIGINT NOT NULL,
    incident    TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    grp         TEXT NOT NULL,
    application TEXT NOT NULL,
    verdict     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    client      {{bytes}} NOT NULL, -- 16 bytes, IPv4 mapped; none if it is no address
    host        TEXT NOT NULL,
    path        TEXT NOT NULL,
    path_key    BIGINT NOT NULL, -- a hash of path
    rules       TEXT NOT NULL -- those that matched, with spaces between
) {{by_day}};
CREATE UNIQUE INDEX events_id ON events (id, day);
CREATE INDEX events_at ON events (at, id);
CREATE INDEX events_incident ON events (incident);
CREATE INDEX events_application ON events (application, at, id);
CREATE INDEX events_client ON events (client, at, id);
CREATE INDEX events_path ON events (path_key, at, id);

CREATE TABLE event_rules (
    day   BIGINT NOT NULL,
    rule  BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (rule, at, event, day)
) {{by_day}};

-- Exact numbers of events, by minute, and by hour once they are two days old.
CREATE TABLE counts (
    minute      BIGINT NOT NULL,
    application TEXT NOT NULL,
    verdict     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    rule        BIGINT NOT NULL, -- the first that matched, 0 if none did
    events      BIGINT NOT NULL,
    sampled     BIGINT NOT NULL, -- of them, those that were counted only
    PRIMARY KEY (minute, application, verdict, reason, rule)
);
