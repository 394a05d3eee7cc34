"""Kills on real servers under load. First aimed at one moment each, then at every part, then all is counted."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.chaos.load import Sent
from tests.chaos.storm import Storm
from tests.chaos.truth import WRONG
from tests.stack import API

PARTS: Final = ("analyze", "execute", "approve", "schedule", "dashboard", "connector", "nginx", "valkey", "postgres")
# What a gate, a claim and a recorder are known by among the statements that run.
GATE: Final = "needs_approval boolean, digest text"
CLAIM: Final = "t.state = 'queued'"
RECORD: Final = "only_if_due boolean, costs_attempt int"
CLAIMED: Final = """
INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, actor, lease_no, prev)
SELECT id, event_seq + 1, workspace, 'started', 'queued', 'running', 'nobody', 1, event_head
FROM tasks WHERE id = CAST(:id AS uuid)"""
SOON: Final = timedelta(seconds=4)


# --- execute, killed at one moment each ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Aimed:
    """The tasks whose worker was killed, by the moment, and how they ended."""

    claimed: Sent
    begun: list[Sent]
    held: list[Sent]
    answered: list[Sent]
    states: dict[str, str]


def soon() -> str:
    """A little later: until then a task is approved, and nobody claims it."""
    return (datetime.now(UTC) + SOON).isoformat()


def kill_between_claim_and_commit(storm: Storm) -> Sent:
    """The claim's statement waits in its middle; its worker and its transaction end."""
    task = storm.load.send("value", not_before=soon())
    # The event that a claim of this task writes is there already, uncommitted: whoever claims it waits for us.
    with storm.locked(CLAIMED, id=task.id):
        backends = storm.blocked(CLAIM)
        storm.kill("execute")
        storm.end(backends)
    return task


def kill_between_attempt_and_effect(storm: Storm) -> list[Sent]:
    """The gate waits for the approval's row; it commits when its worker is dead, and nothing was sent."""
    at = soon()
    strict, idempotent = storm.load.send("strict", not_before=at), storm.load.send("idempotent", not_before=at)
    storm.load.approve(strict.id)
    storm.load.approve(idempotent.id)
    # Nobody else's gate asks for this row, so the one that waits has begun to begin this task.
    with storm.locked("SELECT 1 FROM approvals WHERE task_id = CAST(:id AS uuid) FOR UPDATE", id=strict.id):
        storm.blocked(GATE)
        storm.kill("execute")
    return [strict, idempotent]


def hold(storm: Storm) -> list[Sent]:
    """Two tasks whose requests the far side has taken and not answered."""
    storm.target.hold()
    tasks = [storm.load.send("strict", held=True), storm.load.send("idempotent", held=True)]
    for task in tasks:
        storm.load.approve(task.id)
    arrived = storm.target.wait_until(lambda target: all(target.requests(task.path) == 1 for task in tasks), 20)
    assert arrived
    return tasks


def kill_inside_a_request(storm: Storm) -> list[Sent]:
    """The far side holds the requests open when the worker dies."""
    tasks = hold(storm)
    storm.kill("execute")
    storm.target.release()
    return tasks


def kill_between_effect_and_outcome(storm: Storm) -> list[Sent]:
    """The far side has answered; the recorder waits for the rows when it and its transaction end."""
    tasks = hold(storm)
    ids = [task.id for task in tasks]
    with storm.locked(
        "SELECT 1 FROM tasks WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE", ids=ids
    ):
        storm.target.release()
        backends = storm.blocked(RECORD)
        storm.kill("execute")
        storm.end(backends)
    return tasks


@pytest.fixture(scope="module")
def aimed(storm: Storm) -> Aimed:
    """Four kills, and how their tasks ended."""
    claimed = kill_between_claim_and_commit(storm)
    # Before the next kill, which would be a kill of this one's next worker.
    storm.settle([claimed])
    begun = kill_between_attempt_and_effect(storm)
    held = kill_inside_a_request(storm)
    answered = kill_between_effect_and_outcome(storm)
    return Aimed(claimed, begun, held, answered, storm.settle([claimed, *begun, *held, *answered]))


def kinds(storm: Storm, task: Sent) -> list[str]:
    """The kinds of a task's events."""
    return [event["kind"] for event in storm.product.api("GET", f"/tasks/{task.id}/events")["items"]]


