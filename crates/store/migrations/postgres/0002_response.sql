-- Schema 2: what findings lead to. The same tables as
-- sqlite/0002_response.sql: change both.

-- Playbooks and exceptions are definitions too.
ALTER TABLE definitions DROP CONSTRAINT definitions_kind_check;
ALTER TABLE definitions ADD CONSTRAINT definitions_kind_check
    CHECK (kind IN ('rule', 'policy', 'list', 'project', 'playbook', 'exception'));

-- A roll-out that gave way to a newer one was called rolled back.
UPDATE rollouts SET state = 'superseded' WHERE state = 'rolled_back' AND progress ? 'superseded_by';
