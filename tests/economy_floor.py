"""Economy over one set of adapters and one far side: replicas that come and go, and time that passes for all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.actions.catalogue import Catalogue
from common.adapters.system_clock import SystemClock
from common.analysis.batches.batched import Batched, Remembers
from common.analysis.batches.door import BatchDoor
from common.analysis.cascade import Tiers
from common.analysis.money.prices import Prices
from common.analysis.packs.asking import Source
from common.core.after_analysis import after_lost_analysis
from common.core.after_step import Limits
from common.core.task import Failure, State, Task
from common.ports import Added, Analyzer, Answer, Batches, Budget, NotAnswered, Question, Queue, Submission
from functions.analyze.collecting import Collector
from functions.analyze.economy import Economy, EconomyMeans
from functions.analyze.parking import Parking
from tests.batch_side import KEY, BatchSide
from tests.contract.ground import Ground
from tests.unit.desk import Told

SMALL, STRONG = "claude-haiku-5-5", "claude-sonnet-5-5"
MINUTE = timedelta(minutes=1)
LATE = timedelta(minutes=16)
# nanodollars of two requests as the far side answers them, at half the price: 2 x (4000 in, 1500 out)
TWELVE = 1_150_000
LIMITS = Limits(attempts=5, replans=3, model=True)


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Dying:
    """Whatever it stands for, until a method is called: then the process dies, before or after it was done."""

    def __init__(self, inner: object, at: str, *, after: bool = False) -> None:
        """`at`: the method's name."""
        self._inner = inner
        self._at = at
        self._after = after

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is of the other
        """As of the other."""
        found = getattr(self._inner, name)
        if name != self._at:
            return found

        def dies(*args: object, **kwargs: object) -> None:
            if self._after:
                found(*args, **kwargs)
            raise Killed

        return dies


class Silent:
    """An analyzer that knows nothing and is never asked."""

    has_model = True

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Nothing."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """Never."""
        raise AssertionError(f"{len(questions)} were asked directly")


@dataclass
class Floor:
    """What replicas stand on."""

    ground: Ground
    side: BatchSide
    strong: str = ""
    memory: Remembers | None = None
    saving: bool = False  # whether money nears its limit
    checks: float = 0.0  # share of packs that are asked a second time
    told: Told = field(default_factory=Told)

    def replica(
        self,
        *,
        queue: Queue | Any = None,  # noqa: ANN401 - or what stands for one
        batches: Batches | Any = None,  # noqa: ANN401 - as above
        budget: Budget | Any = None,  # noqa: ANN401 - as above
        key: str = KEY,
        analyzer: Analyzer | None = None,
    ) -> Economy:
        """A process of its own; some of its ports may be such that it dies at them."""
        ground = self.ground
        queue, batches, budget = queue or ground.queue, batches or ground.batches, budget or ground.budget
        catalogue = Catalogue.shipped()
        batched = Batched.over(
            door=BatchDoor(batches, budget, self.side.batches_for(key), Prices(), self.strong),
            tiers=Tiers(small=SMALL, strong=self.strong, escalate_below=0.6),
            catalogue=catalogue,
            now=lambda: datetime.now(UTC),
            source=Source("claude", lambda: key),
            saving=lambda _: self.saving,
            close=lambda: None,
            memory=self.memory,
            checks=self.checks,
        )
        parking = Parking(queue=queue, batches=batches, batched=batched, notifier=self.told)
        clock = SystemClock()
        means = EconomyMeans(
            parking=parking,
            collector=Collector(parking=parking, workspace=ground.workspace, clock=clock),
            analyzer=analyzer or Silent(),
            workspace=ground.workspace,
            clock=clock,
            worker="w",
            linger=timedelta(0),
        )
        return Economy(means)

    def submit(self, *texts: str, **new: Any) -> list[Task]:  # noqa: ANN401 - any field of a request
        """Texts that may wait hours."""
        wanted = [self.ground.new(State.RECEIVED, economy=True, text=text, **new) for text in texts]
        [added] = self.ground.queue.add([Submission(token_sha256=self.ground.asks.token, tasks=tuple(wanted))])
        assert isinstance(added, Added)
        return [self.now(task.id) for task in wanted]

    def now(self, task: UUID) -> Task:
        """As it is stored."""
        return self.ground.get(task)

    def states(self, tasks: Sequence[Task]) -> list[State]:
        """As they are now."""
        return [self.now(task.id).state for task in tasks]

    def elapse(self, span: timedelta) -> None:
        """For the store and for the far side."""
        before = self.ground.now()
        self.ground.elapse(span)
        if self.ground.now() - before < span / 2:  # PostgreSQL's clock cannot be moved: its times are
            self.side.shift(span)

    def later(self, span: timedelta = 6 * MINUTE) -> int:
        """Some time on, another replica looks."""
        self.elapse(span)
        return self.replica().run()

    def money(self) -> tuple[int, int]:
        """Spent and reserved this month."""
        month = self.ground.budget.month(self.ground.home)
        return month.spent, month.reserved

    def failure(self, task: Task) -> str | None:
        """The newest of its history."""
        found: Failure | None = self.now(task.id).failure
        return None if found is None else found.code


def texts(count: int, first: int = 0) -> list[str]:
    """So many that differ."""
    return [f"fetch https://a.example/x and keep it as number {first + n}" for n in range(count)]


def sent(floor: Floor, count: int = 12, **new: Any) -> list[Task]:  # noqa: ANN401 - any field of a request
    """Tasks that wait for a batch."""
    tasks = floor.submit(*texts(count), **new)
    floor.replica().run()
    assert floor.states(tasks) == [State.ANALYZING] * count
    return [floor.now(task.id) for task in tasks]


def dies(floor: Floor, **ports: Any) -> None:  # noqa: ANN401 - what stands for a port
    """A replica that dies at what it does."""
    with pytest.raises(Killed):
        floor.replica(**ports).run()


def rescued(floor: Floor) -> None:
    """Maintenance looks at what is due."""
    for task in floor.ground.queue.due(100):
        assert floor.ground.apply(after_lost_analysis(task, LIMITS, 0.5, "schedule"))


def texts_of(request: Mapping[str, Any]) -> list[str]:
    """The tasks of a request as they were sent."""
    content = request["params"]["messages"][0]["content"]
    items = json.loads(content.removeprefix("<tasks>\n").removesuffix("\n</tasks>"))["items"]
    return [item["text"] for item in items]
