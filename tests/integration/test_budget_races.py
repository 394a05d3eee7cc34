"""I7 on a real PostgreSQL: two hundred callers at a nearly empty budget pass no limit, by nothing."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self
from uuid import UUID

import pytest

from common.adapters.postgres import budget as adapter
from common.adapters.postgres.budget import PostgresBudget
from common.adapters.postgres.connection import Database
from common.core.spending import Standing
from common.ports import Bill, CallRequest, NotReserved, Saved, Usage
from tests.contract.ground import Ground
from tests.postgres import Place

CALLERS = 200
CALL = 1_000_000  # nanodollars that a caller reserves at most


def wanted(home: UUID, reserve: int, task: UUID | None = None, cap: int | None = None) -> CallRequest:
    """A call about to be made."""
    return CallRequest(
        workspace=home,
        purpose="generate" if cap is not None else "analysis",
        model="m",
        prompt_version="1",
        reserve=reserve,
        task_ids=() if task is None else (task,),
        cap=cap,
    )


@dataclass
class Watcher:
    """Looks at the budgets all the time, from a connection of its own, for one that passes its limit."""

    place: Place
    looks: int = 0
    worst: int = 0  # nanodollars by which a limit was ever passed
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look once more, and end."""
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def _look(self) -> None:
        database = Database(self.place.url, pool_size=1)
        last = False
        while not last:
            last = self._ended.is_set()
            [[over]] = database.run("SELECT coalesce(max(reserved + spent - cap), 0) FROM budgets")
            self.looks, self.worst = self.looks + 1, max(self.worst, int(over))
        database.close()


@pytest.fixture
def budget(postgres_database: Place) -> PostgresBudget:
    """Many connections at once."""
    return PostgresBudget(postgres_database.app)


def limit(place: Place, home: UUID | None, nanodollars: int) -> None:
    """A limit, of a workspace or of the installation."""
    dollars = f'"{nanodollars / 10**9:.9f}"'
    sql = "INSERT INTO settings (workspace, name, version, value) VALUES ($1::uuid, 'budget_usd', 1, $2::json)"
    place.owner.run(f"{sql} RETURNING 1", None if home is None else str(home), dollars)


def together(budget: PostgresBudget, homes: list[UUID], rounds: int = 3) -> Counter[str]:
    """All callers at once, each a few calls: reserve, then settle for less, void, assume, or leave it out."""
    start = threading.Barrier(CALLERS)

    def call(number: int) -> Counter[str]:
        draw, seen = random.Random(number), Counter[str]()
        start.wait(60)
        for _ in range(rounds):
            reserve = draw.randint(1, CALL)
            made = budget.reserve(wanted(homes[number % len(homes)], reserve))
            if isinstance(made, NotReserved):
                seen[made.value] += 1
                continue
            end = draw.choice(("settled", "voided", "assumed", "out"))
            seen[end] += 1
            if end == "settled":
                budget.settle(made, Bill(usage=Usage(input=1), cost=draw.randint(0, reserve)))
            elif end == "voided":
                budget.void(made)
            elif end == "assumed":
                budget.assume_billed(made)
        return seen

    with ThreadPoolExecutor(CALLERS) as pool:
        return sum(pool.map(call, range(CALLERS)), Counter[str]())


def balanced(place: Place) -> None:
    """The rows of every month say exactly what its calls say, of each workspace and of all together."""
    rows = place.owner.run("""
        SELECT b.workspace, b.reserved, b.spent, b.cap,
            coalesce(sum(c.reserved) FILTER (WHERE c.state = 'reserved'), 0), coalesce(sum(c.cost), 0)
        FROM budgets b LEFT JOIN calls c ON c.month = b.month AND (b.workspace IS NULL OR c.workspace = b.workspace)
        GROUP BY b.workspace, b.month, b.reserved, b.spent, b.cap""")
    assert rows
    for _, reserved, spent, cap, held, cost in rows:
        assert (reserved, spent) == (held, cost)
        assert reserved + spent <= cap


def test_two_hundred_callers_pass_no_workspaces_limit(
    postgres_ground: Ground, postgres_database: Place, budget: PostgresBudget
) -> None:
    """I7: with money for some forty of six hundred calls, nobody ever sees the limit passed, and no cent is lost."""
    limit(postgres_database, postgres_ground.home, 20 * CALL)
    with Watcher(postgres_database) as watcher:
        seen = together(budget, [postgres_ground.home])
    assert (watcher.worst, watcher.looks > 10) == (0, True)
    assert seen["over_budget"] > 0
    assert seen["settled"] > 0
    balanced(postgres_database)


def test_two_hundred_callers_of_two_workspaces_pass_no_limit_of_the_installation(
    postgres_ground: Ground, postgres_database: Place, budget: PostgresBudget
) -> None:
    """I7: each workspace could still spend, both together could not; both limits hold at once."""
    limit(postgres_database, None, 20 * CALL)
    limit(postgres_database, postgres_ground.home, 12 * CALL)
    limit(postgres_database, postgres_ground.neighbour, 15 * CALL)
    with Watcher(postgres_database) as watcher:
        seen = together(budget, [postgres_ground.home, postgres_ground.neighbour])
    assert (watcher.worst, watcher.looks > 10) == (0, True)
    assert seen["over_budget"] > 0
    balanced(postgres_database)


