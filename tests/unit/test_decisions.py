"""What people do to a waiting task, through the real endpoints over the memory adapters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from common.core.task import Json
from common.ports import HttpFailure, HttpResponse
from common.telemetry import metrics
from tests.unit.desk import Desk, desk

API = "/api/v1/tasks"
POST: dict[str, Json] = {
    "method": "POST",
    "url": "https://pay.example.com/refunds",
    "json": {"amount": 39000, "currency": "KRW"},
}


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions, started."""
    with desk() as it:
        yield it


def submitted(at: Desk, args: Json = None, action: str = "http.request", **more: Json) -> dict[str, Any]:
    """A one-step task by an operator, as the API answers."""
    step = {"id": "a", "action": action, "args": args or POST}
    body = {"plan": {"steps": [step]}, **more}
    answer = at.clients["analyze"].post(API, json=body, headers=at.token("operator", f"asks {len(at.store.tasks)}"))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def post(at: Desk, task: str, verb: str, headers: dict[str, str], body: Json = None) -> tuple[int, dict[str, Any]]:
    """A decision; its status and body."""
    answer = at.clients["approve"].post(f"{API}/{task}/{verb}", json=body or {}, headers=headers)
    return answer.status_code, answer.json()


def counted(kind: str) -> float:
    """How many transitions of a kind the metrics know of."""
    return metrics().registry.get_sample_value("aiw_transitions_total", {"kind": kind}) or 0


def test_what_is_shown_is_what_runs(at: Desk) -> None:
    """I4: nothing is sent before "yes"; after it exactly the request that the sentences spoke of."""
    task, boss = submitted(at), at.token("approver")
    at.wake("execute")
    assert (task["state"], task["risk"], at.far.seen) == ("awaiting_approval", "high", [])
    shown = at.clients["approve"].get(f"{API}/{task['id']}/approval", headers=boss).json()
    assert "39000" in shown["summary"][0].replace(",", "")
    before = counted("approved")
    assert post(at, task["id"], "approve", boss, {"digest": shown["digest"], "note": "ok"})[0] == 200
    assert counted("approved") == before + 1
    at.wake("execute")
    [sent] = at.far.seen
    assert (sent.method, sent.url, json.loads(sent.body or b"")) == ("POST", POST["url"], POST["json"])


def test_a_decision_over_another_digest_is_told_the_present_one(at: Desk) -> None:
    """A stale digest decides nothing, and the answer carries the one to look at."""
    task, boss = submitted(at), at.token("approver")
    shown = at.clients["approve"].get(f"{API}/{task['id']}/approval", headers=boss).json()
    status, body = post(at, task["id"], "approve", boss, {"digest": "v1:sha256:" + "0" * 64})
    assert (status, body["digest"], body["state"]) == (409, shown["digest"], "awaiting_approval")
    assert at.clients["dashboard"].get(f"{API}/{task['id']}", headers=boss).json()["state"] == "awaiting_approval"


def test_steps_that_were_altered_while_they_waited_are_not_approved(at: Desk) -> None:
    """I4: the digest is computed from the steps of now; the one that was stored with the approval is over others."""
    task, boss = submitted(at), at.token("approver")
    shown = at.clients["approve"].get(f"{API}/{task['id']}/approval", headers=boss).json()
    [row] = at.store.tasks.values()
    assert row.plan is not None
    step = row.plan.steps[0].model_copy(update={"args": POST | {"json": {"amount": 9_900_000}}})
    row.plan = row.plan.model_copy(update={"steps": (step,)})
    status, body = post(at, task["id"], "approve", boss, {"digest": shown["digest"]})
    assert (status, body["type"]) == (409, "/problems/stale_digest")
    assert body["digest"] != shown["digest"]
    assert post(at, task["id"], "approve", boss, {"digest": body["digest"]})[0] == 409
    at.wake("execute")
    assert at.far.seen == []


def test_a_rejected_task_never_runs(at: Desk) -> None:
    """Rejected is cancelled, with the note; a second decision meets the state as it is."""
    task, boss = submitted(at), at.token("approver")
    digest = at.clients["approve"].get(f"{API}/{task['id']}/approval", headers=boss).json()["digest"]
    status, body = post(at, task["id"], "reject", boss, {"digest": digest, "note": "not this month"})
    assert (status, body["state"], body["outcome"]["note"]) == (200, "cancelled", "not this month")
    assert post(at, task["id"], "approve", boss, {"digest": digest})[0] == 409
    at.wake("execute")
    assert at.far.seen == []


