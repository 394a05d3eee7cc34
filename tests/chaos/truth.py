"""What the database must say after any number of kills: each query finds what would be wrong, so nothing is right."""

from __future__ import annotations

from typing import Final

# I2: each event's hash is of its row, its `prev` and its state those of the event before; the head is the task's.
BROKEN_CHAIN: Final = """
SELECT e.task_id, e.seq FROM task_events e LEFT JOIN task_events p ON p.task_id = e.task_id AND p.seq = e.seq - 1
WHERE e.hash <> event_hash(e.task_id, e.seq, e.workspace, e.tx, e.kind, e.from_state, e.to_state, e.at, e.actor,
        e.lease_no, e.detail_sha256, e.prev)
    OR e.prev IS DISTINCT FROM p.hash OR e.from_state IS DISTINCT FROM p.to_state
    OR e.detail IS NOT NULL AND e.detail_sha256 <> sha256(convert_to(e.detail::text, 'UTF8'))"""
STRAY_HEAD: Final = """
SELECT t.id FROM tasks t LEFT JOIN task_events e ON e.task_id = t.id AND e.seq = t.event_seq
WHERE e.hash IS DISTINCT FROM t.event_head OR e.to_state <> t.state
    OR t.event_seq <> (SELECT count(*) FROM task_events a WHERE a.task_id = t.id)"""

# I3: a claim's number is higher than all before it, and no event carries an older one afterwards.
FENCE_FELL: Final = """
SELECT task_id, seq FROM (
    SELECT task_id, seq, kind, lease_no, max(lease_no) OVER (PARTITION BY task_id ORDER BY seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM task_events) e
WHERE lease_no < before OR kind IN ('started', 'analysis_started') AND lease_no <= before"""

# I4: what needed an approval began under one of this task that was approved with exactly its digest.
UNAPPROVED: Final = """
SELECT s.task_id FROM step_attempts s LEFT JOIN approvals a ON a.id = s.approval_id AND a.task_id = s.task_id
    LEFT JOIN decisions d ON d.approval_id = a.id AND d.digest = a.digest AND d.verdict = 'approved'
WHERE s.needed_approval AND (d.approval_id IS NULL OR d.at > s.begun_at)"""

# I6: one key a step, and what must not be repeated was begun once.
TWO_KEYS: Final = """
SELECT task_id, step_id FROM step_attempts GROUP BY 1, 2 HAVING count(DISTINCT idempotency_key) > 1"""
BLIND_REPEAT: Final = """
SELECT task_id, step_id FROM step_attempts WHERE effect = 'non_idempotent' GROUP BY 1, 2 HAVING count(*) > 1"""
DONE_TWICE: Final = """
SELECT task_id, step_id FROM step_attempts WHERE outcome = 'done' GROUP BY 1, 2 HAVING count(*) > 1"""

# I9: a live task is looked at again at a named time, which is not long past.
FORGOTTEN: Final = """
SELECT id FROM tasks WHERE (state IN ('succeeded', 'cancelled')) <> (next_check_at IS NULL)
    OR next_check_at < clock_timestamp() - interval '60 s'"""

WRONG: Final = {
    "I2: a chain is broken": BROKEN_CHAIN,
    "I2: a head is not the last event's": STRAY_HEAD,
    "I3: a fencing token fell": FENCE_FELL,
    "I4: an effect without approval": UNAPPROVED,
    "I6: a step under two keys": TWO_KEYS,
    "I6: a blind repeat": BLIND_REPEAT,
    "I6: a step done twice": DONE_TWICE,
    "I9: nobody looks at it again": FORGOTTEN,
}
