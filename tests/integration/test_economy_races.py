"""Two replicas and one batch, on real PostgreSQL: whoever is first, it is opened once, applied once and booked once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from common.core.after_analysis import after_batch
from common.core.lifecycle import move
from common.core.task import State
from tests.batch_side import BatchSide
from tests.contract.ground import Ground
from tests.economy_floor import MINUTE, Floor, texts
from tests.postgres import Place

HALF = 575_000  # nanodollars of one request at half the price, as the far side answers it


def at_once(floor: Floor, replicas: int) -> None:
    """Replicas that look at the same moment."""
    start = threading.Barrier(replicas)

    def run() -> None:
        economy = floor.replica()
        start.wait(10)
        economy.run()

    with ThreadPoolExecutor(replicas) as pool:
        for done in [pool.submit(run) for _ in range(replicas)]:
            done.result(30)


def test_of_replicas_that_open_at_once_each_task_is_sent_once(postgres_ground: Ground) -> None:
    """I3, I7: whoever is refused by the index puts its tasks off; nothing is sent twice, nothing is lost."""
    floor = Floor(postgres_ground, BatchSide(postgres_ground.now))
    tasks = floor.submit(*texts(100))
    for _ in range(4):
        at_once(floor, 4)
        floor.elapse(2 * MINUTE)
    assert floor.states(tasks) == [State.ANALYZING] * 100
    sent = [str(r) for batch in floor.side.batches.values() for r in batch.requests]
    assert all(sum(f"number {n}\\" in r or f'number {n}"' in r for r in sent) == 1 for n in range(100))


def test_of_replicas_that_collect_at_once_each_answer_counts_once(
    postgres_ground: Ground, postgres_database: Place
) -> None:
    """I2, I7: the same results in eight hands: one event a task, and the money is booked once."""
    floor = Floor(postgres_ground, BatchSide(postgres_ground.now))
    tasks = floor.submit(*texts(10))
    floor.replica().run()
    floor.side.end()
    floor.elapse(6 * MINUTE)
    [batch] = postgres_ground.batches.due(10)
    start = threading.Barrier(8)

    def collect() -> None:
        collector = floor.replica()._means.collector
        start.wait(10)
        collector.collect(batch)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(collect) for _ in range(8)]:
            done.result(30)
    assert floor.side.count("GET results") >= 1
    for task in tasks:
        assert postgres_ground.kinds(task) == ["submitted", "analysis_started", "batched", "plan_decided"]
    assert floor.money() == (HALF, 0)
    [[spent, reserved]] = postgres_database.owner.run("SELECT spent, reserved FROM budgets WHERE workspace IS NULL")
    assert (spent, reserved) == (HALF, 0)


def test_collecting_races_cancelling_and_falling_back(postgres_ground: Ground) -> None:
    """I2, I3: of an answer, a person and maintenance that come at once exactly one moves the task."""
    floor = Floor(postgres_ground, BatchSide(postgres_ground.now))
    tasks = floor.submit(*texts(30))
    floor.replica().run()
    floor.side.end()
    floor.elapse(6 * MINUTE)
    parked = [floor.now(task.id) for task in tasks]
    others = [
        *(move(task, "cancelled", State.CANCELLED, None, "person") for task in parked[:15]),
        *(after_batch(task, "schedule") for task in parked[15:]),
    ]
    start = threading.Barrier(2)

    def interfere() -> int:
        start.wait(10)
        return sum(bool(postgres_ground.queue.apply([change])) for change in others)

    def collect() -> int:
        economy = floor.replica()
        start.wait(10)
        return economy.run()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(interfere), pool.submit(collect)
        first.result(30), second.result(30)
    for task in tasks:
        assert len(postgres_ground.kinds(task)) == 4
    assert State.ANALYZING not in floor.states(tasks)
    floor.later()
    assert floor.money() == (3 * HALF, 0)


def test_an_orphan_is_on_record_once(postgres_ground: Ground) -> None:
    """I7: two that find the same one at once put it on record once."""
    floor = Floor(postgres_ground, BatchSide(postgres_ground.now))
    floor.submit(*texts(1))
    floor.replica().run()
    postgres_ground.elapse(2 * MINUTE)
    [batch] = postgres_ground.batches.due(10)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: postgres_ground.batches.orphan(batch.id, "msgbatch_x", certain=True), range(8)))
    assert sum(made) == 1
    assert postgres_ground.budget.month(postgres_ground.home).reserved == batch.reserved + 1


def test_the_looks_of_many_replicas_are_shared_out(postgres_ground: Ground) -> None:
    """Each batch that is due is looked at by one of them."""
    floor = Floor(postgres_ground, BatchSide(postgres_ground.now))
    for number in range(6):
        floor.submit(*texts(1, first=number))
        floor.replica().run()
    postgres_ground.elapse(timedelta(minutes=5))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: postgres_ground.batches.due(2), range(6)))
    seen = [batch.id for some in found for batch in some]
    assert len(seen) == len(set(seen)) == 6
