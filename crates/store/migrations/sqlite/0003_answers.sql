-- What answers a finding beside a block: host actions, exceptions, outputs.
-- Each subject has a section of its own.

-- What was ordered to be done on hosts (src/host_actions).
CREATE TABLE host_actions (
    id            BLOB NOT NULL PRIMARY KEY,
    sensor_id     BLOB NOT NULL REFERENCES sensors (id),
    kind          TEXT NOT NULL,
    action        TEXT NOT NULL,
    of_id         BLOB,
    lease_seconds INTEGER,
    expires_at    INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN
        ('queued', 'sent', 'done', 'failed', 'refused', 'undone', 'expired')),
    why           TEXT NOT NULL,
    result        TEXT NOT NULL,
    actor         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    sent_at       INTEGER,
    ended_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX host_actions_sensor ON host_actions (sensor_id, created_at, id);
CREATE INDEX host_actions_time ON host_actions (created_at, id);
CREATE INDEX host_actions_open ON host_actions (expires_at) WHERE state IN ('queued', 'sent');
CREATE INDEX host_actions_ended ON host_actions (ended_at) WHERE ended_at IS NOT NULL;