def test_equal_callers_fill_a_budget_exactly(
    postgres_ground: Ground, postgres_database: Place, budget: PostgresBudget
) -> None:
    """I7: of two hundred at once exactly as many get money as there is, and the last nanodollar is given."""
    limit(postgres_database, postgres_ground.home, 7 * CALL)
    start = threading.Barrier(CALLERS)

    def call(_: int) -> UUID | NotReserved:
        start.wait(60)
        return budget.reserve(wanted(postgres_ground.home, CALL))

    with ThreadPoolExecutor(CALLERS) as pool:
        made = list(pool.map(call, range(CALLERS)))
    assert sum(isinstance(one, UUID) for one in made) == 7
    month = budget.month(postgres_ground.home)
    assert (month.reserved, month.cap) == (7 * CALL, 7 * CALL)
    balanced(postgres_database)


def test_at_the_months_edge_each_call_is_of_one_month(
    postgres_ground: Ground, postgres_database: Place, budget: PostgresBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: callers on both sides of midnight fill two months, none passes its limit, a call is settled in its own."""
    months = "SELECT (ARRAY['2026-01-01', '2026-02-01', '2026-03-01'])[1 + floor(random() * 3)::int]"
    monkeypatch.setattr(adapter, "MONTH", months)
    limit(postgres_database, postgres_ground.home, 10 * CALL)
    with Watcher(postgres_database) as watcher:
        seen = together(budget, [postgres_ground.home])
    assert watcher.worst == 0
    assert seen["over_budget"] > 0
    [[count]] = postgres_database.owner.run("SELECT count(*) FROM budgets WHERE workspace IS NULL AND spent > 0")
    assert count == 3
    balanced(postgres_database)


def test_a_tasks_cap_holds_across_the_months_edge(
    postgres_ground: Ground, postgres_database: Place, budget: PostgresBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: calls of one task that lock different months still see each other: what was approved is never passed."""
    months = "SELECT (ARRAY['2026-01-01', '2026-02-01'])[1 + floor(random() * 2)::int]"
    monkeypatch.setattr(adapter, "MONTH", months)
    task = postgres_ground.submit().id
    start = threading.Barrier(CALLERS)

    def call(_: int) -> UUID | NotReserved:
        start.wait(60)
        return budget.reserve(wanted(postgres_ground.home, CALL, task, 5 * CALL))

    with ThreadPoolExecutor(CALLERS) as pool:
        made = list(pool.map(call, range(CALLERS)))
    assert Counter(type(one) for one in made) == {UUID: 5, NotReserved: CALLERS - 5}
    assert set(made) >= {NotReserved.COST_CAP}
    [[held]] = postgres_database.owner.run("SELECT sum(reserved) FROM calls WHERE purpose = 'generate'")
    assert held == 5 * CALL
    balanced(postgres_database)


def test_the_only_workspaces_limit_is_the_installations(postgres_database: Place, budget: PostgresBudget) -> None:
    """Raising it raises both: a person who is alone here must not be held by a limit that nobody can reach."""
    [[made]] = postgres_database.owner.run("INSERT INTO workspaces (name) VALUES ('alone') RETURNING id")
    home = UUID(str(made))
    limit(postgres_database, None, 2 * CALL)
    limit(postgres_database, home, 5 * CALL)
    assert isinstance(budget.reserve(wanted(home, 5 * CALL)), UUID)
    assert budget.reserve(wanted(home, 1)) is NotReserved.OVER_BUDGET
    assert budget.month(home).of == "workspace"


def test_the_announcer_says_what_it_has_told(postgres_ground: Ground, postgres_database: Place) -> None:
    """`approve` may look at every budget and write what people were told, as its own role and nothing else of it."""
    announcer = PostgresBudget(postgres_database.approve)
    assert isinstance(postgres_ground.budget.reserve(wanted(postgres_ground.home, CALL)), UUID)
    announcer.told(postgres_ground.home, Standing.SAVING)
    [one] = announcer.standings()
    assert (one.told, one.month.reserved) == (Standing.SAVING, CALL)


def test_a_calls_row_keeps_what_the_ledger_needs(postgres_ground: Ground, postgres_database: Place) -> None:
    """Latency, the provider's id, the naive price and what each lever saved are columns of the call."""
    budget = postgres_ground.budget
    made, lost = (budget.reserve(wanted(postgres_ground.home, CALL)) for _ in range(2))
    assert isinstance(made, UUID)
    assert isinstance(lost, UUID)
    saved = Saved(model=5, prompt=-1, pack=3, batch=2)
    bill = Bill(
        usage=Usage(input=1, output=2, cache_read=3, cache_write=4), cost=11, baseline=20, saved=saved,
        latency=timedelta(milliseconds=1234), request_id="req\x007",
    )  # fmt: skip
    budget.settle(made, bill)
    budget.assume_billed(lost, "req_8")
    rows = postgres_database.owner.run(
        "SELECT state, cost, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, baseline_cost, "
        "saved_model, saved_prompt, saved_pack, saved_batch, latency_ms, request_id FROM calls ORDER BY id"
    )
    assert rows == [
        ["settled", 11, 1, 2, 3, 4, 20, 5, -1, 3, 2, 1234, "req\N{REPLACEMENT CHARACTER}7"],
        ["assumed_billed", CALL, 0, 0, 0, 0, None, 0, 0, 0, 0, None, "req_8"],
    ]
