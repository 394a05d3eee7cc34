"""Economy, over every adapter: sent, parked, collected; and whoever dies, nothing is lost, doubled or paid unseen."""

# ruff: noqa: ANN401 - any field of a request, any port

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from common.core.after_analysis import after_batch, after_lost_analysis
from common.core.after_step import Limits
from common.core.lifecycle import move
from common.core.task import Risk, State, Task
from tests.batch_side import BatchSide, answer_of, message, plainly, reading, refusal
from tests.contract.ground import Ground
from tests.economy_floor import MINUTE, SMALL, STRONG, Dying, Floor, Killed, texts

LATE = timedelta(minutes=16)
TWELVE = (
    1_150_000  # nanodollars of two requests as the far side answers them, at half the price: 2 x (4000 in, 1500 out)
)
LIMITS = Limits(attempts=5, replans=3, model=True)


@pytest.fixture
def floor(ground: Ground) -> Floor:
    """Replicas over both kinds of adapters."""
    return Floor(ground, BatchSide(ground.now))


def sent(floor: Floor, count: int = 12, **new: Any) -> list[Task]:
    """Tasks that wait for a batch."""
    tasks = floor.submit(*texts(count), **new)
    floor.replica().run()
    assert floor.states(tasks) == [State.ANALYZING] * count
    return [floor.now(task.id) for task in tasks]


def dies(floor: Floor, **ports: Any) -> None:
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


# --- the plain way --------------------------------------------------------------------------------------------------


def test_texts_share_requests_and_wait_parked(floor: Floor) -> None:
    """Twelve are two requests of one batch; each waits by name, for a day and an hour at most (I9)."""
    tasks = sent(floor)
    assert [len(texts_of(request)) for request in floor.side.last.requests] == [10, 2]
    assert {task.batch for task in tasks} == {tasks[0].batch}
    assert {task.waiting_for for task in tasks} == {"provider"}
    assert floor.ground.kinds(tasks[0]) == ["submitted", "analysis_started", "batched"]
    record = floor.ground.reads.task(floor.ground.home, tasks[0].id)
    assert record is not None
    assert record.next_check_at is not None
    assert timedelta(hours=24) < record.next_check_at - floor.ground.now() <= timedelta(hours=25)


def test_the_worst_case_is_held_until_half_the_price_is_booked(floor: Floor) -> None:
    """I7: reserved before it is sent; once its results are known, half the price is booked and the rest given back."""
    tasks = sent(floor)
    spent, reserved = floor.money()
    assert spent == 0
    assert reserved > 2 * TWELVE
    assert floor.later() == 0
    floor.side.end()
    assert floor.later() == len(tasks)
    assert floor.states(tasks) == [State.QUEUED] * len(tasks)
    assert floor.money() == (TWELVE, 0)
    assert floor.later() == 0
    assert floor.side.count("GET results") == 1


def test_each_task_gets_its_own_answer_in_whatever_order_they_come(ground: Ground) -> None:
    """I12: an answer counts under its own nonce alone, wherever it stands in the results."""
    floor = Floor(ground, BatchSide(ground.now, lambda item, _: reading(kind=f"kind_{item['text'].split()[-1]}")))
    tasks = sent(floor)
    floor.side.end()
    floor.later()
    assert [floor.now(task.id).kind for task in tasks] == [f"kind_{n}" for n in range(12)]


def test_other_tasks_are_left_to_be_read_at_once(floor: Floor) -> None:
    """What does not say that it may wait is not claimed here."""
    urgent = floor.ground.submit(State.RECEIVED, text="fetch https://a.example/x")
    sent(floor, 1)
    assert floor.now(urgent.id).state is State.RECEIVED


def test_origins_and_workspaces_do_not_share_a_request(floor: Floor) -> None:
    """I12: one workspace a batch, one origin a request."""
    floor.submit("fetch https://a.example/1", origin="derived")
    floor.submit("fetch https://a.example/2")
    floor.ground.submit(State.RECEIVED, by=floor.ground.outsider, economy=True, text="fetch https://a.example/3")
    floor.replica().run()
    sent = [sorted(text for r in batch.requests for text in texts_of(r)) for batch in floor.side.batches.values()]
    assert sorted(sent) == [["fetch https://a.example/1", "fetch https://a.example/2"], ["fetch https://a.example/3"]]
    assert {len(texts_of(r)) for batch in floor.side.batches.values() for r in batch.requests} == {1}


