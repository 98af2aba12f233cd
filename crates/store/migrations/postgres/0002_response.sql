-- Schema 2: what findings lead to. The same tables as
-- sqlite/0002_response.sql: change both.

-- Playbooks and exceptions are definitions too.
ALTER TABLE definitions DROP CONSTRAINT definitions_kind_check;
ALTER TABLE definitions ADD CONSTRAINT definitions_kind_check
    CHECK (kind IN ('rule', 'policy', 'list', 'project', 'playbook', 'exception'));

-- A roll-out that gave way to a newer one was called rolled back.
UPDATE rollouts SET state = 'superseded' WHERE state = 'rolled_back' AND progress ? 'superseded_by';

-- Findings that were not looked at yet: what they lead to is made of their facts.
-- A row comes with its finding and goes when that is done. Its pages are used again
-- and again: they are cleaned often.
CREATE TABLE findings_pending (
    finding_id uuid PRIMARY KEY,
    facts      jsonb NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- What a person works on: one for each fingerprint, reopened when it comes back.
CREATE TABLE issues (
    id           uuid PRIMARY KEY,
    fingerprint  text NOT NULL,
    fingerprint_version bigint NOT NULL,
    version      bigint NOT NULL,
    status       text NOT NULL CHECK (status IN ('open', 'in_progress', 'resolved', 'rejected')),
    rejection    text,
    reason       text NOT NULL DEFAULT '',
    severity     bigint NOT NULL,
    severity_set boolean NOT NULL DEFAULT false,
    title        text NOT NULL,
    rule         text NOT NULL,
    host         text NOT NULL,
    namespace    text,
    image        text,
    assignee     uuid REFERENCES users (id),
    count        bigint NOT NULL,
    first_seen   bigint NOT NULL,
    last_seen    bigint NOT NULL,
    opened_at    bigint NOT NULL,
    due_at       bigint NOT NULL,
    closed_at    bigint,
    reopened     bigint NOT NULL DEFAULT 0,
    changed_at   bigint NOT NULL,
    -- What the last digest that wrote the row did to it.
    event        text NOT NULL,
    UNIQUE (fingerprint, fingerprint_version)
);
-- Only one of them has what changes with each finding that is counted.
CREATE INDEX issues_seen ON issues (last_seen, id);
CREATE INDEX issues_open ON issues (severity, due_at) WHERE status IN ('open', 'in_progress');
CREATE INDEX issues_rule ON issues (rule);
CREATE INDEX issues_host ON issues (host);
CREATE INDEX issues_assignee ON issues (assignee) WHERE assignee IS NOT NULL;

-- The projects that its findings were in.
CREATE TABLE issue_projects (
    issue_id   uuid NOT NULL,
    project_id uuid NOT NULL,
    PRIMARY KEY (issue_id, project_id)
);

-- What was said and done about it.
CREATE TABLE issue_notes (
    id       uuid PRIMARY KEY,
    issue_id uuid NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    at       bigint NOT NULL,
    author   text NOT NULL,
    text     text NOT NULL
);
CREATE INDEX issue_notes_issue ON issue_notes (issue_id, id);
CREATE TRIGGER issue_notes_no_update BEFORE UPDATE ON issue_notes
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- The security graph (src/graph). A row counts for one project, or, with the nil
-- id, everywhere: whoever may see some projects reads the rows of these alone. The
-- first byte of a node's id is its kind; kinds of edges are numbers in the order in
-- which they are shown. No index on times, and room in the pages: rows are changed at
-- every sighting, and that then costs no more than the row.
CREATE TABLE graph_nodes (
    project     uuid NOT NULL,
    id          uuid NOT NULL,
    kind        bigint NOT NULL,
    key         text COLLATE "C" NOT NULL,
    label       text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    first_seen  bigint NOT NULL,
    last_seen   bigint NOT NULL,
    count       bigint NOT NULL,
    PRIMARY KEY (project, id)
) WITH (fillfactor = 80);
CREATE INDEX graph_nodes_name ON graph_nodes (project, kind, name, id);

CREATE TABLE graph_edges (
    project     uuid NOT NULL,
    src         uuid NOT NULL,
    kind        bigint NOT NULL,
    dst         uuid NOT NULL,
    first_seen  bigint NOT NULL,
    last_seen   bigint NOT NULL,
    count       bigint NOT NULL,
    PRIMARY KEY (project, src, kind, dst)
) WITH (fillfactor = 80);
CREATE INDEX graph_edges_back ON graph_edges (project, dst, kind, src);

-- What response policies made of findings. A row goes with its finding.
CREATE TABLE finding_policies (
    policy     text NOT NULL,
    time       bigint NOT NULL,
    finding_id uuid NOT NULL,
    outcome    text NOT NULL,
    kill       boolean NOT NULL,
    parent     text,
    PRIMARY KEY (policy, time, finding_id)
);
CREATE INDEX finding_policies_finding ON finding_policies (finding_id);

-- Evidence as it was shown. What was armed on stays.
CREATE TABLE evidence_pages (
    digest             text NOT NULL PRIMARY KEY,
    definition_id      uuid NOT NULL REFERENCES definitions (id),
    definition_version bigint NOT NULL,
    made_at            bigint NOT NULL,
    page               text NOT NULL,
    armed_at           bigint
);
CREATE INDEX evidence_pages_old ON evidence_pages (made_at) WHERE armed_at IS NULL;
CREATE FUNCTION armed_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'evidence that was armed on stays';
END
$$;
CREATE TRIGGER evidence_pages_no_delete BEFORE DELETE ON evidence_pages
    FOR EACH ROW WHEN (OLD.armed_at IS NOT NULL) EXECUTE FUNCTION armed_stays();

-- Runs of playbooks. A row with an hour counts those that were too many in it.
CREATE TABLE playbook_runs (
    id          uuid NOT NULL PRIMARY KEY,
    playbook_id uuid NOT NULL REFERENCES definitions (id),
    version     bigint NOT NULL,
    name        text NOT NULL,
    event       text NOT NULL,
    issue_id    uuid,
    finding_id  uuid,
    dry         boolean NOT NULL,
    state       text NOT NULL,
    count       bigint NOT NULL,
    hour        bigint,
    created_at  bigint NOT NULL,
    ended_at    bigint
);
CREATE UNIQUE INDEX playbook_runs_hour ON playbook_runs (playbook_id, hour) WHERE hour IS NOT NULL;
CREATE INDEX playbook_runs_playbook ON playbook_runs (playbook_id, created_at);
CREATE INDEX playbook_runs_state ON playbook_runs (state, id);
CREATE INDEX playbook_runs_issue ON playbook_runs (issue_id, id) WHERE issue_id IS NOT NULL;
CREATE INDEX playbook_runs_ended ON playbook_runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE playbook_steps (
    run_id      uuid NOT NULL REFERENCES playbook_runs (id) ON DELETE CASCADE,
    number      bigint NOT NULL,
    action      text NOT NULL,
    state       text NOT NULL,
    attempts    bigint NOT NULL,
    detail      text NOT NULL,
    approved_by text,
    approved_at bigint,
    changed_at  bigint NOT NULL,
    PRIMARY KEY (run_id, number)
);
