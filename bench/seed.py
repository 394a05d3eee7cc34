"""Finished tasks in bulk, as the product would have left them: valid under every constraint and trigger, chains too."""

from __future__ import annotations

import time
from typing import Final

from bench.stack import Stack

BATCH: Final = 20_000

# Submitted, started and succeeded, a tenth of a second apart, spread over the last thirty days; three chained events,
# a plan and an attempt with its result each. One statement a batch, so that the triggers judge it as they judge ours.
SEED: Final = """
WITH who AS (SELECT m.workspace, m.person FROM memberships m ORDER BY m.person LIMIT 1), made AS MATERIALIZED (
    SELECT uuidv7(- (:left_after + :number - n) * interval '1 s' * (30 * 86400.0 / :total)) AS id, workspace, person,
        clock_timestamp() - (:left_after + :number - n) * interval '1 s' * (30 * 86400.0 / :total) AS at
    FROM who, generate_series(1, :number) n
), submitted AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, to_state, at, actor, lease_no)
    SELECT id, 1, workspace, 'submitted', 'queued', at, 'person:' || person, 0 FROM made RETURNING task_id, hash
), started AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, prev)
    SELECT id, 2, workspace, 'started', 'queued', 'running', at + interval '0.1 s', 'execute@seed:1', 1, s.hash
    FROM made JOIN submitted s ON s.task_id = id RETURNING task_id, hash
), succeeded AS (
    INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, at, actor, lease_no, prev)
    SELECT id, 3, workspace, 'succeeded', 'running', 'succeeded', at + interval '0.2 s', 'execute', 1, s.hash
    FROM made JOIN started s ON s.task_id = id RETURNING task_id, hash
), planned AS (
    INSERT INTO plans (task_id, number, steps, last_step, risk_floor, risk, reasons, needs_approval, policy_version,
        source)
    SELECT id, 1, '[{"id":"a","action":"value","args":{"value":{"order":4711,"ok":true}}}]', 'a', 'low', 'low', '[]',
        false, 1, 'typed' FROM made
), done AS (
    INSERT INTO step_attempts (task_id, step_id, number, plan_number, lease_no, effect, idempotency_key, args_sha256,
        needed_approval, begun_at, ended_at, outcome, output)
    SELECT id, 'a', 1, 1, 1, 'none', '', '', false, at + interval '0.2 s', at + interval '0.2 s', 'done',
        '{"order":4711,"ok":true}' FROM made
)
INSERT INTO tasks (id, workspace, state, inputs, lang, requested_by, origin, kind, priority, plan_number, lease_no,
    event_seq, event_head, finished_at)
SELECT id, workspace, 'succeeded', '{}', 'en', person, 'token', 'value', 5, 1, 1, 3, e.hash, at + interval '0.2 s'
FROM made JOIN succeeded e ON e.task_id = id"""


def finished_tasks(stack: Stack, total: int) -> float:
    """Make `total` of them; the seconds that it took. At the end the tables are as autovacuum would leave them."""
    began = time.monotonic()
    owner = stack.owner()
    try:
        for left in range(total, 0, -BATCH):
            number = min(BATCH, left)
            owner.run(SEED, number=number, left_after=left - number, total=total)
        owner.run("VACUUM (ANALYZE) tasks, task_events, plans, step_attempts")
    finally:
        owner.close()
    return time.monotonic() - began
