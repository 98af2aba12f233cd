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