# --- what a batch does not answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fate", "code"),
    [("errored", "batch_errored"), ("expired", "batch_expired"), ("canceled", "batch_missing"),
     ("missing", "batch_missing")],
)  # fmt: skip
def test_what_was_not_answered_is_read_directly(floor: Floor, fate: str, code: str) -> None:
    """A request that errored, expired, was cancelled or is missing takes nothing from the other."""
    tasks = sent(floor)
    floor.side.end(fates={1: fate})
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 10 + [State.RECEIVED] * 2
    assert [(floor.now(t.id).economy, floor.failure(t)) for t in tasks[10:]] == [(False, code)] * 2
    assert [floor.now(task.id).attempts for task in tasks] == [0] * 12


def test_only_what_was_answered_is_booked(floor: Floor) -> None:
    """I7: an errored request is not billed; of one that is missing nobody knows, so its share is booked in full."""
    sent(floor)
    floor.side.end(fates={1: "errored"})
    floor.later()
    assert floor.money() == (TWELVE // 2, 0)
    sent(floor, 10)
    reserved = floor.money()[1]
    floor.side.end(fates={0: "missing"})
    floor.later()
    assert floor.money() == (TWELVE // 2 + reserved, 0)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"nonce": "00000000"},
        {"steps": [{"id": "a", "action": "no.such", "args": "{}"}]},
        {"surprise": True},
        {"kind": "x", "steps": "none"},
    ],
)
def test_a_bad_item_is_read_directly_and_alone(ground: Ground, spoilt: dict[str, Any]) -> None:
    """I12: a foreign nonce or an invalid plan spoils its own task, not its neighbours in the pack."""

    def says(item: Mapping[str, Any], _model: str) -> dict[str, Any]:
        return reading(**spoilt) if item["text"].endswith(" 3") else reading()

    floor = Floor(ground, BatchSide(ground.now, says))
    tasks = sent(floor, 10)
    floor.side.end()
    floor.later()
    assert [state is State.RECEIVED for state in floor.states(tasks)] == [n == 3 for n in range(10)]
    assert floor.failure(tasks[3]) == "unusable_answer"
    assert not floor.now(tasks[3].id).economy


def test_an_answer_for_a_person_goes_to_one(ground: Ground) -> None:
    """No steps: the model says that a person is needed."""
    floor = Floor(ground, BatchSide(ground.now, lambda _item, _model: reading(steps=[])))
    [task] = sent(floor, 1)
    floor.side.end()
    floor.later()
    assert (floor.now(task.id).state, floor.failure(task)) == (State.MANUAL, "needs_person")


def test_policy_decides_whatever_the_answer_claims(ground: Ground) -> None:
    """I5: a POST that claims to be low waits for a person."""
    step = {"id": "a", "action": "http.request", "args": json.dumps({"url": "https://a.example/x", "method": "POST"})}
    floor = Floor(ground, BatchSide(ground.now, lambda _item, _model: reading(steps=[step])))
    [task] = sent(floor, 1)
    floor.side.end()
    floor.later()
    assert floor.now(task.id).state is State.AWAITING_APPROVAL


