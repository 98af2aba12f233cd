-- What waits to be told to others (src/outputs): a row goes when an output has the finding.
-- No reference to findings: what goes before it was told is counted, not forgotten.
CREATE TABLE output_queue (
    output     TEXT NOT NULL,
    finding_id UUID NOT NULL,
    PRIMARY KEY (output, finding_id)
);

-- Which replica serves an output, and until when if it says no more.
CREATE TABLE output_holders (
    output TEXT NOT NULL PRIMARY KEY,
    holder UUID NOT NULL,
    until  BIGINT NOT NULL
);
