-- The objects as saved: the draft.
CREATE TABLE objects (
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    owner   TEXT NOT NULL, -- ui, git:NAME, discovery
    version BIGINT NOT NULL,
    body    TEXT NOT NULL, -- JSON
    PRIMARY KEY (kind, name)
);

-- Every save, with what it changed. An empty before or after is no object.
CREATE TABLE changes (
    id        TEXT PRIMARY KEY,
    seq       BIGINT NOT NULL UNIQUE,
    at        BIGINT NOT NULL,
    author    TEXT NOT NULL,
    owner     TEXT NOT NULL,
    note      TEXT NOT NULL,
    source    TEXT NOT NULL,
    kind      TEXT NOT NULL,
    name      TEXT NOT NULL,
    before    TEXT NOT NULL,
    after     TEXT NOT NULL,
    discarded BIGINT NOT NULL
);
CREATE INDEX changes_object ON changes (kind, name, seq);

CREATE TABLE revisions (
    grp     TEXT NOT NULL,
    epoch   BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    author  TEXT NOT NULL,
    note    TEXT NOT NULL,
    source  TEXT NOT NULL,
    action  TEXT NOT NULL, -- publish, undo, rollback, promote
    origin  TEXT NOT NULL, -- the revision whose content it has, of rollback and promote
    hash    TEXT NOT NULL,
    fresh   BIGINT NOT NULL, -- 1: changes are all that are in it; 0: those that are new in it
    changes TEXT NOT NULL, -- JSON list of ids
    content {{bytes}} NOT NULL, -- JSON: all objects that it was made of
    PRIMARY KEY (grp, epoch, number)
);

-- The changes that are in the latest revision of a group.
CREATE TABLE group_changes (
    grp    TEXT NOT NULL,
    change TEXT NOT NULL,
    PRIMARY KEY (grp, change)
);

-- Certificates as the revisions of a group have them, so that the same secret stays the same file.
CREATE TABLE sealed_certificates (
    grp    TEXT NOT NULL,
    secret TEXT NOT NULL,
    data   {{bytes}} NOT NULL,
    PRIMARY KEY (grp, secret)
);
