"""The five functions over memory with the real analyzer, whose provider is the metered fake on real HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast
from uuid import UUID

from fastapi import FastAPI
from pydantic import SecretStr

from common.adapters.memory.rows import CallEntry, TaskRow
from common.analysis.batches.batched import Batched, batched
from common.analysis.cache.cached import Cached
from common.analysis.cache.shelf import Memory
from common.analysis.chain import Chain, chain_of
from common.ports import Bill
from common.wiring import Container, Thinker
from tests.metered.asked import Asked
from tests.metered.server import Metered
from tests.unit.desk import Desk, desk

LOOK: Final = timedelta(minutes=2)  # from one look at the batches to the next

KEY = "sk-ant-metered-0123456789"
# Nobody waits for others, nobody reads again, nothing is remembered or checked, unless a test says so.
QUIET: dict[str, Any] = {"pack_linger": 0, "pack_checks": 0, "cache": False, "cache_checks": 0, "strong_model": ""}


@dataclass
class Paid:
    """A desk and its provider."""

    desk: Desk
    fake: Metered
    operator: dict[str, str]

    def submit(self, *texts: str, by: dict[str, str] | None = None, **request: Any) -> list[UUID]:  # noqa: ANN401 - any field of a task request
        """Hand in tasks; `by`: another's headers."""
        body = [{"text": text, **request} for text in texts]
        answer = self.desk.clients["analyze"].post("/api/v1/tasks", json=body, headers=by or self.operator)
        assert answer.status_code == 201, answer.text
        return [UUID(item["id"]) for item in answer.json()["items"]]

    def read(self, *texts: str, **request: Any) -> list[TaskRow]:  # noqa: ANN401 - as above
        """Hand in tasks, and have them read."""
        ids = self.submit(*texts, **request)
        self.desk.wake("analyze")
        return [self.row(task) for task in ids]

    def look(self) -> None:
        """Time has passed: batches are looked at, and what came of them is worked off."""
        self.desk.elapse(LOOK)
        self.fake.account.advance(LOOK.seconds)
        economy = cast("FastAPI", self.desk.clients["analyze"].app).state.function._economy
        economy._began = float("-inf")
        self.desk.wake("analyze")
        if economy._work is not None:
            economy._work.result(10)

    def row(self, task: UUID) -> TaskRow:
        """As it is stored."""
        return self.desk.store.tasks[task]

    def neighbour(self) -> dict[str, str]:
        """Headers of an operator of another workspace."""
        people, home = self.desk.container.people, self.desk.store.add_workspace("neighbour")
        person = people.add_person(home, "Dee", "operator")
        people.issue(home, person.id, "api", hashlib.sha256(b"aiw_neighbour").hexdigest(), None)
        return {"Authorization": "Bearer aiw_neighbour"}

    @property
    def calls(self) -> list[CallEntry]:
        """The ledger."""
        return list(self.desk.store.calls.values())

    @property
    def booked(self) -> int:
        """What the ledger says, in nanodollars."""
        assert all(call.cost is not None for call in self.calls)
        return sum(call.cost or 0 for call in self.calls)

    def assert_books_hold(self) -> None:
        """I7: every call is closed within what was reserved; an answered one is booked as it was billed.

        Of no answer at least as much is booked as was billed, and the budget holds exactly what the ledger says.
        """
        billed = {row.request_id: row.nanodollars for row in self.fake.rows}
        for call in self.calls:
            assert call.state != "reserved"
            assert (call.cost or 0) <= call.reserved
            if isinstance(call.bill, Bill) and str(call.bill.request_id) in billed:
                assert call.cost == billed[str(call.bill.request_id)]
        assert self.booked >= self.fake.nanodollars
        month = self.desk.container.budget.month(self.desk.workspace)
        assert (month.spent, month.reserved) == (self.booked, 0)


@contextmanager
def paid_desk(says: Callable[[Asked], str] | None = None, **settings: Any) -> Iterator[Paid]:  # noqa: ANN401 - any of them
    """`says`: the model. A task is handed in by an operator."""

    def thinks(container: Container) -> Thinker:
        memory = Memory(answers=container.answers, front=container.front, worker="test")
        return chain_of(container.settings, container.budget, container.catalogue, memory=memory)

    def by_batches(container: Container) -> Batched | None:
        known = container.analyzer.model if isinstance(container.analyzer, Chain) else None
        remembers = known if isinstance(known, Cached) else None
        return batched(container.settings, container.budget, container.batches, container.catalogue, remembers)

    with Metered(says) as fake:
        chosen = {"anthropic_api_key": SecretStr(KEY), "anthropic_base_url": fake.url, **QUIET, **settings}
        with desk(thinks, by_batches, **chosen) as made:
            try:
                yield Paid(made, fake, made.token("operator"))
            finally:
                cast("Chain", made.container.analyzer).close()
                if made.container.batched is not None:
                    made.container.batched.close()
