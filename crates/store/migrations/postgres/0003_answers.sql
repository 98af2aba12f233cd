-- What answers a finding beside a block: host actions, exceptions, outputs.
-- Each subject has a section of its own.

-- What was ordered to be done on hosts (src/host_actions).
CREATE TABLE host_actions (
    id            uuid NOT NULL PRIMARY KEY,
    sensor_id     uuid NOT NULL REFERENCES sensors (id),
    kind          text NOT NULL,
    action        jsonb NOT NULL,
    of_id         uuid,
    lease_seconds bigint,
    expires_at    bigint NOT NULL,
    state         text NOT NULL CHECK (state IN
        ('queued', 'sent', 'done', 'failed', 'refused', 'undone', 'expired')),
    why           text NOT NULL,
    result        jsonb NOT NULL,
    actor         text NOT NULL,
    reason        text NOT NULL,
    created_at    bigint NOT NULL,
    sent_at       bigint,
    ended_at      bigint
);
CREATE INDEX host_actions_sensor ON host_actions (sensor_id, created_at, id);
CREATE INDEX host_actions_time ON host_actions (created_at, id);
CREATE INDEX host_actions_open ON host_actions (expires_at) WHERE state IN ('queued', 'sent');
CREATE INDEX host_actions_ended ON host_actions (ended_at) WHERE ended_at IS NOT NULL;
