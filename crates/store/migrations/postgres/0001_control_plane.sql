-- Schema 1. Ids are UUIDv7, times microseconds since 1970 (UTC).
-- The same tables as sqlite/0001_control_plane.sql: change both. Where texts are
-- sorted or many, they are compared byte by byte, as SQLite does.

-- What everybody decides: rules, policies, lists, projects.
CREATE TABLE definitions (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('rule', 'policy', 'list', 'project')),
    name        text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    stage       text NOT NULL CHECK (stage IN ('draft', 'simulate', 'block')),
    body        text NOT NULL,
    actor       text NOT NULL,
    reason      text NOT NULL,
    changed_at  bigint NOT NULL,
    deleted     boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX definitions_name ON definitions (kind, name) WHERE NOT deleted;

-- A version is never changed once it stands.
CREATE TABLE definition_versions (
    definition_id uuid NOT NULL REFERENCES definitions (id),
    version     bigint NOT NULL,
    stage       text NOT NULL,
    body        text NOT NULL,
    projects    jsonb NOT NULL,
    actor       text NOT NULL,
    reason      text NOT NULL,
    changed_at  bigint NOT NULL,
    deleted     boolean NOT NULL,
    PRIMARY KEY (definition_id, version)
);

-- The projects that a definition's latest version is for; none: all sensors.
CREATE TABLE definition_projects (
    definition_id uuid NOT NULL REFERENCES definitions (id),
    project_id  uuid NOT NULL REFERENCES definitions (id),
    PRIMARY KEY (definition_id, project_id)
);
CREATE INDEX definition_projects_project ON definition_projects (project_id);

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE,
    password_hash text,
    issuer        text,
    subject       text,
    version       bigint NOT NULL,
    created_at    bigint NOT NULL,
    disabled_at   bigint,
    UNIQUE (issuer, subject)
);

-- A grant without a project holds everywhere.
CREATE TABLE grants (
    user_id    uuid NOT NULL REFERENCES users (id),
    role       text NOT NULL,
    project_id uuid REFERENCES definitions (id)
);
CREATE UNIQUE INDEX grants_once ON grants
    (user_id, role, COALESCE(project_id, '00000000-0000-0000-0000-000000000000'::uuid));
CREATE INDEX grants_project ON grants (project_id);

CREATE TABLE api_tokens (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id),
    name       text NOT NULL,
    hash       bytea NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint,
    used_at    bigint,
    revoked_at bigint
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

CREATE TABLE join_tokens (
    id         uuid PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE,
    labels     jsonb NOT NULL,
    actor      text NOT NULL,
    reason     text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    uses_left  bigint NOT NULL CHECK (uses_left >= 0),
    revoked_at bigint
);

CREATE TABLE sensors (
    id             uuid PRIMARY KEY,
    join_token_id  uuid NOT NULL REFERENCES join_tokens (id),
    host           text NOT NULL,
    labels         jsonb NOT NULL,
    facts          jsonb NOT NULL,
    enrolled_at    bigint NOT NULL,
    revoked_at     bigint,
    seen_at        bigint,
    bundle_scope   text,
    bundle_version bigint,
    health         jsonb,
    coverage       jsonb
);

-- While a certificate is being replaced, the old one and the new one are both good.
CREATE TABLE certificates (
    serial     text PRIMARY KEY,
    sensor_id  uuid NOT NULL REFERENCES sensors (id),
    issued_at  bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint
);
CREATE INDEX certificates_sensor ON certificates (sensor_id);

-- How each rule stands on each sensor.
CREATE TABLE sensor_rules (
    sensor_id   uuid NOT NULL REFERENCES sensors (id),
    rule        text COLLATE "C" NOT NULL,
    mode        text NOT NULL,
    detail      text,
    reported_at bigint NOT NULL,
    PRIMARY KEY (sensor_id, rule)
);
CREATE INDEX sensor_rules_rule ON sensor_rules (rule, mode);

-- The newest version of each scope: what makes versions go up only.
CREATE TABLE bundle_scopes (
    scope  text PRIMARY KEY,
    latest bigint NOT NULL
);

CREATE TABLE bundles (
    id         uuid PRIMARY KEY,
    scope      text NOT NULL REFERENCES bundle_scopes (scope),
    version    bigint NOT NULL,
    key_id     text NOT NULL,
    bytes      bytea NOT NULL,
    actor      text NOT NULL,
    reason     text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    UNIQUE (scope, version)
);

CREATE TABLE rollouts (
    id         uuid PRIMARY KEY,
    bundle_id  uuid NOT NULL REFERENCES bundles (id),
    scope      text NOT NULL,
    state      text NOT NULL,
    version    bigint NOT NULL,
    plan       jsonb NOT NULL,
    progress   jsonb NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    reason     text NOT NULL
);
-- One at a time in each scope.
CREATE UNIQUE INDEX rollouts_active ON rollouts (scope)
    WHERE state IN ('canary', 'full', 'halted');

CREATE TABLE findings (
    id            uuid PRIMARY KEY,
    sensor_id     uuid NOT NULL,
    uid           text COLLATE "C" NOT NULL,
    time          bigint NOT NULL,
    received_at   bigint NOT NULL,
    severity      bigint NOT NULL,
    disposition   bigint NOT NULL,
    rule          text COLLATE "C" NOT NULL,
    host          text COLLATE "C" NOT NULL,
    container     text COLLATE "C",
    image         text COLLATE "C",
    username      text COLLATE "C",
    process       text COLLATE "C",
    fingerprint   text COLLATE "C" NOT NULL,
    fingerprint_version bigint NOT NULL,
    bytes         bigint NOT NULL
);
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
    project_id uuid NOT NULL,
    time       bigint NOT NULL,
    finding_id uuid NOT NULL,
    PRIMARY KEY (project_id, time, finding_id)
);
CREATE INDEX finding_projects_finding ON finding_projects (finding_id);

-- Apart, so that a walk over the columns does not read them. They and the
-- rows of finding_projects come and go with their finding, in one transaction;
-- no foreign key watches it, for its price on every row.
CREATE TABLE finding_bodies (
    finding_id uuid PRIMARY KEY,
    ocsf       jsonb NOT NULL
);

-- How many findings there are, and their bytes: the sum over the shards.
-- Several, so that replicas do not wait for each other.
CREATE TABLE findings_tally (
    shard    bigint PRIMARY KEY,
    findings bigint NOT NULL,
    bytes    bigint NOT NULL
);
INSERT INTO findings_tally SELECT shard, 0, 0 FROM generate_series(0, 15) AS shard;

CREATE TABLE jobs (
    id           uuid PRIMARY KEY,
    queue        text NOT NULL,
    key          text,
    payload      jsonb NOT NULL,
    due_at       bigint NOT NULL,
    attempts     bigint NOT NULL DEFAULT 0,
    max_attempts bigint NOT NULL,
    lease        uuid,
    last_error   text,
    dead         boolean NOT NULL DEFAULT false,
    created_at   bigint NOT NULL
);
CREATE INDEX jobs_due ON jobs (queue, due_at, id) WHERE NOT dead;
CREATE UNIQUE INDEX jobs_key ON jobs (queue, key) WHERE key IS NOT NULL AND NOT dead;

CREATE TABLE audit (
    seq         bigint PRIMARY KEY,
    at          bigint NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    kind        text NOT NULL,
    subject     text NOT NULL,
    reason      text NOT NULL,
    detail      text NOT NULL,
    hash        bytea NOT NULL
);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_subject ON audit (kind, subject, seq);

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER definition_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON definition_versions
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
