-- Of all that proves who somebody is there are only hashes here; secrets of TOTP are sealed.

CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    password   TEXT NOT NULL, -- argon2id with its parameters; empty: none
    issuer     TEXT NOT NULL, -- of the identity provider; empty: a local account
    subject    TEXT NOT NULL,
    grants     TEXT NOT NULL, -- JSON
    disabled   BIGINT NOT NULL,
    totp       BIGINT NOT NULL, -- 1: asked for
    totp_step  BIGINT NOT NULL, -- the last one used: no code works twice
    version    BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    last_login BIGINT NOT NULL
);
CREATE INDEX users_subject ON users (issuer, subject);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL,
    hash    TEXT NOT NULL,
    PRIMARY KEY (user_id, hash)
);

CREATE TABLE sessions (
    id      TEXT PRIMARY KEY,
    hash    TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    address TEXT NOT NULL,
    agent   TEXT NOT NULL,
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL, -- to the minute
    expires BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE api_tokens (
    id      TEXT PRIMARY KEY,
    hash    TEXT NOT NULL UNIQUE,
    name    TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    parent  TEXT NOT NULL, -- the token that it was made with; empty: a session
    grants  TEXT NOT NULL, -- JSON
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL, -- to the minute
    expires BIGINT NOT NULL
);

-- One-time links: setup of the first account, and new passwords.
CREATE TABLE auth_links (
    hash    TEXT PRIMARY KEY,
    user_id TEXT NOT NULL, -- empty: the first account
    expires BIGINT NOT NULL
);

-- Attempts to sign in, by account and by address.
CREATE TABLE login_attempts (
    key   TEXT PRIMARY KEY,
    count BIGINT NOT NULL,
    last  BIGINT NOT NULL
);

-- Sign-ins that went to the identity provider and have not come back.
CREATE TABLE oidc_logins (
    hash    TEXT PRIMARY KEY,
    expires BIGINT NOT NULL
);
