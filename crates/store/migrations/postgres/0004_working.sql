-- What people and other systems do with what was found: outputs, labels, saved filters.
-- Each subject has a section of its own.

-- What waits to be told to others (src/outputs): a row goes when an output has the finding.
-- No reference to findings: what goes before it was told is counted, not forgotten.
CREATE TABLE output_queue (
    output     text NOT NULL,
    finding_id uuid NOT NULL,
    PRIMARY KEY (output, finding_id)
);

-- Which replica serves an output, and until when if it says no more.
CREATE TABLE output_holders (
    output text NOT NULL PRIMARY KEY,
    holder uuid NOT NULL,
    until  bigint NOT NULL
);

-- What people sort issues by (src/issues), each between commas: ",phishing,team:web,".
ALTER TABLE issues ADD COLUMN labels text NOT NULL DEFAULT '';

-- Filters of lists that people keep (src/saved_filters).
CREATE TABLE saved_filters (
    id         uuid NOT NULL PRIMARY KEY,
    owner      uuid NOT NULL REFERENCES users (id),
    kind       text NOT NULL CHECK (kind IN ('finding', 'issue')),
    name       text NOT NULL,
    query      text NOT NULL,
    shared     boolean NOT NULL,
    created_at bigint NOT NULL,
    UNIQUE (owner, kind, name)
);
CREATE INDEX saved_filters_shared ON saved_filters (kind, name) WHERE shared;
