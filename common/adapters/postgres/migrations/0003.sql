-- 0003: fewer index entries for each transition.

-- A list is in the order of ids, and a task's id is that of its first event, which is written once: an index on `tasks` is
-- written again at every transition, since a row that changes its state is a new entry in each of them. In batches of 100
-- that took 5 of PostgreSQL's 134 us a task (measured in pairs). Code of schema 0002 reads its lists by the key instead.
-- Built in about 3 s for a million tasks (200,000 events take 0.2 s).
CREATE INDEX task_events_listed ON task_events (workspace, task_id) WHERE seq = 1;
DROP INDEX tasks_listed;

UPDATE meta SET schema_version = 3;
