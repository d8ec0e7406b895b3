-- How revisions reach the gateways of a group. One of a group is not over at a time: its latest.
CREATE TABLE rollouts (
    id         TEXT PRIMARY KEY,
    grp        TEXT NOT NULL,
    epoch      BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    hash       TEXT NOT NULL,
    base       TEXT NOT NULL, -- the revision that all had before, such as edge/1-41
    author     TEXT NOT NULL,
    stages     TEXT NOT NULL, -- JSON
    soak       BIGINT NOT NULL, -- microseconds
    began      BIGINT NOT NULL,
    ended      BIGINT NOT NULL, -- 0: it goes on
    state      TEXT NOT NULL, -- running, waiting, paused; done, halted, aborted, superseded
    stage      BIGINT NOT NULL, -- index; -1: no gateway has it
    stage_at   BIGINT NOT NULL,
    advance    BIGINT NOT NULL, -- 1: the stage is over once all have acknowledged it, as an operator said
    judgement  TEXT NOT NULL, -- JSON: the last one that changed something
    reason     TEXT NOT NULL, -- why it is in this state
    back       TEXT NOT NULL, -- the revision that took it back
    head       {{bytes}} NOT NULL, -- signed; what its gateways are shown until all have it
    head_at    BIGINT NOT NULL
);
CREATE INDEX rollouts_grp ON rollouts (grp, id);
CREATE INDEX rollouts_open ON rollouts (ended, grp);

-- Which gateways were shown a revision before all were. A gateway has the latest one that it was shown.
CREATE TABLE rollout_gateways (
    gateway TEXT PRIMARY KEY,
    grp     TEXT NOT NULL,
    rollout TEXT NOT NULL,
    stage   BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    boot    TEXT NOT NULL, -- the process that it was shown to
    away    BIGINT NOT NULL -- 1: it has said that it ends; it counts again when it is back
);
CREATE INDEX rollout_gateways_rollout ON rollout_gateways (rollout);

-- What each gateway of the group had counted when the stage began.
CREATE TABLE rollout_samples (
    rollout TEXT NOT NULL,
    gateway TEXT NOT NULL,
    sample  {{bytes}} NOT NULL, -- JSON
    PRIMARY KEY (rollout, gateway)
);

-- What gateways that are alone in their group had counted in the last hour and a bit.
CREATE TABLE rollout_past (
    gateway TEXT NOT NULL,
    at      BIGINT NOT NULL,
    sample  {{bytes}} NOT NULL,
    PRIMARY KEY (gateway, at)
);

-- What gateways refused lately, and what they died with.
CREATE TABLE rollout_refusals (
    gateway TEXT NOT NULL,
    at      BIGINT NOT NULL,
    refusal TEXT NOT NULL, -- JSON
    PRIMARY KEY (gateway, at)
);
