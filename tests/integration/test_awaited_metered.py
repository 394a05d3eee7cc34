"""A text that somebody waits for does not wait for company; others do."""

from __future__ import annotations

from common.core.task import State
from tests.paid_desk import paid_desk

LINGER = 60
URL = "What is new at https://a.example/{}, and is it worth a visit?"


def test_a_text_that_is_waited_for_is_read_at_once() -> None:
    """Handed in with `?wait=`, or waited for later: whoever else waits for company shares the call."""
    with paid_desk(pack_linger=LINGER) as paid:
        patient, later = paid.read(URL.format(1), URL.format(2))
        assert (patient.state, later.state) == (State.RECEIVED, State.RECEIVED)
        clients, operator = paid.desk.clients, paid.operator
        # what was typed is no text, and nobody reads it
        typed = {"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": 1}}]}}
        assert clients["analyze"].post("/api/v1/tasks?wait=0.01", json=typed, headers=operator).status_code == 201
        paid.desk.wake("analyze")
        assert paid.row(later.id).state is State.RECEIVED
        answer = clients["dashboard"].get(f"/api/v1/tasks/{later.id}?wait=0.01", headers=operator)
        assert answer.json()["state"] == "received"
        paid.desk.wake("analyze")
        assert {paid.row(task.id).state for task in (patient, later)} == {State.QUEUED}
        assert [call.tasks for call in paid.calls] == [2]
        body = {"text": URL.format(3)}
        answer = clients["analyze"].post("/api/v1/tasks?wait=0.01", json=body, headers=operator)
        assert answer.json()["state"] == "received"
        paid.desk.wake("analyze")
        assert [call.tasks for call in paid.calls] == [2, 1]


def test_economy_is_in_no_haste() -> None:
    """Whoever asks for half the price waits as long as that takes."""
    with paid_desk(pack_linger=LINGER) as paid:
        body = {"text": URL.format(1), "economy": True}
        client = paid.desk.clients["analyze"]
        assert client.post("/api/v1/tasks?wait=0.01", json=body, headers=paid.operator).status_code == 201
        paid.desk.wake("analyze")
        assert paid.calls == []
