"""Economy of replicas over memory: when they look, what is booked, and what is remembered."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import httpx2

from common.actions.catalogue import Catalogue
from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.front import MemoryFront
from common.adapters.memory.rows import CallEntry
from common.adapters.memory.store import MemoryStore
from common.analysis.batches.batched import batched
from common.analysis.cache.cached import Cached
from common.analysis.cache.shelf import Memory, Shelf
from common.analysis.cascade import Tiers
from common.analysis.prompts import ANALYSIS
from common.config import Settings
from common.core.task import State
from tests.batch_side import BatchSide, reading
from tests.contract.in_memory import over_memory
from tests.economy_floor import SMALL, STRONG, Floor, Silent
from tests.unit.office import TEXT


def on_memory(strong: str = "") -> Floor:
    """Replicas over memory."""
    ground = over_memory()
    return Floor(ground, BatchSide(ground.now), strong)


def test_looks_are_a_second_apart() -> None:
    """Under a thousand wakes a second nobody asks the database a thousand times; the next look is said."""
    floor = on_memory()
    economy = floor.replica()
    assert economy.turn().wake_in_ms is None
    assert economy.turn().wake_in_ms == 1000
    economy.stop()


def test_an_unanswered_batch_does_not_hold_others_for_ever() -> None:
    """I9: while the provider's list cannot be had, texts wait by name, and those whose time runs out go directly."""
    floor = on_memory()
    floor.submit(TEXT)
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    economy = floor.replica()
    economy.run()
    waiting = floor.submit("fetch https://a.example/2", "fetch https://a.example/3")
    economy.run()
    assert floor.states(waiting) == [State.RECEIVED] * 2
    assert {floor.failure(task) for task in waiting} == {None}
    assert economy._blocked_since is not None
    economy._blocked_since -= 301
    economy.run()
    assert {(floor.failure(task), floor.now(task.id).waiting_for) for task in waiting} == {
        ("batch_unanswered", "provider")
    }
    assert {floor.now(task.id).economy for task in waiting} == {True}


def test_one_batch_that_cannot_be_read_holds_up_no_other() -> None:
    """What is wrong with one is logged, and it is looked at again."""
    floor = on_memory()
    first = floor.submit(TEXT)
    floor.replica().run()
    second = floor.submit("fetch https://a.example/2")
    floor.replica().run()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    store = floor.ground.queue.store  # type: ignore[attr-defined]  # memory's own
    broken = store.batches[floor.now(first[0].id).batch]
    stranger = dataclasses.replace(broken.asked[0].members[0], task=UUID(int=1))
    broken.asked = (dataclasses.replace(broken.asked[0], members=(stranger,)),)
    floor.later()
    assert floor.states(first) == [State.ANALYZING]
    assert floor.states(second) == [State.QUEUED]


def test_an_installation_has_batches_where_its_provider_has() -> None:
    """Chosen by the settings, without opening anything."""
    store = MemoryStore(lambda: datetime.now(UTC))
    ground = over_memory()
    made = batched(Settings(), MemoryBudget(store), ground.batches, Catalogue.shipped())
    assert made is not None
    assert made.tiers == Tiers(small=SMALL, strong=STRONG, escalate_below=0.6)
    made.close()


# --- the ledger -------------------------------------------------------------------------------------------------------


def booked(floor: Floor) -> list[CallEntry]:
    """The ledger."""
    store = cast(MemoryStore, floor.ground.queue.store)  # type: ignore[attr-defined]  # memory's own
    return [store.calls[call] for call in sorted(store.calls)]


def test_the_ledger_says_what_each_lever_saved() -> None:
    """What model, pack and batch saved against the naive calls, to the nanodollar."""
    floor = on_memory(STRONG)
    floor.submit(*[f"fetch https://a.example/x {n}" for n in range(10)])
    floor.replica().run()
    floor.side.end()
    floor.later()
    [call] = booked(floor)
    assert call.bill is not None
    assert (call.state, call.reason, call.tasks, call.model) == ("settled", "first", 10, SMALL)
    assert call.bill.saved.batch == call.bill.cost == 575_000
    assert call.bill.baseline - call.bill.cost == call.bill.saved.total
    assert call.bill.request_id == floor.side.last.id
    assert call.bill.latency is not None
    assert set(call.task_ids) == set(floor.ground.queue.store.tasks)  # type: ignore[attr-defined]  # as above


