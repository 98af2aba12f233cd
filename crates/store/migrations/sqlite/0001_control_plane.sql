-- Schema 1. Ids are UUIDv7, times microseconds since 1970 (UTC).
-- The same tables as postgres/0001_control_plane.sql: change both.

-- What everybody decides: rules, policies, lists, projects.
CREATE TABLE definitions (
    id          BLOB NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('rule', 'policy', 'list', 'project')),
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    stage       TEXT NOT NULL CHECK (stage IN ('draft', 'simulate', 'block')),
    body        TEXT NOT NULL,
    actor       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    changed_at  INTEGER NOT NULL,
    deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX definitions_name ON definitions (kind, name) WHERE NOT deleted;

-- A version is never changed once it stands.
CREATE TABLE definition_versions (
    definition_id BLOB NOT NULL REFERENCES definitions (id),
    version     INTEGER NOT NULL,
    stage       TEXT NOT NULL,
    body        TEXT NOT NULL,
    projects    TEXT NOT NULL,
    actor       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    changed_at  INTEGER NOT NULL,
    deleted     INTEGER NOT NULL,
    PRIMARY KEY (definition_id, version)
) STRICT;

-- The projects that a definition's latest version is for; none: all sensors.
CREATE TABLE definition_projects (
    definition_id BLOB NOT NULL REFERENCES definitions (id),
    project_id  BLOB NOT NULL REFERENCES definitions (id),
    PRIMARY KEY (definition_id, project_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX definition_projects_project ON definition_projects (project_id);

CREATE TABLE users (
    id            BLOB NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    issuer        TEXT,
    subject       TEXT,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER,
    UNIQUE (issuer, subject)
) STRICT;

-- A grant without a project holds everywhere.
CREATE TABLE grants (
    user_id    BLOB NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL,
    project_id BLOB REFERENCES definitions (id)
) STRICT;
CREATE UNIQUE INDEX grants_once ON grants
    (user_id, role, COALESCE(project_id, x'00000000000000000000000000000000'));
CREATE INDEX grants_project ON grants (project_id);

CREATE TABLE api_tokens (
    id         BLOB NOT NULL PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES users (id),
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_tokens_user ON api_tokens (user_id);

CREATE TABLE join_tokens (
    id         BLOB NOT NULL PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    labels     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    revoked_at INTEGER
) STRICT;

CREATE TABLE sensors (
    id             BLOB NOT NULL PRIMARY KEY,
    join_token_id  BLOB NOT NULL REFERENCES join_tokens (id),
    host           TEXT NOT NULL,
    labels         TEXT NOT NULL,
    facts          TEXT NOT NULL,
    enrolled_at    INTEGER NOT NULL,
    revoked_at     INTEGER,
    seen_at        INTEGER,
    bundle_scope   TEXT,
    bundle_version INTEGER,
    health         TEXT,
    coverage       TEXT
) STRICT;

-- While a certificate is being replaced, the old one and the new one are both good.
CREATE TABLE certificates (
    serial     TEXT NOT NULL PRIMARY KEY,
    sensor_id  BLOB NOT NULL REFERENCES sensors (id),
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX certificates_sensor ON certificates (sensor_id);

-- How each rule stands on each sensor.
CREATE TABLE sensor_rules (
    sensor_id   BLOB NOT NULL REFERENCES sensors (id),
    rule        TEXT NOT NULL,
    mode        TEXT NOT NULL,
    detail      TEXT,
    reported_at INTEGER NOT NULL,
    PRIMARY KEY (sensor_id, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX sensor_rules_rule ON sensor_rules (rule, mode);

-- The newest version of each scope: what makes versions go up only.
CREATE TABLE bundle_scopes (
    scope  TEXT NOT NULL PRIMARY KEY,
    latest INTEGER NOT NULL
) STRICT;

CREATE TABLE bundles (
    id         BLOB NOT NULL PRIMARY KEY,
    scope      TEXT NOT NULL REFERENCES bundle_scopes (scope),
    version    INTEGER NOT NULL,
    key_id     TEXT NOT NULL,
    bytes      BLOB NOT NULL,
    actor      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    UNIQUE (scope, version)
) STRICT;

CREATE TABLE rollouts (
    id         BLOB NOT NULL PRIMARY KEY,
    bundle_id  BLOB NOT NULL REFERENCES bundles (id),
    scope      TEXT NOT NULL,
    state      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    plan       TEXT NOT NULL,
    progress   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    reason     TEXT NOT NULL
) STRICT;
-- One at a time in each scope.
CREATE UNIQUE INDEX rollouts_active ON rollouts (scope)
    WHERE state IN ('canary', 'full', 'halted');

CREATE TABLE findings (
    id            BLOB NOT NULL PRIMARY KEY,
    sensor_id     BLOB NOT NULL,
    uid           TEXT NOT NULL,
    time          INTEGER NOT NULL,
    received_at   INTEGER NOT NULL,
    severity      INTEGER NOT NULL,
    disposition   INTEGER NOT NULL,
    rule          TEXT NOT NULL,
    host          TEXT NOT NULL,
    container     TEXT,
    image         TEXT,
    username      TEXT,
    process       TEXT,
    fingerprint   TEXT NOT NULL,
    fingerprint_version INTEGER NOT NULL,
    bytes         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The sensor's id is part of the key: none can use up another's ids.
CREATE UNIQUE INDEX findings_once ON findings (sensor_id, uid);
CREATE INDEX findings_time ON findings (time, id);
CREATE INDEX findings_severity ON findings (severity, time, id);
CREATE INDEX findings_disposition ON findings (disposition, time, id);
CREATE INDEX findings_rule ON findings (rule, time, id);
CREATE INDEX findings_host ON findings (host, time, id);
CREATE INDEX findings_container ON findings (container, time, id) WHERE container IS NOT NULL;
CREATE INDEX findings_image ON findings (image, time, id) WHERE image IS NOT NULL;
CREATE INDEX findings_username ON findings (username, time, id) WHERE username IS NOT NULL;
CREATE INDEX findings_process ON findings (process, time, id) WHERE process IS NOT NULL;
CREATE INDEX findings_fingerprint ON findings (fingerprint, time, id);

CREATE TABLE finding_projects (
    project_id BLOB NOT NULL,
    time       INTEGER NOT NULL,
    finding_id BLOB NOT NULL,
    PRIMARY KEY (project_id, time, finding_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX finding_projects_finding ON finding_projects (finding_id);

-- Apart, so that a walk over the columns does not read them. They and the
-- rows of finding_projects come and go with their finding, in one transaction;
-- no foreign key watches it, for its price on every row.
CREATE TABLE finding_bodies (
    finding_id BLOB NOT NULL PRIMARY KEY,
    ocsf       TEXT NOT NULL
) STRICT;

-- How many findings there are, and their bytes: the sum over the shards.
-- Several, so that replicas do not wait for each other.
CREATE TABLE findings_tally (
    shard    INTEGER PRIMARY KEY,
    findings INTEGER NOT NULL,
    bytes    INTEGER NOT NULL
) STRICT;
WITH RECURSIVE shards (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < 15)
INSERT INTO findings_tally SELECT shard, 0, 0 FROM shards;

CREATE TABLE jobs (
    id           BLOB NOT NULL PRIMARY KEY,
    queue        TEXT NOT NULL,
    key          TEXT,
    payload      TEXT NOT NULL,
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    lease        BLOB,
    last_error   TEXT,
    dead         INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0, 1)),
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (queue, due_at, id) WHERE NOT dead;
CREATE UNIQUE INDEX jobs_key ON jobs (queue, key) WHERE key IS NOT NULL AND NOT dead;

CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    hash        BLOB NOT NULL
) STRICT;
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_subject ON audit (kind, subject, seq);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER definition_versions_no_update BEFORE UPDATE ON definition_versions
    BEGIN SELECT RAISE(ABORT, 'definition_versions is append-only'); END;
CREATE TRIGGER definition_versions_no_delete BEFORE DELETE ON definition_versions
    BEGIN SELECT RAISE(ABORT, 'definition_versions is append-only'); END;