def test_where_self_approval_is_off_somebody_else_decides(at: Desk) -> None:
    """The requester's own yes is refused; their no is not."""
    admin = at.token("admin")
    put = at.clients["dashboard"].put(
        "/api/v1/settings/policy", json={"value": {"self_approval": False}}, headers=admin | {"If-Match": "0"}
    )
    assert put.status_code == 200, put.text
    body = {"plan": {"steps": [{"id": "a", "action": "http.request", "args": POST}]}}
    task, other = (at.clients["analyze"].post(API, json=body, headers=admin).json()["id"] for _ in range(2))
    shown = at.clients["approve"].get(f"{API}/{task}/approval", headers=admin).json()
    assert not shown["may_decide"]
    assert post(at, task, "approve", admin, {"digest": shown["digest"]})[0] == 403
    assert post(at, task, "approve", at.token("approver"), {"digest": shown["digest"]})[0] == 200
    digest = at.clients["approve"].get(f"{API}/{other}/approval", headers=admin).json()["digest"]
    assert post(at, other, "reject", admin, {"digest": digest})[0] == 200


def test_an_approval_that_nobody_gives_expires_to_a_person(at: Desk) -> None:
    """After 24 hours it is a person's, with the reason; a retry asks anew, over a digest of its own."""
    task, boss = submitted(at), at.token("approver")
    first = at.clients["approve"].get(f"{API}/{task['id']}/approval", headers=boss).json()["digest"]
    at.elapse(timedelta(hours=25))
    at.wake("schedule")
    seen = at.clients["dashboard"].get(f"{API}/{task['id']}", headers=boss).json()
    assert (seen["state"], seen["error"]["code"]) == ("manual", "approval_expired")
    status, body = post(at, task["id"], "retry", at.token("operator", "again"))
    assert (status, body["state"]) == (200, "awaiting_approval")
    assert at.clients["approve"].get(f"{API}/{task['id']}/approval", headers=boss).json()["digest"] != first


def approved(at: Desk) -> str:
    """A refund that was approved and is about to run."""
    task, boss = submitted(at)["id"], at.token("approver")
    digest = at.clients["approve"].get(f"{API}/{task}/approval", headers=boss).json()["digest"]
    assert post(at, task, "approve", boss, {"digest": digest})[0] == 200
    return str(task)


@pytest.mark.parametrize(("said", "state"), [("done", "succeeded"), ("not_done", "queued")])
def test_an_unknown_effect_waits_until_somebody_says_what_happened(at: Desk, said: str, state: str) -> None:
    """I6: never again blindly. "It happened" ends the last step; "it did not" runs under the same approval."""
    task, someone = approved(at), at.token("operator", "someone")
    at.far.answers.append(HttpFailure("reset", sent=True))
    at.wake("execute", "execute")
    assert len(at.far.seen) == 1
    refused, body = post(at, task, "retry", someone)
    assert (refused, body["type"]) == (409, "/problems/effect_undecided")
    assert post(at, task, "outcome", someone, {"step": "b", "outcome": "done"})[0] == 422
    status, body = post(at, task, "outcome", someone, {"step": "a", "outcome": said, "note": "asked the bank"})
    assert (status, body["state"]) == (200, state)
    at.wake("execute")
    assert len(at.far.seen) == (1 if said == "done" else 2)


def test_a_task_closed_by_hand_has_a_note_and_a_result(at: Desk) -> None:
    """What no recipe fits is a person's; resolving it keeps what they found."""
    headers = at.token("operator")
    task = at.clients["analyze"].post(API, json={"text": "회식 장소 알아봐줘"}, headers=headers).json()["id"]
    at.wake("analyze")
    status, body = post(at, task, "resolve", headers, {"note": "예약했습니다", "result": {"place": "을지로"}})
    assert (status, body["state"], body["outcome"]["note"]) == (200, "succeeded", "예약했습니다")
    assert body["result"] == {"place": "을지로"}
    assert post(at, task, "resolve", headers, {"note": "again"})[0] == 409
    assert post(at, task, "resolve", headers, {"result": 1})[0] == 422


