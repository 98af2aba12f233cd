-- Schema 2: what findings lead to. The same tables as
-- sqlite/0002_response.sql: change both.

-- Playbooks and exceptions are definitions too.
ALTER TABLE definitions DROP CONSTRAINT definitions_kind_check;
ALTER TABLE definitions ADD CONSTRAINT definitions_kind_check
    CHECK (kind IN ('rule', 'policy', 'list', 'project', 'playbook', 'exception'));

-- The security graph (src/graph). A row counts for one project, or, with the nil
-- id, everywhere: whoever may see some projects reads the rows of these alone. The
-- first byte of a node's id is its kind; kinds of edges are numbers in the order in
-- which they are shown. Half of the rows are changed again and again: room for that.
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
    seen_day    bigint NOT NULL,
    PRIMARY KEY (project, id)
) WITH (fillfactor = 80);
CREATE INDEX graph_nodes_name ON graph_nodes (project, kind, name, id);
CREATE INDEX graph_nodes_day ON graph_nodes (seen_day);

CREATE TABLE graph_edges (
    project     uuid NOT NULL,
    src         uuid NOT NULL,
    kind        bigint NOT NULL,
    dst         uuid NOT NULL,
    first_seen  bigint NOT NULL,
    last_seen   bigint NOT NULL,
    count       bigint NOT NULL,
    seen_day    bigint NOT NULL,
    PRIMARY KEY (project, src, kind, dst)
) WITH (fillfactor = 80);
CREATE INDEX graph_edges_back ON graph_edges (project, dst, kind, src);
-- By days: an index on the time itself would be written at every sighting.
CREATE INDEX graph_edges_day ON graph_edges (seen_day);