def error_code(storm: Storm, task: Sent) -> str | None:
    """What went wrong last."""
    error = storm.product.api("GET", f"/tasks/{task.id}")["error"]
    return error["code"] if error else None


def test_killed_between_claim_and_commit_it_was_never_claimed(storm: Storm, aimed: Aimed) -> None:
    """I2, I3: a claim that did not commit leaves neither event nor lease; the task is claimed again and ends."""
    assert aimed.states[aimed.claimed.id] == "succeeded"
    assert kinds(storm, aimed.claimed) == ["submitted", "started", "succeeded"]


def test_killed_between_attempt_and_effect_nothing_is_guessed(storm: Storm, aimed: Aimed) -> None:
    """I6: an attempt that began and sent nothing is unknown: a person looks, or it is repeated under its key."""
    strict, idempotent = aimed.begun
    assert (aimed.states[strict.id], error_code(storm, strict)) == ("manual", "effect_unknown")
    assert storm.target.requests(strict.path) == 0
    assert aimed.states[idempotent.id] == "succeeded"
    assert storm.target.effects(idempotent.path) == [1]


def test_killed_inside_a_request_nothing_is_repeated_blindly(storm: Storm, aimed: Aimed) -> None:
    """I6: the far side got one request of what must not be repeated, and one effect of what may."""
    strict, idempotent = aimed.held
    assert (aimed.states[strict.id], error_code(storm, strict)) == ("manual", "effect_unknown")
    assert storm.target.requests(strict.path) == 1
    assert aimed.states[idempotent.id] == "succeeded"
    assert (storm.target.requests(idempotent.path), storm.target.effects(idempotent.path)) == (2, [1])


def test_killed_between_effect_and_outcome_nothing_is_repeated_blindly(storm: Storm, aimed: Aimed) -> None:
    """I6: done, but nobody could write it down: the same as if the answer had never come."""
    strict, idempotent = aimed.answered
    assert (aimed.states[strict.id], error_code(storm, strict)) == ("manual", "effect_unknown")
    assert storm.target.requests(strict.path) == 1
    assert aimed.states[idempotent.id] == "succeeded"
    assert (storm.target.requests(idempotent.path), storm.target.effects(idempotent.path)) == (2, [1])


# --- every part, at random moments -----------------------------------------------------------------------------------


def test_the_supervisor_is_killed_and_the_next_up_goes_on(storm: Storm) -> None:
    """I1: `up` killed by -9 with everything under it; the next one on the same folder has every task."""
    before = storm.load.sent()
    storm.kill_supervisor()
    storm.start()
    assert storm.has_all(before)
    storm.well()


