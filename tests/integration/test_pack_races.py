"""Claims of packs on PostgreSQL, many at once, and beside a long backlog."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from common.adapters.postgres.pack_claim import CLAIMS
from common.core.task import State, Task
from common.ports import Forming, Submission
from tests.contract.ground import LEASE, Ground
from tests.postgres import Place

FORMING = Forming(tasks=5, packs=2, linger=timedelta(hours=1))


def waiting(ground: Ground, count: int, *, economy: bool = False) -> set[object]:
    """So many texts that are to be read."""
    tasks = tuple(ground.new(State.RECEIVED, economy=economy) for _ in range(count))
    ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=tasks)])
    return {task.id for task in tasks}


def test_claimers_never_share_a_task_and_leave_no_crumbs(postgres_ground: Ground) -> None:
    """I3, I12: eight at once; each task is handed out once, and every pack is whole."""
    wanted = waiting(postgres_ground, 200)
    together = threading.Barrier(8)

    def claim(worker: int) -> list[list[Task]]:
        found: list[list[Task]] = []
        together.wait(20)
        beaten = 0
        while beaten < 3:  # whoever is beaten to every pack looks again, as a woken function does
            got = postgres_ground.queue.claim_packs(f"w{worker}", FORMING, LEASE)
            beaten = 0 if got else beaten + 1
            found += got
        return found

    with ThreadPoolExecutor(8) as pool:
        packs = [pack for found in pool.map(claim, range(8)) for pack in found]
    claimed = [task.id for pack in packs for task in pack]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) == wanted
    assert {len(pack) for pack in packs} == {5}


def test_a_claim_reads_no_more_than_the_front_of_a_backlog(postgres_ground: Ground, postgres_database: Place) -> None:
    """Ten thousand that may wait hours, and as many that may not: the rows that a claim looks at are a few hundred."""
    for _ in range(10):
        waiting(postgres_ground, 1000, economy=True)
        waiting(postgres_ground, 1000)
    postgres_database.owner.run("ANALYZE tasks")
    for economy in (False, None):
        explained = "EXPLAIN (ANALYZE, FORMAT JSON) " + CLAIMS[economy]
        [[plan]] = postgres_database.owner.run(explained, "w", "10", "8", "60", "2", "{}")
        assert scanned(plan) < 2000, economy


def scanned(plan: object) -> int:
    """How many rows were read from `tasks`, those that a filter threw away included."""
    if isinstance(plan, list):
        return sum(map(scanned, plan))
    if not isinstance(plan, dict):
        return 0
    here = 0
    if plan.get("Relation Name") == "tasks":
        rows = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
        here = int(rows * plan.get("Actual Loops", 1))
    return here + sum(scanned(part) for part in plan.values() if isinstance(part, list | dict))
