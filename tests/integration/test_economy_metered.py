"""Economy over real HTTP against the fake that bills: what is booked is what is billed, at half the price."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from common.actions.catalogue import Catalogue
from common.adapters.system_clock import SystemClock
from common.analysis.batches.batched import batched
from common.config import Settings
from common.core.lifecycle import move
from common.core.task import State, Task
from functions.analyze.collecting import Collector
from functions.analyze.economy import Economy, EconomyMeans
from functions.analyze.parking import Parking
from tests.batch_side import KEY
from tests.contract.ground import Ground
from tests.economy_floor import Silent
from tests.metered.batches import Fate
from tests.metered.faults import Fault
from tests.metered.server import Metered
from tests.unit.desk import Told

SOON = timedelta(minutes=6)


@dataclass
class Shop:
    """An installation's own wiring, over PostgreSQL and the fake."""

    ground: Ground
    fake: Metered
    economy: Economy

    def submit(self, count: int) -> list[Task]:
        """Texts that may wait hours."""
        return [
            self.ground.submit(State.RECEIVED, economy=True, text=f"fetch https://a.example/{n}") for n in range(count)
        ]

    def later(self) -> None:
        """Some time on."""
        self.ground.elapse(SOON)
        self.economy.run()

    def money(self) -> tuple[int, int]:
        """Spent and reserved this month."""
        month = self.ground.budget.month(self.ground.home)
        return month.spent, month.reserved


@contextmanager
def shop(ground: Ground, **settings: Any) -> Iterator[Shop]:  # noqa: ANN401 - any setting
    """As `common.wiring` does it."""
    with Metered() as fake:
        named = {"anthropic_api_key": SecretStr(KEY), "anthropic_base_url": fake.url, "pack_checks": 0, **settings}
        chosen = Settings(**named)
        made = batched(chosen, ground.budget, ground.batches, Catalogue.shipped())
        assert made is not None
        parking = Parking(queue=ground.queue, batches=ground.batches, batched=made, notifier=Told())
        clock = SystemClock()
        means = EconomyMeans(
            parking=parking,
            collector=Collector(parking=parking, workspace=ground.workspace, clock=clock),
            analyzer=Silent(),
            workspace=ground.workspace,
            clock=clock,
            worker="w",
            linger=timedelta(0),
        )
        yield Shop(ground, fake, Economy(means))
        made.close()


def test_the_ledger_is_the_bill(postgres_ground: Ground) -> None:
    """I7: three requests in a batch, booked to the nanodollar as they were billed, at half the price."""
    with shop(postgres_ground, strong_model="") as here:
        tasks = here.submit(25)
        here.economy.run()
        assert here.money()[0] == 0
        here.later()
        assert {postgres_ground.get(task.id).state for task in tasks} == {State.QUEUED}
        assert len(here.fake.rows) == 3
        assert here.money() == (here.fake.nanodollars, 0)


def test_what_the_bill_leaves_out_is_not_booked(postgres_ground: Ground) -> None:
    """I7: of three requests one errored and one expired: neither is billed, and its tasks are read directly."""
    with shop(postgres_ground, strong_model="") as here:
        here.fake.batches.fate = Fate(errored=(0,), expired=(2,))
        tasks = here.submit(25)
        here.economy.run()
        here.later()
        states = [postgres_ground.get(task.id).state for task in tasks]
        assert (states.count(State.QUEUED), states.count(State.RECEIVED)) == (10, 15)
        assert here.money() == (here.fake.nanodollars, 0)


@pytest.mark.parametrize("kind", ["reset", "status"])
def test_a_lost_answer_is_found_and_paid_once(postgres_ground: Ground, kind: str) -> None:
    """I7: the connection broke, or a gateway gave up, after the batch was made."""
    with shop(postgres_ground, strong_model="") as here:
        here.fake.faults.add(Fault.model_validate({"kind": kind, "on": "batches", "status": 504, "billed": True}))
        tasks = here.submit(5)
        here.economy.run()
        here.later()
        here.later()
        assert {postgres_ground.get(task.id).state for task in tasks} == {State.QUEUED}
        assert len(here.fake.rows) == 1
        assert here.money() == (here.fake.nanodollars, 0)


def test_what_was_done_when_nobody_waited_any_more_is_booked(postgres_ground: Ground) -> None:
    """I7: cancelled halfway: what had been answered by then is billed, and in the ledger."""
    with shop(postgres_ground, strong_model="") as here:
        here.fake.batches.fate = Fate(seconds=3600, done_at_cancel=1)
        tasks = here.submit(15)
        here.economy.run()
        for task in tasks:
            parked = postgres_ground.get(task.id)
            assert postgres_ground.apply(move(parked, "cancelled", State.CANCELLED, None, "person"))
        here.later()
        here.later()
        assert len(here.fake.rows) == 1
        assert here.money() == (here.fake.nanodollars, 0)
