-- Emergency actions. One that has expired or was undone is kept for the record.
CREATE TABLE actions (
    id      TEXT PRIMARY KEY,
    grp     TEXT NOT NULL,
    author  TEXT NOT NULL,
    at      BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    ended   TEXT NOT NULL, -- empty, undone or refused
    ended_at BIGINT NOT NULL,
    why     TEXT NOT NULL, -- who has undone it, or the words of the gateway that has refused it
    number  BIGINT NOT NULL, -- of the set that it came with
    proven  BIGINT NOT NULL, -- 1: a gateway has applied it, or none was there to ask
    body    TEXT NOT NULL  -- JSON
);
CREATE INDEX actions_group ON actions (grp, ended, expires);

-- What is in force in a group, signed as a whole. One gateway gets it first.
CREATE TABLE action_sets (
    grp    TEXT PRIMARY KEY,
    epoch  BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    first  TEXT NOT NULL, -- the gateway that gets it before the others; empty: all get it
    tried  TEXT NOT NULL, -- those that were asked before and said nothing, with commas
    asked  BIGINT NOT NULL, -- when first was
    signed {{bytes}} NOT NULL -- JSON
);

-- What is asked of the gateways of a group before an action, and what they say.
CREATE TABLE action_questions (
    id   TEXT NOT NULL,
    grp  TEXT NOT NULL,
    at   BIGINT NOT NULL,
    body TEXT NOT NULL, -- JSON
    PRIMARY KEY (id, grp)
);
CREATE TABLE action_answers (
    question TEXT NOT NULL,
    gateway  TEXT NOT NULL,
    requests BIGINT NOT NULL,
    hit      BIGINT NOT NULL,
    refusal  TEXT NOT NULL,
    PRIMARY KEY (question, gateway)
);
