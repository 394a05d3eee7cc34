"""Economy as a person sees it: the functions over memory, with a far side that answers batches."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from common.core.after_analysis import BATCH_LASTS
from common.core.task import State
from tests.batch_side import BatchSide
from tests.unit.desk import desk
from tests.unit.office import PATIENTLY, TEXT, Office, office


def test_a_text_that_may_wait_goes_through_a_batch() -> None:
    """From the API to a plan: submitted, batched, decided."""
    with office() as here:
        [task] = here.submit(TEXT)
        here.wake()
        assert here.row(task).state is State.ANALYZING
        here.side.end()
        here.desk.elapse(timedelta(minutes=2))
        here.wake()
        assert here.row(task).state is State.QUEUED
        assert "aiw.task.queued" in here.desk.told.kinds


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [("en", "Put in a batch that is answered within hours"), ("ko", "몇 시간 안에 답이 오는 배치에 넣었습니다")],
)
def test_what_a_parked_task_waits_for_is_said(lang: str, sentence: str) -> None:
    """I9: the provider, until a named time; and its timeline says that it was put in a batch, in both languages."""
    with office() as here:
        [task] = here.submit(TEXT)
        here.wake()
        waiting = here.get(f"/api/v1/tasks/{task}", lang)["waiting_for"]
        assert waiting["what"] == "provider"
        left = datetime.fromisoformat(waiting["look_again_at"]) - datetime.now(UTC)
        assert timedelta(hours=24) < left <= BATCH_LASTS
        events = here.get(f"/api/v1/tasks/{task}/events", lang)["items"]
        assert [event["text"] for event in events][-1] == sentence


def test_a_parked_task_is_cancelled_at_once() -> None:
    """Nobody holds it: the answer to the cancel already says that it is cancelled."""
    with office() as here:
        [task] = here.submit(TEXT)
        here.wake()
        answer = here.desk.clients["dashboard"].post(f"/api/v1/tasks/{task}/cancel", json={}, headers=here.operator)
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


def test_schedule_takes_it_off_a_batch_that_is_late() -> None:
    """I9: by maintenance, to be read directly; the task's lease was not lost, and no attempt is counted."""
    with office() as here:
        [task] = here.submit(TEXT)
        here.wake()
        here.desk.elapse(BATCH_LASTS + timedelta(minutes=1))
        here.desk.wake("schedule")
        row = here.row(task)
        assert (row.state, row.economy, row.batch, row.attempts) == (State.RECEIVED, False, None, 0)


def test_without_batches_such_texts_are_read_at_once() -> None:
    """A provider that has none: `economy` changes nothing."""
    with desk(pack_linger="0") as made:
        made.reader.has_model = True
        here = Office(made, BatchSide(), made.token("operator"))
        [task] = here.submit(TEXT)
        made.wake("analyze")
        assert here.row(task).state is State.MANUAL  # as the reader was told to answer


def test_nobody_who_waits_for_an_answer_waits_for_a_batch() -> None:
    """A wake returns while a batch is being sent, and what is read at once is read meanwhile."""
    with office() as here:
        let_go = threading.Event()
        here.side.before = lambda _: cast(None, let_go.wait(PATIENTLY))
        here.submit(TEXT)
        here.desk.wake("analyze")
        urgent = here.desk.clients["analyze"].post("/api/v1/tasks", json={"text": TEXT}, headers=here.operator)
        here.desk.wake("analyze")
        assert here.row(UUID(urgent.json()["id"])).state is State.MANUAL
        assert here.economy._work is not None
        assert not here.economy._work.done()
        let_go.set()
        here.economy._work.result(PATIENTLY)
