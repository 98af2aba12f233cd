-- What people and other systems do with what was found: outputs, labels, saved filters.
-- Each subject has a section of its own.

-- What waits to be told to others (src/outputs): a row goes when an output has the finding.
-- No reference to findings: what goes before it was told is counted, not forgotten.
CREATE TABLE output_queue (
    output     TEXT NOT NULL,
    finding_id BLOB NOT NULL,
    PRIMARY KEY (output, finding_id)
) STRICT, WITHOUT ROWID;

-- Which replica serves an output, and until when if it says no more.
CREATE TABLE output_holders (
    output TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What people sort issues by (src/issues), each between commas: ",phishing,team:web,".
ALTER TABLE issues ADD COLUMN labels TEXT NOT NULL DEFAULT '';

-- Filters of lists that people keep (src/saved_filters).
CREATE TABLE saved_filters (
    id         BLOB NOT NULL PRIMARY KEY,
    owner      BLOB NOT NULL REFERENCES users (id),
    kind       TEXT NOT NULL CHECK (kind IN ('finding', 'issue')),
    name       TEXT NOT NULL,
    query      TEXT NOT NULL,
    shared     INTEGER NOT NULL CHECK (shared IN (0, 1)),
    created_at INTEGER NOT NULL,
    UNIQUE (owner, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX saved_filters_shared ON saved_filters (kind, name) WHERE shared;
