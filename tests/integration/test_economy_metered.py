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
from common.analysis.batches.search import LOST_AFTER
from common.config import Settings
from common.core.lifecycle import move
from common.core.task import State, Task
from common.telemetry import metrics
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
        here.ground.elapse(LOST_AFTER)  # until then a copy of it may still turn up
        here.economy.run()
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


def test_a_batch_that_was_deleted_over_there_is_not_waited_for(postgres_ground: Ground) -> None:
    """I7, I9: found in no list, it is gone: assumed billed in full, its texts are read at once, and it is counted."""
    with shop(postgres_ground, strong_model="") as here:
        here.fake.batches.fate = Fate(seconds=3600)
        tasks = here.submit(5)
        here.economy.run()
        reserved = here.money()[1]
        here.fake.batches._made.clear()
        before = count("aiw_batches_total", ended="gone")
        here.later()
        now = [postgres_ground.get(task.id) for task in tasks]
        assert {(task.state, task.economy) for task in now} == {(State.RECEIVED, False)}
        assert {task.failure.code for task in now if task.failure} == {"batch_gone"}
        assert here.money() == (reserved, 0)
        assert count("aiw_batches_total", ended="gone") == before + 1


def test_checks_are_on_the_bill_and_in_the_ledger(postgres_ground: Ground) -> None:
    """I7, I12: each pack is asked again beside itself; all to the nanodollar, checks in a row of their own."""
    with shop(postgres_ground, strong_model="", pack_checks=1) as here:
        tasks = here.submit(25)
        here.economy.run()
        here.later()
        assert {postgres_ground.get(task.id).state for task in tasks} == {State.QUEUED}
        assert len(here.fake.rows) == 9
        assert here.money() == (here.fake.nanodollars, 0)
        whys = postgres_ground.costs.month(postgres_ground.home).whys
        assert (whys["analysis", "first"].tasks, whys["analysis", "check"].tasks) == (25, 28)
        assert whys["analysis", "check"].disagreements == 0


def test_who_answers_otherwise_when_asked_again_is_alarmed(postgres_ground: Ground) -> None:
    """I12: which of both is right nobody knows: it is counted where the real time's are, and a person looks."""
    heard: list[str] = []
    with shop(postgres_ground, strong_model="", pack_checks=1) as here:
        right = here.fake.account.says

        def says(asked: Any) -> str:  # noqa: ANN401 - as the fake hands it over
            said = right(asked)
            heard.append(said)
            return said if len(heard) == 1 else said.replace("a.example/0", "b.example/0")

        here.fake.account.says = says
        tasks = here.submit(5)
        before = count("aiw_pack_checks_total", outcome="differed")
        here.economy.run()
        here.later()
        states = [postgres_ground.get(task.id).state for task in tasks]
        assert states == [State.AWAITING_APPROVAL, *[State.QUEUED] * 4]
        different = postgres_ground.costs.month(postgres_ground.home).all.disagreements
        assert different in {1, 2}  # the one that is asked alone may be the same
        assert count("aiw_pack_checks_total", outcome="differed") == before + different
        assert here.money() == (here.fake.nanodollars, 0)


def test_a_server_that_says_absurd_numbers_is_booked_at_the_worst_case(postgres_ground: Ground) -> None:
    """I7: a trillion tokens were never reserved, and cannot have been used: each request's own worst case, and told."""
    with shop(postgres_ground, strong_model="") as here:
        right = here.fake.account.message

        def message(*args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as it is there
            said = right(*args, **kwargs)
            said["usage"] |= {"input_tokens": 10**12, "output_tokens": 10**30}
            return said

        here.fake.account.message = message  # type: ignore[method-assign]  # a server that lies
        tasks = here.submit(15)
        here.economy.run()
        reserved = here.money()[1]
        before = count("aiw_usage_unbelievable_total", model="claude-haiku-5-5", why="dearer_than_possible")
        here.later()
        assert {postgres_ground.get(task.id).state for task in tasks} == {State.QUEUED}
        assert here.money() == (reserved, 0)
        told = count("aiw_usage_unbelievable_total", model="claude-haiku-5-5", why="dearer_than_possible")
        assert told == before + 2


def count(name: str, **labels: str) -> float:
    """What the process has counted so far."""
    return metrics().registry.get_sample_value(name, labels) or 0.0