def test_a_request_that_is_answered_twice_is_not_believed(floor: Floor) -> None:
    """I12: of two results under one custom id nobody knows which is right; both may have been billed (I7)."""
    tasks = sent(floor)
    batch = floor.side.end()
    first = {"custom_id": batch.custom_ids[0], "result": {"type": "succeeded", "message": message(
        answer_of(batch.requests[0]["params"], plainly))}}  # fmt: skip
    second = {"custom_id": batch.custom_ids[1], "result": {"type": "succeeded", "message": message(
        answer_of(batch.requests[1]["params"], plainly))}}  # fmt: skip
    batch.results = [first, second, first]
    floor.elapse(6 * MINUTE)
    [on_record] = floor.ground.batches.due(10)
    floor.later()
    assert floor.states(tasks) == [State.RECEIVED] * 10 + [State.QUEUED] * 2
    assert floor.money() == (on_record.asked[0].most + TWELVE // 2, 0)


# --- who dies, and what is lost on the way --------------------------------------------------------------------------


def test_killed_between_intent_and_parking(floor: Floor) -> None:
    """I1, I7: nothing was sent; the lease is lost, the call is voided once it would be listed, the tasks are sent."""
    tasks = floor.submit(*texts(3))
    dies(floor, batches=Dying(floor.ground.batches, "open", after=True))
    assert floor.side.seen == []
    assert floor.money()[1] > 0
    floor.elapse(6 * MINUTE)
    rescued(floor)
    floor.later(LATE)
    floor.elapse(MINUTE)
    floor.replica().run()
    assert floor.side.count("POST create") == 1
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


def test_killed_between_parking_and_sending(floor: Floor) -> None:
    """I1, I7: what was never made is not on the provider's list: voided, and its tasks are sent anew."""
    tasks = floor.submit(*texts(3))

    def kill(what: str) -> None:
        if what == "POST create":
            raise Killed

    floor.side.before = kill
    dies(floor)
    floor.side.before = lambda _: None
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert floor.later(5 * MINUTE) == 0
    assert floor.money()[1] > 0
    floor.later(LATE)
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert [floor.now(task.id).economy for task in tasks] == [True] * 3
    assert floor.money() == (0, 0)
    floor.later(MINUTE)
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert floor.side.count("POST create") == 1


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_sending_and_naming(floor: Floor, *, after: bool) -> None:
    """I7: the batch is found on the provider's list, and sent once."""
    tasks = floor.submit(*texts(3))
    dies(floor, batches=Dying(floor.ground.batches, "name", after=after))
    floor.side.end()
    floor.later()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.side.count("POST create") == 1
    assert floor.money() == (TWELVE // 2, 0)


@pytest.mark.parametrize("at", ["due", "parked"])
def test_killed_before_anything_was_collected(floor: Floor, at: str) -> None:
    """I1: whoever comes next collects."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    dies(floor, batches=Dying(floor.ground.batches, at, after=True))
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_results_and_applying(floor: Floor, *, after: bool) -> None:
    """I2: applied once, by whoever comes; each task has one event of it."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    dies(floor, queue=Dying(floor.ground.queue, "apply", after=after))
    floor.later()
    for task in tasks:
        assert floor.ground.kinds(task) == ["submitted", "analysis_started", "batched", "plan_decided"]
    assert floor.money() == (TWELVE // 2, 0)


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_applying_and_booking(floor: Floor, *, after: bool) -> None:
    """I7: booked once; nothing is applied again."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    dies(floor, budget=Dying(floor.ground.budget, "settle", after=after))
    assert floor.states(tasks) == [State.QUEUED] * 3
    floor.later()
    assert floor.money() == (TWELVE // 2, 0)
    assert [len(floor.ground.kinds(task)) for task in tasks] == [4] * 3


def test_an_answer_that_never_came_is_found_by_listing(floor: Floor) -> None:
    """I7: made, and the answer lost: matched by time and count, ours once its custom ids are seen."""
    tasks = floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.later()
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.side.count("POST create") == 1
    assert floor.money() == (TWELVE // 2, 0)


def test_nothing_is_opened_beside_an_unanswered_batch(floor: Floor) -> None:
    """I7: the next one waits until it is known what became of the first."""
    floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    more = floor.submit(*texts(2, first=50))
    floor.replica().run()
    assert floor.states(more) == [State.RECEIVED] * 2
    floor.later()
    floor.later(2 * MINUTE)
    assert floor.states(more) == [State.ANALYZING] * 2
    assert len(floor.side.batches) == 2


def test_what_was_not_made_is_voided_only_when_that_is_certain(floor: Floor) -> None:
    """I7: a request that timed out may have been made; the list is believed a quarter of an hour later, not before."""
    floor.submit(*texts(3))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    floor.replica().run()
    floor.later(5 * MINUTE)
    assert floor.money()[1] > 0
    floor.side.refuse["GET list"] = refusal(529)
    floor.later(LATE)
    assert floor.money()[1] > 0
    floor.later()
    assert floor.money() == (0, 0)


def test_another_keys_list_proves_nothing(floor: Floor) -> None:
    """I7: a key of another account does not see what the first one made; it is assumed billed in the end."""
    tasks = floor.submit(*texts(3))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    floor.replica().run()
    reserved = floor.money()[1]
    floor.elapse(LATE)
    floor.replica(key="sk-ant-another").run()
    assert floor.money() == (0, reserved)
    floor.elapse(timedelta(days=8))
    rescued(floor)
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert floor.ground.budget.expire() == 1
    assert floor.money() == (reserved, 0)


def test_another_programs_batch_is_waited_for_and_left_alone(floor: Floor) -> None:
    """What looks like ours by time and count and is not: never cancelled, never booked, and ours is found after it."""
    tasks = floor.submit(*texts(3))
    theirs = floor.side.foreign()
    floor.side.drop.add("POST create")
    floor.replica().run()
    ours = floor.side.last
    floor.later()
    floor.side.end(theirs)
    floor.side.end(ours)
    for _ in range(3):
        floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)
    assert floor.side.count("POST cancel") == 0


def test_what_may_be_anothers_is_not_cancelled_though_nobody_waits(floor: Floor) -> None:
    """Only time and count say that it is ours: it is let be, whoever's it is."""
    [task] = floor.submit("fetch https://a.example/x")
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    theirs = floor.side.foreign()
    floor.replica().run()
    floor.later()
    assert floor.ground.apply(move(floor.now(task.id), "cancelled", State.CANCELLED, None, "person"))
    floor.later()
    assert floor.side.count("GET look") == 1
    assert (floor.side.count("POST cancel"), theirs.status) == (0, "in_progress")


def test_results_that_name_nothing_are_not_taken_for_anothers(floor: Floor) -> None:
    """I7: a batch whose making had no answer and whose results have no line may be ours: nothing is given back."""
    floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    reserved = floor.money()[1]
    floor.later()
    floor.side.end(fates={0: "missing"})
    floor.later()
    floor.later(LATE)
    assert floor.money() == (0, reserved)


def test_with_nothing_but_others_batches_it_is_voided(floor: Floor) -> None:
    """I7: a lost request whose only look-alike turns out to be another's was not made."""
    tasks = floor.submit(*texts(3))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    theirs = floor.side.foreign()
    floor.replica().run()
    floor.later()
    floor.side.end(theirs)
    floor.later(LATE)
    assert floor.money() == (0, 0)
    assert floor.states(tasks) == [State.RECEIVED] * 3


def test_a_batch_that_was_made_twice_is_booked_twice_and_applied_once(floor: Floor) -> None:
    """I7, I2: the second one is an orphan: nobody waits for it, and what it cost is in the ledger."""
    tasks = floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    again = floor.side._made(floor.side.last.requests, floor.ground.now())
    floor.later()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(3):
        floor.later()
    assert again.status == "ended"
    assert floor.money() == (TWELVE, 0)
    assert [len(floor.ground.kinds(task)) for task in tasks] == [4] * 3


def test_an_orphan_that_is_ours_is_cancelled_and_booked(floor: Floor) -> None:
    """I7: made by a process that had stopped for so long that the row was given up: what was done by then costs."""
    tasks = floor.submit(*texts(3))

    def stops(what: str) -> None:
        if what == "POST create":
            floor.side.before = lambda _: None
            floor.later(LATE)
            floor.later(LATE)

    floor.side.before = stops
    floor.replica().run()
    late = floor.side.last
    floor.later()
    assert late.status == "canceling"
    floor.side.end(late)
    floor.side.end(next(iter(floor.side.batches.values())))
    floor.later()
    floor.later()
    assert floor.money()[1] == 0
    assert floor.money()[0] == TWELVE // 2 * len(floor.side.batches)
    assert all(len(floor.ground.kinds(task)) <= 7 for task in tasks)


def test_a_batch_that_is_gone_is_assumed_billed_and_its_tasks_are_read_at_once(floor: Floor) -> None:
    """I7, I9: deleted over there: its answers cannot be had and may be billed; nobody waits a day for it."""
    tasks = sent(floor, 3)
    reserved = floor.money()[1]
    del floor.side.batches[floor.side.last.id]
    floor.later()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {(floor.failure(task), floor.now(task.id).economy) for task in tasks} == {("batch_gone", False)}
    assert floor.money() == (reserved, 0)
    assert floor.ground.batches.next_due() is None


def test_what_the_list_still_has_is_not_gone(floor: Floor) -> None:
    """I7: one look that says 404 proves nothing: it is looked for in the list, which has to be had whole."""
    tasks = sent(floor, 3)
    floor.side.refuse["GET look"] = refusal(404, "not_found_error")
    floor.later()
    floor.side.refuse["GET look"] = refusal(404, "not_found_error")
    floor.side.refuse["GET list"] = refusal(500)
    floor.later()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


def test_what_was_just_made_is_not_gone(floor: Floor) -> None:
    """A provider may take some minutes to know everywhere what it has made."""
    tasks = sent(floor, 3)
    hidden = floor.side.batches.pop(floor.side.last.id)
    floor.later(2 * MINUTE)
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.side.batches[hidden.id] = hidden
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3


def test_another_key_does_not_see_it_and_that_proves_nothing(floor: Floor) -> None:
    """I7: of another account, it gets a 404 for what is there."""
    tasks = sent(floor, 3)
    hidden = floor.side.batches.pop(floor.side.last.id)
    floor.elapse(LATE)
    floor.replica(key="sk-ant-another").run()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.side.batches[hidden.id] = hidden
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3


def test_killed_after_a_gone_batch_was_closed(floor: Floor) -> None:
    """I9: its tasks are due at once, and maintenance takes them off it."""
    tasks = sent(floor, 3)
    del floor.side.batches[floor.side.last.id]
    floor.elapse(6 * MINUTE)
    dies(floor, batches=Dying(floor.ground.batches, "give_up", after=True))
    rescued(floor)
    assert floor.states(tasks) == [State.RECEIVED] * 3


def test_a_look_alike_that_is_gone_may_have_been_ours(floor: Floor) -> None:
    """I7: time and count spoke for it, and nobody can ask it any more: nothing is given back."""
    floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    reserved = floor.money()[1]
    floor.later()
    del floor.side.batches[floor.side.last.id]
    floor.later()
    assert floor.money() == (reserved, 0)


# --- who stood still -------------------------------------------------------------------------------------------------


def test_who_stood_still_before_sending_sends_nothing(floor: Floor) -> None:
    """I7: opened, parked, and a quarter of an hour later found to be lost: nothing is sent any more."""
    tasks = floor.submit(*texts(3))
    begin = floor.ground.batches.begin

    class Slow(Dying):
        """Stands still before the last look."""

        def begin(self, batch: UUID) -> bool:
            floor.later(LATE)
            floor.later(2 * MINUTE)
            return begin(batch)

    floor.replica(batches=Slow(floor.ground.batches, "nothing")).run()
    assert floor.side.seen.count("POST create") == 1  # another replica's, for the same texts
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


def test_who_stood_still_after_opening_gives_it_back_and_tries_anew(floor: Floor) -> None:
    """I1, I7: nobody else noticed; what is too old to be sent is closed, and its texts wait for the next."""
    tasks = floor.submit(*texts(3))
    begin = floor.ground.batches.begin

    class Slow(Dying):
        """Stands still before the last look."""

        def begin(self, batch: UUID) -> bool:
            floor.elapse(6 * MINUTE)
            return begin(batch)

    floor.replica(batches=Slow(floor.ground.batches, "nothing")).run()
    assert floor.side.seen == []
    assert floor.money() == (0, 0)
    assert {(floor.failure(task), floor.now(task.id).economy) for task in tasks} == {("batch_lost", True)}


def test_who_stood_still_while_looking_gives_nothing_back(floor: Floor) -> None:
    """I7: the list was asked for before it was there, and the decision is made after it was found by another."""
    tasks = floor.submit(*texts(3))
    hidden = []

    def kill(what: str) -> None:
        if what == "POST create":
            raise Killed

    floor.side.before = kill
    dies(floor)
    floor.side.before = lambda _: None
    give_up = floor.ground.batches.give_up

    class Slow(Dying):
        """Stands still between the list and what it concludes from it."""

        def give_up(self, batch: UUID, seen: str | None, *, billed: bool, after: timedelta) -> bool:
            hidden.append(batch)
            assert floor.ground.batches.name(batch, "msgbatch_found", certain=True)
            return give_up(batch, seen, billed=billed, after=after)

    floor.elapse(LATE)
    floor.replica(batches=Slow(floor.ground.batches, "nothing")).run()
    assert len(hidden) == 1
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert floor.money()[0] == 0
    assert floor.money()[1] > 0


def test_what_it_was_taken_for_until_it_was_answered_is_booked_if_it_is_ours(floor: Floor) -> None:
    """I7: made twice, one found by listing, the other named by a slow answer: both are booked."""
    floor.submit(*texts(3))

    create = floor.side._made

    def made_twice(requests: list[dict[str, Any]], at: Any) -> Any:
        first = create(requests, at)
        floor.side._made = create  # type: ignore[method-assign]  # once
        floor.later(4 * MINUTE)  # another replica finds the first on the list
        assert first.id in floor.ground.batches.known([first.id])
        return create(requests, floor.side.now())

    floor.side._made = made_twice  # type: ignore[method-assign]  # a far side with a gateway that sends again
    floor.replica().run()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(3):
        floor.later()
    assert floor.money() == (TWELVE, 0)


# --- checks -----------------------------------------------------------------------------------------------------------


def checking(ground: Ground, says: Any = plainly, **floor: Any) -> Floor:
    """Replicas that ask every pack a second time."""
    return Floor(ground, BatchSide(ground.now, says), checks=1.0, **floor)


def of_two_minds(**other: Any) -> Any:
    """A model that says something else of the text number 3 when it is asked again."""
    asked: list[str] = []

    def says(item: Mapping[str, Any], _model: str) -> dict[str, Any]:
        text = str(item["text"])
        asked.append(text)
        return reading(**(other if text.endswith(" 3") and asked.count(text) > 1 else {}))

    return says


def test_a_sample_is_asked_again_in_the_same_batch(ground: Ground) -> None:
    """I12: of each pack one alone and all in another order; counted and booked apart, within what was reserved (I7)."""
    floor = checking(ground)
    tasks = sent(floor)
    asked = [texts_of(request) for request in floor.side.last.requests]
    assert [len(one) for one in asked] == [10, 2, 1, 10, 1, 2]
    assert (asked[3], asked[5]) == (asked[0][::-1], asked[1][::-1])
    assert asked[2][0] in asked[0]
    reserved = floor.money()[1]
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 12
    assert floor.money() == (3 * TWELVE, 0)
    assert reserved > 3 * TWELVE
    spent = ground.costs.month(ground.home)
    first, checks = spent.whys["analysis", "first"], spent.whys["analysis", "check"]
    assert (first.cost, first.tasks) == (TWELVE, 12)
    assert (checks.cost, checks.tasks, checks.disagreements) == (2 * TWELVE, 14, 0)
    assert checks.saved.pack == -2 * TWELVE


def test_what_is_alone_is_not_asked_again(ground: Ground) -> None:
    """There is nobody whose answer it could have got."""
    floor = checking(ground)
    sent(floor, 1)
    assert len(floor.side.last.requests) == 1


def test_where_readings_differ_a_person_looks(ground: Ground) -> None:
    """I5, I12: the higher risk of both, at least high where they do not agree on the steps; and it is counted."""
    step = {"id": "b", "action": "http.request", "args": json.dumps({"url": "https://b.example/other"})}
    floor = checking(ground, of_two_minds(steps=[step]))
    tasks = sent(floor, 5)
    floor.side.end()
    floor.later()
    assert [state is State.AWAITING_APPROVAL for state in floor.states(tasks)] == [n == 3 for n in range(5)]
    plan = floor.now(tasks[3].id).plan
    assert plan is not None
    assert plan.risk is Risk.HIGH
    assert ground.costs.month(ground.home).all.disagreements in {1, 2}  # the one alone may be the same


def test_a_check_that_cannot_be_used_says_nothing(ground: Ground) -> None:
    """I12: errored, missing or invalid, it takes nothing from the reading that it was to check."""
    floor = checking(ground, of_two_minds(steps="none"))
    tasks = sent(floor, 5)
    floor.side.end(fates={1: "errored"})
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 5
    assert ground.costs.month(ground.home).all.disagreements == 0
    assert floor.money() == (TWELVE, 0)


def test_a_check_that_has_no_line_is_the_batches_own_cost(ground: Ground) -> None:
    """I7, I12: it checked nothing, and may have been billed; those that were answered are counted apart."""
    floor = checking(ground)
    tasks = sent(floor, 5)
    floor.elapse(6 * MINUTE)
    [on_record] = ground.batches.due(10)
    floor.side.end(fates={2: "missing"})
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 5
    assert floor.money() == (TWELVE + on_record.asked[2].most, 0)
    checks = ground.costs.month(ground.home).whys["analysis", "check"]
    assert (checks.tasks, checks.cost) == (1, TWELVE // 2)


def test_without_money_for_checks_it_is_sent_without_them(ground: Ground) -> None:
    """I7: what is left of the month holds the readings and not their checks."""
    floor = checking(ground)
    plain = Floor(ground, floor.side)
    sent(plain, 5)
    least = plain.money()[1]
    floor.side.end()
    floor.later()
    spent = floor.money()[0]
    limit = (spent + least + least // 2) / 10**9
    ground.workspace.put(ground.home, "budget_usd", limit, None, ground.rules.id)
    tasks = sent(floor, 5)
    assert len(floor.side.last.requests) == 1
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 5


@pytest.mark.parametrize("at", ["checked", "settle"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_around_the_booking_of_checks(ground: Ground, at: str, *, after: bool) -> None:
    """I7: each part is booked once, whoever comes."""
    floor = checking(ground, of_two_minds(risk="high"))
    tasks = sent(floor, 5)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    if at == "checked":
        dies(floor, batches=Dying(floor.ground.batches, at, after=after))
    else:
        dies(floor, budget=Dying(floor.ground.budget, at, after=after))
    floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert floor.money() == (TWELVE // 2 * 3, 0)
    assert ground.costs.month(ground.home).whys["analysis", "check"].calls == 1


def test_the_second_of_two_that_were_made_is_booked_whole(ground: Ground) -> None:
    """I7: nobody waits for an orphan: no part of it checks anything."""
    floor = checking(ground)
    floor.submit(*texts(5))
    floor.side.drop.add("POST create")
    floor.replica().run()
    floor.side._made(floor.side.last.requests, ground.now())
    floor.later()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(3):
        floor.later()
    assert floor.money() == (TWELVE // 2 * 6, 0)
    whys = ground.costs.month(ground.home).whys
    assert (whys["analysis", "check"].calls, whys["analysis", "orphan"].cost) == (1, TWELVE // 2 * 3)


# --- who does not wait any more -------------------------------------------------------------------------------------


def test_a_cancelled_task_ignores_the_late_answer(floor: Floor) -> None:
    """I3: cancelled at once, since no worker has it; its answer moves nothing and is booked all the same (I7)."""
    tasks = sent(floor, 3)
    gone = floor.now(tasks[0].id)
    assert floor.ground.apply(move(gone, "cancelled", State.CANCELLED, None, f"person:{floor.ground.asks.id}"))
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.CANCELLED, State.QUEUED, State.QUEUED]
    assert floor.money() == (TWELVE // 2, 0)


def test_a_batch_that_nobody_waits_for_is_cancelled_and_booked(floor: Floor) -> None:
    """I7: with all of its tasks gone no further request of it is begun; what was answered by then costs."""
    [task] = sent(floor, 1)
    assert floor.ground.apply(move(floor.now(task.id), "cancelled", State.CANCELLED, None, "person"))
    floor.later()
    assert floor.side.last.status == "canceling"
    floor.later()
    assert floor.side.count("POST cancel") == 1
    floor.side.end()
    floor.later()
    assert floor.money() == (TWELVE // 2, 0)


def test_a_task_whose_deadline_comes_near_is_read_directly(floor: Floor) -> None:
    """I9: a quarter of an hour before its deadline it is taken off the batch, and is read at the full price."""
    [task] = sent(floor, 1, deadline=floor.ground.now() + timedelta(hours=3))
    floor.elapse(timedelta(hours=2, minutes=50))
    rescued(floor)
    now = floor.now(task.id)
    assert (now.state, now.economy, now.attempts, floor.failure(task)) == (State.RECEIVED, False, 0, "batch_too_late")
    floor.side.end()
    floor.later()
    assert floor.now(task.id).event_seq == now.event_seq
    assert floor.money() == (TWELVE // 2, 0)


def test_a_batch_of_more_than_a_day_is_not_waited_for(floor: Floor) -> None:
    """I9: its tasks are read directly."""
    tasks = sent(floor, 3)
    floor.elapse(timedelta(hours=25, minutes=1))
    rescued(floor)
    assert [(t.state, t.economy) for t in map(floor.now, [t.id for t in tasks])] == [(State.RECEIVED, False)] * 3


def test_without_time_for_a_batch_it_is_read_directly_from_the_start(floor: Floor) -> None:
    """A batch takes an hour, mostly: with less than that before the deadline it is not worth trying."""
    [task] = floor.submit("fetch https://a.example/x", deadline=floor.ground.now() + timedelta(hours=1))
    floor.replica().run()
    now = floor.now(task.id)
    assert (now.state, now.economy) == (State.RECEIVED, False)
    assert floor.side.seen == []


def test_a_late_answer_does_not_reach_a_task_that_is_read_anew(floor: Floor) -> None:
    """I3: taken up by a worker meanwhile, it is not the batch's any more."""
    [task] = sent(floor, 1)
    assert floor.ground.apply(after_batch(floor.now(task.id), "schedule"))
    held = floor.ground.claimed(floor.now(task.id))
    floor.side.end()
    floor.later()
    now = floor.now(task.id)
    assert (now.state, now.lease_no, now.batch) == (State.ANALYZING, held.lease_no, None)


# --- refused --------------------------------------------------------------------------------------------------------


def test_over_the_limit_they_wait_by_name(floor: Floor) -> None:
    """I7: nothing is sent that the month's limit does not hold."""
    floor.ground.workspace.put(floor.ground.home, "budget_usd", 0.000001, None, floor.ground.rules.id)
    tasks = floor.submit(*texts(3))
    floor.replica().run()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {(floor.now(t.id).waiting_for, floor.failure(t)) for t in tasks} == {("budget", "over_budget")}
    assert {floor.now(task.id).economy for task in tasks} == {True}
    assert floor.side.seen == []


def test_what_the_limit_still_holds_is_sent(floor: Floor) -> None:
    """I7: of a batch that is too large as a whole, the part that fits."""
    floor.ground.workspace.put(floor.ground.home, "budget_usd", 0.005, None, floor.ground.rules.id)
    tasks = floor.submit(*texts(30))
    floor.replica().run()
    states = floor.states(tasks)
    assert (states.count(State.ANALYZING), states.count(State.RECEIVED)) == (10, 20)
    assert {floor.failure(task) for task in tasks} == {None, "over_budget"}


@pytest.mark.parametrize(
    ("status", "code", "economy"),
    [(429, "rate_limited", True), (529, "provider_overloaded", True), (401, "bad_key", True),
     (400, "request_refused", False), (413, "request_refused", False)],
)  # fmt: skip
def test_a_refused_batch_costs_nothing(floor: Floor, status: int, code: str, *, economy: bool) -> None:
    """I7: refused unread, it is given back; tasks wait by name, or are read directly where waiting does not help."""
    tasks = floor.submit(*texts(3))
    floor.side.refuse["POST create"] = refusal(status)
    floor.replica().run()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {(floor.failure(t), floor.now(t.id).economy) for t in tasks} == {(code, economy)}
    assert floor.money() == (0, 0)
    assert floor.ground.batches.next_due() is None


def test_a_look_that_fails_is_taken_again(floor: Floor) -> None:
    """Whatever the provider says to a look, the batch is looked at again, and nothing is lost."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.side.refuse["GET look"] = refusal(500)
    assert floor.later() == 0
    floor.side.refuse["GET results"] = httpx2.RemoteProtocolError("cut off")
    assert floor.later() == 0
    floor.side.refuse["GET results"] = httpx2.Response(200, content=b'{"custom_id": "x"\n[]\nnull\n"')
    floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert floor.money()[1] == 0


# --- the strong model -----------------------------------------------------------------------------------------------


def doubtful(item: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The small model is unsure of every other task and claims that it is medium; the strong one is sure of all."""
    odd = int(item["text"].split()[-1]) % 2 == 1
    if model == STRONG:
        return reading(kind="read_again", confidence=0.95)
    return reading(confidence=0.2 if odd else 0.9, risk="medium" if odd else "low")


def test_what_the_small_model_doubts_goes_into_a_batch_of_the_strong_one(ground: Ground) -> None:
    """I5: of two readings the higher claim counts; both are booked at half the price."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED, State.ANALYZING, State.QUEUED, State.ANALYZING]
    assert floor.ground.kinds(tasks[1]) == ["submitted", "analysis_started", "batched", "batched"]
    first, second = floor.side.batches.values()
    assert first.requests[0]["params"]["model"] == SMALL
    assert second.requests[0]["params"]["model"] == STRONG
    floor.side.end(second)
    floor.later()
    unsure = [floor.now(tasks[1].id), floor.now(tasks[3].id)]
    assert [(t.state, t.kind) for t in unsure] == [(State.AWAITING_APPROVAL, "read_again")] * 2
    assert [t.plan.risk for t in unsure if t.plan] == [Risk.MEDIUM] * 2
    assert floor.money()[1] == 0


def test_killed_between_the_second_batch_and_its_sending(ground: Ground) -> None:
    """I1: what was passed on and never sent is read in a batch anew; the first one is booked once."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()

    def kill(what: str) -> None:
        if what == "POST create":
            raise Killed

    floor.elapse(6 * MINUTE)
    floor.side.before = kill
    dies(floor)
    floor.side.before = lambda _: None
    for _ in range(3):
        floor.later(LATE)
    for _ in range(3):
        for batch in floor.side.batches.values():
            floor.side.end(batch)
        floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert floor.money()[1] == 0


def test_without_money_for_the_strong_model_a_person_looks(ground: Ground) -> None:
    """I5: what the small one said is used at a high risk, as it is paid for."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()
    floor.ground.workspace.put(floor.ground.home, "budget_usd", 0.002, None, floor.ground.rules.id)
    floor.later()
    assert floor.states(tasks) == [State.QUEUED, State.AWAITING_APPROVAL] * 2
    assert [t.plan.risk for t in map(floor.now, [tasks[1].id, tasks[3].id]) if t.plan] == [Risk.HIGH] * 2
    assert floor.money()[1] == 0


def test_a_strong_batch_that_is_refused_leaves_nobody_parked(ground: Ground) -> None:
    """I9: what had been parked on it already is decided by what the small model said, and a person looks."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()
    floor.side.refuse["POST create"] = refusal(429)
    floor.later()
    assert floor.states(tasks) == [State.QUEUED, State.AWAITING_APPROVAL] * 2
    assert floor.money()[1] == 0


def test_a_second_batch_waits_for_an_unanswered_one(ground: Ground) -> None:
    """I7: until it can be opened the first is not booked, and what is certain is applied already."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    first = floor.side.end()
    floor.submit(*texts(1, first=50))
    floor.side.drop.add("POST create")
    floor.replica().run()
    floor.elapse(MINUTE + timedelta(seconds=5))
    floor.replica().run()
    assert floor.states(tasks) == [State.QUEUED, State.ANALYZING] * 2
    assert floor.money()[0] == 0
    for _ in range(3):
        for batch in floor.side.batches.values():
            floor.side.end(batch)
        floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert first.status == "ended"
    assert floor.money()[1] == 0
