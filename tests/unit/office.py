"""An office: the five functions over memory, whose texts may wait for a far side that answers batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from fastapi import FastAPI

from common.adapters.memory.rows import TaskRow
from common.analysis.batches.batched import Batched
from common.analysis.batches.door import BatchDoor
from common.analysis.cascade import Tiers
from common.analysis.money.prices import Prices
from common.analysis.packs.asking import Source
from common.wiring import Container
from functions.analyze.economy import Economy
from tests.batch_side import KEY, BatchSide
from tests.economy_floor import SMALL
from tests.unit.desk import Desk, desk

PATIENTLY = 60.0  # seconds: the SDK is imported meanwhile, on a machine that has other things to do
TEXT = "fetch https://a.example/x and say what it says"


@dataclass
class Office:
    """A desk whose texts may wait for batches."""

    desk: Desk
    side: BatchSide
    operator: dict[str, str]

    def submit(self, *texts: str, **request: Any) -> list[UUID]:  # noqa: ANN401 - any field of a task request
        """Hand in texts that may wait."""
        body = [{"text": text, "economy": True, **request} for text in texts]
        answer = self.desk.clients["analyze"].post("/api/v1/tasks", json=body, headers=self.operator)
        assert answer.status_code == 201, answer.text
        return [UUID(item["id"]) for item in answer.json()["items"]]

    @property
    def economy(self) -> Economy:
        """Of the process."""
        return cast("Economy", cast(FastAPI, self.desk.clients["analyze"].app).state.function._economy)

    def wake(self) -> None:
        """A wake, and all that it set going."""
        self.economy._began = float("-inf")
        self.desk.wake("analyze")
        if self.economy._work is not None:
            self.economy._work.result(PATIENTLY)

    def row(self, task: UUID) -> TaskRow:
        """As it is stored."""
        return self.desk.store.tasks[task]

    def get(self, path: str, lang: str = "en") -> Any:  # noqa: ANN401 - JSON
        """What the API says."""
        answer = self.desk.clients["dashboard"].get(path, headers={**self.operator, "Accept-Language": lang})
        assert answer.status_code == 200, answer.text
        return answer.json()


def reads_in_batches(side: BatchSide, strong: str = "") -> Any:  # noqa: ANN401 - a callable of a container
    """What a desk's container takes for its batches."""

    def by_batches(container: Container) -> Batched:
        return Batched.over(
            door=BatchDoor(container.batches, container.budget, side.batches_for(), Prices(), strong),
            tiers=Tiers(small=SMALL, strong=strong, escalate_below=0.6),
            catalogue=container.catalogue,
            now=lambda: datetime.now(UTC),
            source=Source("claude", lambda: KEY),
            saving=lambda _: False,
            close=lambda: None,
        )

    return by_batches


@contextmanager
def office() -> Iterator[Office]:
    """The five functions, with a model that answers in batches only."""
    side = BatchSide()
    with desk(by_batches=reads_in_batches(side), pack_linger="0") as made:
        made.reader.has_model = True
        yield Office(made, side, made.token("operator"))
