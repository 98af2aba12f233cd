-- Schema 2: what findings lead to. The same tables as
-- postgres/0002_response.sql: change both.

-- Playbooks and exceptions are definitions too. SQLite cannot change a CHECK but
-- by its text (https://sqlite.org/lang_altertable.html, section 7); a table of that
-- name cannot be made anew, since others refer to it.
PRAGMA writable_schema = ON;
UPDATE sqlite_master
    SET sql = replace(sql, '''list'', ''project'')', '''list'', ''project'', ''playbook'', ''exception'')')
    WHERE type = 'table' AND name = 'definitions';
PRAGMA writable_schema = RESET;

-- A roll-out that gave way to a newer one was called rolled back.
UPDATE rollouts SET state = 'superseded' WHERE state = 'rolled_back' AND progress LIKE '%"superseded_by":%';

-- Findings that were not looked at yet: what they lead to is made of their facts.
-- A row comes with its finding and goes when that is done.
CREATE TABLE findings_pending (
    finding_id BLOB NOT NULL PRIMARY KEY,
    facts      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a person works on: one for each fingerprint, reopened when it comes back.
CREATE TABLE issues (
    id           BLOB NOT NULL PRIMARY KEY,
    fingerprint  TEXT NOT NULL,
    fingerprint_version INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('open', 'in_progress', 'resolved', 'rejected')),
    rejection    TEXT,
    reason       TEXT NOT NULL DEFAULT '',
    severity     INTEGER NOT NULL,
    severity_set INTEGER NOT NULL DEFAULT 0 CHECK (severity_set IN (0, 1)),
    title        TEXT NOT NULL,
    rule         TEXT NOT NULL,
    host         TEXT NOT NULL,
    namespace    TEXT,
    image        TEXT,
    assignee     BLOB REFERENCES users (id),
    count        INTEGER NOT NULL,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    opened_at    INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    closed_at    INTEGER,
    reopened     INTEGER NOT NULL DEFAULT 0,
    changed_at   INTEGER NOT NULL,
    -- What the last digest that wrote the row did to it.
    event        TEXT NOT NULL,
    UNIQUE (fingerprint, fingerprint_version)
) STRICT;
-- Only one of them has what changes with each finding that is counted.
CREATE INDEX issues_seen ON issues (last_seen, id);
CREATE INDEX issues_open ON issues (severity, due_at) WHERE status IN ('open', 'in_progress');
CREATE INDEX issues_rule ON issues (rule);
CREATE INDEX issues_host ON issues (host);
CREATE INDEX issues_assignee ON issues (assignee) WHERE assignee IS NOT NULL;

-- The projects that its findings were in.
CREATE TABLE issue_projects (
    issue_id   BLOB NOT NULL,
    project_id BLOB NOT NULL,
    PRIMARY KEY (issue_id, project_id)
) STRICT, WITHOUT ROWID;

-- What was said and done about it.
CREATE TABLE issue_notes (
    id       BLOB NOT NULL PRIMARY KEY,
    issue_id BLOB NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    at       INTEGER NOT NULL,
    author   TEXT NOT NULL,
    text     TEXT NOT NULL
) STRICT;
CREATE INDEX issue_notes_issue ON issue_notes (issue_id, id);
CREATE TRIGGER issue_notes_no_update BEFORE UPDATE ON issue_notes
    BEGIN SELECT RAISE(ABORT, 'issue_notes is append-only'); END;

-- The security graph (src/graph). A row counts for one project, or, with the nil
-- id, everywhere: whoever may see some projects reads the rows of these alone. The
-- first byte of a node's id is its kind; kinds of edges are numbers in the order in
-- which they are shown. No index on times: it would be written at every sighting.
CREATE TABLE graph_nodes (
    project     BLOB NOT NULL,
    id          BLOB NOT NULL,
    kind        INTEGER NOT NULL,
    key         TEXT NOT NULL,
    label       TEXT NOT NULL,
    name        TEXT NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_nodes_name ON graph_nodes (project, kind, name, id);

CREATE TABLE graph_edges (
    project     BLOB NOT NULL,
    src         BLOB NOT NULL,
    kind        INTEGER NOT NULL,
    dst         BLOB NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (project, src, kind, dst)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_edges_back ON graph_edges (project, dst, kind, src);

-- What response policies made of findings. A row goes with its finding.
CREATE TABLE finding_policies (
    policy     TEXT NOT NULL,
    time       INTEGER NOT NULL,
    finding_id BLOB NOT NULL,
    outcome    TEXT NOT NULL,
    kill       INTEGER NOT NULL CHECK (kill IN (0, 1)),
    parent     TEXT,
    PRIMARY KEY (policy, time, finding_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX finding_policies_finding ON finding_policies (finding_id);

-- Evidence as it was shown. What was armed on stays.
CREATE TABLE evidence_pages (
    digest             TEXT NOT NULL PRIMARY KEY,
    definition_id      BLOB NOT NULL REFERENCES definitions (id),
    definition_version INTEGER NOT NULL,
    made_at            INTEGER NOT NULL,
    page               TEXT NOT NULL,
    armed_at           INTEGER
) STRICT;
CREATE INDEX evidence_pages_old ON evidence_pages (made_at) WHERE armed_at IS NULL;
CREATE TRIGGER evidence_pages_no_delete BEFORE DELETE ON evidence_pages WHEN OLD.armed_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'evidence that was armed on stays'); END;

-- Runs of playbooks. A row with an hour counts those that were too many in it.
CREATE TABLE playbook_runs (
    id          BLOB NOT NULL PRIMARY KEY,
    playbook_id BLOB NOT NULL REFERENCES definitions (id),
    version     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    event       TEXT NOT NULL,
    issue_id    BLOB,
    finding_id  BLOB,
    dry         INTEGER NOT NULL CHECK (dry IN (0, 1)),
    state       TEXT NOT NULL,
    count       INTEGER NOT NULL,
    hour        INTEGER,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX playbook_runs_hour ON playbook_runs (playbook_id, hour) WHERE hour IS NOT NULL;
CREATE INDEX playbook_runs_playbook ON playbook_runs (playbook_id, created_at);
CREATE INDEX playbook_runs_state ON playbook_runs (state, id);
CREATE INDEX playbook_runs_issue ON playbook_runs (issue_id, id) WHERE issue_id IS NOT NULL;
CREATE INDEX playbook_runs_ended ON playbook_runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE playbook_steps (
    run_id      BLOB NOT NULL REFERENCES playbook_runs (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    action      TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    detail      TEXT NOT NULL,
    approved_by TEXT,
    approved_at INTEGER,
    changed_at  INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;