def test_analyze_is_killed_during_intake(storm: Storm) -> None:
    """I1: what was answered 201 is there; what was not is sent again under its key, and is there exactly once."""
    tag = "intake"
    plan = {"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": 1}}]}, "tags": [tag]}
    acknowledged: list[str] = []
    faults: list[str] = []
    stopping = threading.Event()

    def hand_in(name: int) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            try:
                tasks = storm.load.until_acknowledged(json.dumps([plan] * 3).encode(), f"{tag}-{name}-{number}")
                acknowledged.extend(task["id"] for task in tasks["items"])
            except AssertionError as exc:
                faults.append(str(exc))

    threads = [threading.Thread(target=hand_in, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    draw = random.Random(4)
    for _ in range(4):
        time.sleep(draw.uniform(0.2, 0.6))
        storm.kill_and_wait("analyze")
    stopping.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(acknowledged) == len(set(acknowledged)) > 20
    stored = {str(row[0]) for row in storm.product.rows("SELECT id FROM tasks WHERE :tag = ANY(tags)", tag=tag)}
    assert stored == set(acknowledged)


def test_execute_is_killed_at_random_moments(storm: Storm) -> None:
    """I3, I6: five workers die in whatever they do; the next one goes on with what they left."""
    draw = random.Random(6)
    for _ in range(5):
        time.sleep(draw.uniform(0.05, 0.8))
        storm.kill_and_wait("execute")
    storm.well()


def test_wakes_are_lost_with_their_server_and_their_carrier(storm: Storm) -> None:
    """I1: Valkey wiped, Valkey killed, the connector killed: wakes are lost, tasks are not."""
    for _ in range(3):
        storm.wipe_valkey()
        time.sleep(0.3)
    storm.kill_and_wait("connector")
    storm.kill_and_wait("valkey")
    storm.kill_and_wait("valkey", "connector")
    storm.well()


def test_postgres_is_killed_under_load(storm: Storm) -> None:
    """I1, I2: PostgreSQL ends by -9 twice, is started again and recovers; what was acknowledged is there."""
    for _ in range(2):
        before = storm.load.sent()
        storm.kill_and_wait("postgres")
        assert storm.has_all(before)
    storm.well()


def test_those_who_decide_are_killed(storm: Storm) -> None:
    """I4: approve, schedule, dashboard and nginx die while decisions are made; a decision counts once or not at all."""
    for parts in (("approve",), ("schedule", "dashboard"), ("nginx", "approve")):
        time.sleep(0.3)
        storm.kill_and_wait(*parts)
    storm.well()


def test_everything_is_killed_at_once(storm: Storm) -> None:
    """I1: nothing is left but the disk, twice."""
    for _ in range(2):
        before = storm.load.sent()
        storm.kill_and_wait(*PARTS)
        assert storm.has_all(before)
    storm.well()


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended(storm: Storm) -> dict[str, str]:
    """The load has stopped and all has settled: every task's state."""
    storm.load.stop()
    return storm.settle(storm.load.sent())


def test_every_acknowledged_task_ended_or_waits_for_a_person(storm: Storm, ended: dict[str, str]) -> None:
    """I1, I9: within a bounded time; only what must not be repeated may be left to a person, and says so."""
    assert storm.load.faults == []
    tasks = storm.load.sent()
    assert len(tasks) == len({task.id for task in tasks}) > 50
    odd = [task for task in tasks if ended[task.id] != "succeeded" and task.kind != "strict"]
    assert odd == []
    left = [task for task in tasks if ended[task.id] == "manual"]
    assert {error_code(storm, task) for task in left} <= {"effect_unknown"}


def test_each_key_is_one_task(storm: Storm, ended: dict[str, str]) -> None:
    """I1: however often it was sent, nothing was stored that was not acknowledged, nor twice."""
    stored = {str(row[0]) for row in storm.product.rows("SELECT id FROM tasks WHERE 'storm' = ANY(tags)")}
    assert stored == set(ended)


def test_the_far_side_counted_no_blind_repeat(storm: Storm, ended: dict[str, str]) -> None:
    """I6: a host that knows keys did each thing once, under one key; another got one request at most."""
    for task in storm.load.sent():
        requests, effects = storm.target.requests(task.path), storm.target.effects(task.path)
        match task.kind:
            case "idempotent":
                assert effects == [1], task
            case "strict":
                assert requests == 1 or (ended[task.id] == "manual" and requests == 0), task
            case "get" | "text":
                assert requests >= 1, task
            case "value":
                assert requests == 0, task


@pytest.mark.parametrize("what", WRONG)
def test_the_database_says_what_happened(storm: Storm, ended: dict[str, str], what: str) -> None:
    """I2, I3, I4, I6, I9: history, fences, approvals, attempts and the next look hold after every kill."""
    assert ended
    assert storm.product.rows(WRONG[what]) == []


def test_history_shows_what_was_lost(storm: Storm, ended: dict[str, str]) -> None:
    """The kills hit: leases were lost and rescued, and requests were sent again."""
    assert ended
    lost = storm.product.rows("SELECT count(*) FROM task_events WHERE kind = 'lease_lost'")[0][0]
    assert lost >= 3
    assert sum(storm.kills.values()) >= 25
    assert storm.load.tries > len(storm.load.sent())
    print(f"kills {storm.kills}, tasks {len(ended)}, leases lost {lost}")  # noqa: T201 - shown by `pytest -s`: a figure


def test_after_all_of_it_it_stops_and_starts_as_ever(storm: Storm, ended: dict[str, str]) -> None:
    """A last look over HTTP: the lists can be read, and the queue is empty."""
    assert ended
    queue: Any = storm.product.api("GET", "/queue")
    assert [line for line in queue["depth"] if line["state"] in {"received", "analyzing", "queued", "running"}] == []
    assert storm.product.ask("GET", f"{API}/tasks?limit=200").status == 200
