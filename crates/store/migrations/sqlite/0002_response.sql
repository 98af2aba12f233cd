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

-- The security graph (src/graph). A row counts for one project, or, with the nil
-- id, everywhere: whoever may see some projects reads the rows of these alone. The
-- first byte of a node's id is its kind; kinds of edges are numbers in the order in
-- which they are shown.
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
    seen_day    INTEGER NOT NULL,
    PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_nodes_name ON graph_nodes (project, kind, name, id);
CREATE INDEX graph_nodes_day ON graph_nodes (seen_day);

CREATE TABLE graph_edges (
    project     BLOB NOT NULL,
    src         BLOB NOT NULL,
    kind        INTEGER NOT NULL,
    dst         BLOB NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    seen_day    INTEGER NOT NULL,
    PRIMARY KEY (project, src, kind, dst)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_edges_back ON graph_edges (project, dst, kind, src);
-- By days: an index on the time itself would be written at every sighting.
CREATE INDEX graph_edges_day ON graph_edges (seen_day);