# --- what is remembered -----------------------------------------------------------------------------------------------


def remembering(floor: Floor) -> Floor:
    """The same with a memory."""
    store = floor.ground.queue.store  # type: ignore[attr-defined]  # memory's own
    memory = Memory(answers=MemoryAnswers(store), front=MemoryFront(), worker="w")
    batched_ = floor.replica()._means.parking.batched
    shelf = Shelf(
        memory, batched_.catalogue, lambda: datetime.now(UTC), models=("anthropic", SMALL, ""), prompt_version=ANALYSIS
    )
    floor.memory = Cached(Silent(), shelf, batched_.catalogue)
    return floor


def test_equal_texts_are_asked_once() -> None:
    """I10: fifty equal texts are one item; each is decided by policy for itself, and the next needs no batch at all."""
    floor = remembering(on_memory())
    tasks = floor.submit(*["fetch https://a.example/x"] * 50)
    floor.replica().run()
    [request] = floor.side.last.requests
    assert request["params"]["messages"][0]["content"].count("nonce") == 1
    assert floor.states(tasks) == [State.ANALYZING] * 50
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 50
    plans = [floor.now(task.id).plan for task in tasks]
    assert sorted(plan.source for plan in plans if plan) == ["cached"] * 49 + ["claude"]
    [again] = floor.submit("fetch https://a.example/x")
    floor.replica().run()
    assert floor.now(again.id).state is State.QUEUED
    assert floor.side.count("POST create") == 1


def test_texts_that_speak_of_time_share_nothing() -> None:
    """What `tomorrow` means was said hours ago: each is asked for itself, and its answer is not remembered."""
    floor = remembering(on_memory())
    tasks = floor.submit(*["fetch https://a.example/x tomorrow"] * 3)
    floor.replica().run()
    [request] = floor.side.last.requests
    assert request["params"]["messages"][0]["content"].count("nonce") == 3
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    floor.submit("fetch https://a.example/x tomorrow")
    floor.replica().run()
    assert floor.side.count("POST create") == 2


def test_those_that_wait_for_an_equal_one_are_read_directly_if_it_brings_nothing() -> None:
    """Nobody waits for an answer that does not come."""
    floor = remembering(on_memory())
    tasks = floor.submit(*["fetch https://a.example/x"] * 3)
    floor.replica().run()
    floor.side.end(fates={0: "errored"})
    floor.later()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {floor.now(task.id).economy for task in tasks} == {False}


def test_those_that_wait_for_an_equal_one_go_with_it_to_the_strong_model() -> None:
    """The small model is unsure of the one that was asked about: the others wait on, for the second answer."""
    floor = remembering(on_memory(STRONG))
    floor.side.says = lambda _, model: reading(confidence=0.95 if model == STRONG else 0.1)
    tasks = floor.submit(*["fetch https://a.example/x"] * 3)
    floor.replica().run()
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert {floor.now(task.id).batch for task in tasks} == {floor.now(tasks[0].id).batch}
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.side.count("POST create") == 2


def test_a_doubt_that_nobody_looked_into_for_want_of_money_is_not_remembered() -> None:
    """I10: near the limit the small model's doubt is a person's; once there is money again, it is asked anew."""
    floor = remembering(on_memory(STRONG))
    floor.saving = True
    floor.side.says = lambda _, __: reading(confidence=0.1)
    [doubted] = floor.submit("fetch https://a.example/x")
    floor.replica().run()
    floor.side.end()
    floor.later()
    assert floor.now(doubted.id).state is State.AWAITING_APPROVAL
    floor.submit("fetch https://a.example/x")
    floor.replica().run()
    assert floor.side.count("POST create") == 2