def announced(at: Desk, **answer: Any) -> None:  # noqa: ANN401 - a response's fields
    """A channel, and what it answers next."""
    channel = at.clients["dashboard"].put(
        "/api/v1/settings/channels",
        json={"value": {"ops": "http://127.0.0.1:9300/hook"}},
        headers=(admin := at.token("admin", "owner")) | {"If-Match": "0"},
    )
    assert channel.status_code == 200, channel.text
    assert (
        at.clients["dashboard"]
        .put("/api/v1/settings/notify", json={"value": "ops"}, headers=admin | {"If-Match": "0"})
        .is_success
    )
    if answer:
        at.far.answers.append(HttpResponse(headers={}, body=b"", url="", **answer))


def test_what_waits_is_announced_on_a_channel_that_is_there(at: Desk) -> None:
    """A name with a typing error would leave all approvers unheard: it is refused, as is taking the channel away."""
    announced(at)
    admin = at.token("admin", "types")

    def put(name: str, value: object) -> tuple[int, str]:
        version = at.clients["dashboard"].get(f"/api/v1/settings/{name}", headers=admin).headers["ETag"]
        said = at.clients["dashboard"].put(
            f"/api/v1/settings/{name}",
            json={"value": value},
            headers=admin | {"If-Match": version, "Accept-Language": "ko"},
        )
        return said.status_code, said.json().get("detail", "")

    assert put("notify", "opps") == (422, "#/value: 'opps' 채널이 없습니다")
    assert put("channels", {"sales": "https://hooks.example.com/s"}) == (
        422,
        "#/value: 기다리는 작업을 'ops' 채널에 알리고 있습니다",
    )
    assert [put("notify", None)[0], put("channels", {})[0]] == [200, 200]


def test_an_approver_hears_of_it_in_words_and_with_a_link_that_only_shows(at: Desk) -> None:
    """Who asked, what would be sent where, in the task's language; told once."""
    announced(at)
    task = submitted(at, lang="ko")
    at.wake("approve", "approve")
    [sent] = at.far.seen
    text = json.loads(sent.body or b"")["text"]
    assert "asks" in text
    assert "pay.example.com" in text
    assert "승인" in text
    assert text.endswith(f"http://testserver/tasks/{task['id']}")
    assert sent.from_settings


def test_a_channel_that_fails_is_told_again_later(at: Desk) -> None:
    """An announcement that was refused stays to be made; nothing is marked as told that was not."""
    announced(at, status=500)
    submitted(at)
    at.wake("approve")
    at.wake("approve")
    assert len(at.far.seen) == 2


def test_a_person_is_reminded_after_a_day(at: Desk) -> None:
    """A task in the inbox is announced once more after 24 hours, without a transition."""
    announced(at)
    headers = at.token("operator")
    task = at.clients["analyze"].post(API, json={"text": "회식 장소 알아봐줘"}, headers=headers).json()["id"]
    at.wake("analyze", "approve")
    events = at.clients["dashboard"].get(f"{API}/{task}/events", headers=headers).json()["items"]
    at.elapse(timedelta(hours=25))
    at.wake("schedule", "approve")
    assert len(at.far.seen) == 2
    assert at.clients["dashboard"].get(f"{API}/{task}/events", headers=headers).json()["items"] == events


def test_a_revoked_token_decides_nothing_from_that_moment(at: Desk) -> None:
    """What was remembered of a token serves reading only: a decision, a new token, a new person look it up."""
    task, boss, admin = submitted(at)["id"], at.token("approver"), at.token("admin")
    digest = at.clients["approve"].get(f"{API}/{task}/approval", headers=boss).json()["digest"]
    listed = at.clients["dashboard"].get("/api/v1/tokens", headers=admin).json()["items"]
    [token] = [t["id"] for t in listed if t["person"] == "approver"]
    assert at.clients["dashboard"].delete(f"/api/v1/tokens/{token}", headers=admin).status_code == 204
    assert post(at, task, "approve", boss, {"digest": digest})[0] == 401


def test_notices_that_a_channel_never_takes_do_not_silence_the_others(at: Desk) -> None:
    """Twenty that are refused each time leave room for the one that is not."""
    announced(at)
    for _ in range(25):
        submitted(at, {**POST, "url": "https://pay.example.com/refused"})
    welcome = submitted(at)["id"]
    at.far.refuses = "refused"
    for _ in range(40):
        at.wake("approve")
        if any(welcome in (sent.body or b"").decode() for sent in at.far.seen):
            return
    pytest.fail("the one that would have been taken was never tried")
