"""The dashboard's JSON routes: reads, cancel, settings, pause, people, tokens, and the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from common.auth import code_hash, new_code
from common.core.task import Json, State
from common.page import cursor_after, read_cursor
from common.ports import HttpResponse
from common.routes import ROUTES
from functions.dashboard.codes import redeem
from functions.dashboard.openapi import document
from functions.dashboard.tasks import rendered
from tests.unit.browsing import REFUND as UNTAGGED, valued
from tests.unit.desk import Desk, desk

VALUE = valued({"price": 39000})
REFUND = UNTAGGED | {"tags": ["refund"]}


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions over memory."""
    with desk() as it:
        yield it


def get(at: Desk, path: str, headers: dict[str, str], status: int = 200) -> dict[str, Any]:
    """A JSON answer of the dashboard."""
    answer = at.clients["dashboard"].get(f"/api/v1{path}", headers=headers)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def submitted(at: Desk, body: object, headers: dict[str, str]) -> dict[str, Any]:
    """A submitted task."""
    answer = at.clients["analyze"].post("/api/v1/tasks", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    return task


def test_a_list_is_paged_by_an_opaque_cursor_without_gap_or_repeat(at: Desk) -> None:
    """Newest first; the cursor goes on exactly after the last one shown."""
    operator = at.token("operator")
    ids = [submitted(at, VALUE, operator)["id"] for _ in range(5)]
    first = get(at, "/tasks?limit=2", operator)
    second = get(at, f"/tasks?limit=2&cursor={first['next']}", operator)
    third = get(at, f"/tasks?limit=2&cursor={second['next']}", operator)
    seen = [task["id"] for page in (first, second, third) for task in page["items"]]
    assert seen == sorted(ids, reverse=True)
    assert third["next"] is None


def test_a_cursor_that_is_none_is_pointed_at(at: Desk) -> None:
    """A strange cursor is the caller's fault, also one of another list, and a known one survives the round trip."""
    for strange in ("nonsense!", cursor_after("not a task")):
        problem = get(at, f"/tasks?cursor={strange}", at.token("viewer"), 422)
        assert problem["errors"][0]["pointer"] == "?cursor"
    task = str(uuid4())
    assert read_cursor(cursor_after(task)) == task


@pytest.mark.parametrize("path", ["/people", "/tokens", "/settings", "/actions", "/tasks/{id}/events"])
def test_every_list_has_pages(at: Desk, path: str) -> None:
    """By `limit` and `cursor`, as the contract says of lists: one after the other they are the whole, in its order."""
    admin, operator = at.token("admin"), at.token("operator")
    task = submitted(at, REFUND, operator)["id"]
    assert at.clients["dashboard"].post(f"/api/v1/tasks/{task}/cancel", headers=operator, json={}).status_code == 200
    client = at.clients["execute" if path == "/actions" else "dashboard"]

    def asked(query: str, status: int = 200) -> dict[str, Any]:
        answer = client.get(f"/api/v1{path.format(id=task)}{query}", headers=admin)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    whole = asked("")
    assert (len(whole["items"]) > 1, whole["next"]) == (True, None)
    seen: list[Any] = []
    page: dict[str, Any] = {"next": ""}
    for _ in whole["items"]:
        page = asked(f"?limit=1&cursor={page['next']}")
        seen += page["items"]
    assert seen == whole["items"]
    assert page["next"] is None
    for wrong, name in (("?limit=0", "limit"), ("?cursor=nonsense!", "cursor"), ("?surprise=1", "surprise")):
        assert asked(wrong, 422)["errors"][0]["pointer"] == f"?{name}"


def test_a_list_is_narrowed_by_state_tag_and_text(at: Desk) -> None:
    """Each filter narrows, and an unknown one is refused rather than ignored."""
    operator = at.token("operator")
    waiting = submitted(at, REFUND, operator)
    submitted(at, VALUE, operator)
    assert [t["id"] for t in get(at, "/tasks?state=awaiting_approval", operator)["items"]] == [waiting["id"]]
    assert [t["id"] for t in get(at, "/tasks?tag=refund", operator)["items"]] == [waiting["id"]]
    assert get(at, "/tasks?q=nothing+like+it", operator)["items"] == []
    assert get(at, "/tasks?colour=red", operator, 422)["errors"][0]["pointer"] == "?colour"


def test_a_viewer_sees_no_value_and_no_result(at: Desk) -> None:
    """Values of arguments are masked for a viewer; results and event details are null."""
    operator, viewer = at.token("operator"), at.token("viewer")
    task = submitted(at, VALUE, operator)
    at.wake("execute")
    assert get(at, f"/tasks/{task['id']}", operator)["result"] == {"price": 39000}
    seen = get(at, f"/tasks/{task['id']}", viewer)
    assert seen["result"] is None
    assert seen["inputs"] is None
    assert "39000" not in json.dumps(seen)
    assert all(event["detail"] is None for event in get(at, f"/tasks/{task['id']}/events", viewer)["items"])


def test_an_ending_of_an_id_is_enough(at: Desk) -> None:
    """The last hex digits name a task; another workspace's, or nobody's, is 404."""
    operator = at.token("operator")
    task = submitted(at, VALUE, operator)
    assert get(at, f"/tasks/{task['id'][-8:]}", operator)["id"] == task["id"]
    get(at, f"/tasks/{uuid4()}", operator, 404)


def test_a_wait_ends_with_its_time_and_at_once_for_a_settled_task(at: Desk) -> None:
    """`?wait=` answers with what is, whether or not anything happened."""
    operator = at.token("operator")
    task = submitted(at, VALUE, operator)
    assert get(at, f"/tasks/{task['id']}?wait=0.05", operator)["state"] == "queued"
    waiting = submitted(at, REFUND, operator)
    assert get(at, f"/tasks/{waiting['id']}?wait=60", operator)["state"] == "awaiting_approval"
    get(at, f"/tasks/{task['id']}?wait=61", operator, 422)


def test_a_reason_tells_a_viewer_no_value(at: Desk) -> None:
    """What makes a plan risky is said; the host, the header, the channel that it names is an operator's to read."""
    task = submitted(at, REFUND, at.token("operator"))["id"]
    seen, masked = (get(at, f"/tasks/{task}", at.token(role))["reasons"] for role in ("operator", "viewer"))
    assert "pay.example.com" in json.dumps(seen)
    assert "pay.example.com" not in json.dumps(masked)
    assert [(r["rule"], r["floor"]) for r in masked] == [(r["rule"], r["floor"]) for r in seen]


def test_a_sign_in_code_is_of_use_for_ten_minutes(at: Desk) -> None:
    """What the answer promises is what is kept."""
    made = [
        at.clients["dashboard"].post("/api/v1/sign-in-codes", json={}, headers=at.token("admin")).json()
        for _ in range(2)
    ]
    assert [code["expires_in"] for code in made] == [600, 600]
    at.elapse(timedelta(minutes=9))
    assert redeem(at.container.people, made[0]["code"]) is not None
    at.elapse(timedelta(minutes=2))
    assert redeem(at.container.people, made[1]["code"]) is None


def test_a_result_leaves_as_an_attachment_that_is_no_page(at: Desk) -> None:
    """Foreign bytes are never shown as a page of ours, whatever they claim to be."""
    operator = at.token("operator")
    at.container.workspace.put(at.workspace, "hosts", [{"name": "api.example.com"}], None, uuid4())
    html = b"<script>alert(1)</script>"
    at.far.answers.append(HttpResponse(status=200, headers={"content-type": "text/html"}, body=html, url="https://x"))
    step = {"id": "page", "action": "http.request", "args": {"method": "GET", "url": "https://api.example.com/"}}
    task = submitted(at, {"plan": {"steps": [step]}}, operator)
    at.wake("execute")
    answer = at.clients["dashboard"].get(f"/api/v1/tasks/{task['id']}/results/page", headers=operator)
    assert answer.content == html
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    get(at, f"/tasks/{task['id']}/results/other", operator, 404)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("말", ("말".encode(), "text/plain; charset=utf-8", "txt")),
        ({"status": 200, "json": {"a": 1}}, (b'{\n  "a": 1\n}', "application/json", "json")),
        ({"status": 200, "base64": "AAE="}, (b"\x00\x01", "application/octet-stream", "bin")),
        ([1, 2], (b"[\n  1,\n  2\n]", "application/json", "json")),
    ],
)
def test_an_output_is_rendered_by_what_it_holds(output: Json, expected: tuple[bytes, str, str]) -> None:
    """Text as text, bytes as bytes, everything else as JSON."""
    assert rendered(output) == expected


def test_cancelling_ends_a_waiting_task_once(at: Desk) -> None:
    """I2: one event with the person and the note; a second cancel is 409 with the present state."""
    operator = at.token("operator")
    task = submitted(at, REFUND, operator)
    path = f"/api/v1/tasks/{task['id']}/cancel"
    done = at.clients["dashboard"].post(path, json={"note": "twice by mistake"}, headers=operator)
    assert done.json()["state"] == "cancelled"
    assert done.json()["outcome"]["note"] == "twice by mistake"
    assert "aiw.task.finished" in at.told.kinds
    again = at.clients["dashboard"].post(path, json={}, headers=operator)
    assert again.status_code == 409
    assert again.json()["state"] == "cancelled"
    assert [e["kind"] for e in get(at, f"/tasks/{task['id']}/events", operator)["items"]] == ["submitted", "cancelled"]


def test_cancelling_a_running_task_is_a_request(at: Desk) -> None:
    """While a worker has it nothing is torn away: the request is remembered for the end of the attempt."""
    operator = at.token("operator")
    task = submitted(at, VALUE, operator)
    [claimed] = at.container.queue.claim(State.QUEUED, "w", 1, timedelta(seconds=60))
    answer = at.clients["dashboard"].post(f"/api/v1/tasks/{task['id']}/cancel", json={}, headers=operator)
    assert answer.json()["state"] == "running"
    [held] = at.container.queue.get(at.workspace, [claimed.id])
    assert held.cancel_requested


def test_a_setting_changes_only_from_the_version_that_was_read(at: Desk) -> None:
    """No lost update: without If-Match 422, with an old version 409, with the present one the version rises."""
    admin = at.token("admin")
    client = at.clients["dashboard"]
    read = client.get("/api/v1/settings/time_zone", headers=admin)
    body = {"value": "Asia/Seoul"}
    bare = client.put("/api/v1/settings/time_zone", json=body, headers=admin)
    assert bare.status_code == 422
    assert bare.json()["errors"][0]["pointer"] == "If-Match"
    put = client.put("/api/v1/settings/time_zone", json=body, headers=admin | {"If-Match": read.headers["etag"]})
    assert put.json() == {"name": "time_zone", "version": 1, "value": "Asia/Seoul", "inherited": False}
    stale = client.put("/api/v1/settings/time_zone", json=body, headers=admin | {"If-Match": read.headers["etag"]})
    assert stale.status_code == 409
    bad = client.put("/api/v1/settings/time_zone", json={"value": "Mars"}, headers=admin | {"If-Match": '"1"'})
    assert bad.json()["errors"][0]["pointer"] == "#/value"
    get(at, "/settings/colour", admin, 404)


def test_pause_is_listed_and_says_where_it_is_changed(at: Desk) -> None:
    """It is shown among the settings, and written by a route of its own, with or without a version."""
    admin = at.token("admin")
    assert get(at, "/settings/pause", admin)["name"] == "pause"
    for version in ({}, {"If-Match": '"0"'}):
        said = at.clients["dashboard"].put("/api/v1/settings/pause", json={"value": None}, headers=admin | version)
        assert said.status_code == 422
        [error] = said.json()["errors"]
        assert (error["pointer"], error["hint"]) == ("#/name", "PUT /pause stops, DELETE /pause resumes")


def test_pause_is_seen_at_once_and_resume_wakes_the_workers(at: Desk) -> None:
    """Pausing says why to everybody; resuming tells those who wait."""
    admin = at.token("admin")
    client = at.clients["dashboard"]
    assert client.put("/api/v1/pause", json={"why": "maintenance"}, headers=admin).json() == {
        "paused": True,
        "why": "maintenance",
    }
    assert get(at, "/queue", admin)["paused"] is True
    at.told.kinds.clear()
    assert client.delete("/api/v1/pause", headers=admin).json() == {"paused": False, "why": None}
    assert "aiw.task.queued" in at.told.kinds


def test_a_tokens_secret_is_shown_once_and_works_until_it_is_revoked(at: Desk) -> None:
    """The list never has a secret; a revoked token is nobody's."""
    admin = at.token("admin")
    client = at.clients["dashboard"]
    made = client.post("/api/v1/tokens", json={"role": "viewer"}, headers=admin)
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret not in json.dumps(get(at, "/tokens", admin))
    viewer = {"Authorization": f"Bearer {secret}"}
    assert get(at, "/tasks", viewer)["items"] == []
    assert client.delete(f"/api/v1/tokens/{made.json()['id']}", headers=admin).status_code == 204
    assert client.delete(f"/api/v1/tokens/{made.json()['id']}", headers=admin).status_code == 404
    assert at.container.people.principal(made.json()["id"]) is None


def test_people_are_added_listed_and_removed(at: Desk) -> None:
    """A removed person is gone from the list, and is not there a second time."""
    admin = at.token("admin")
    client = at.clients["dashboard"]
    made = client.post("/api/v1/people", json={"name": "지우", "role": "approver"}, headers=admin).json()
    assert made in get(at, "/people", admin)["items"]
    assert client.delete(f"/api/v1/people/{made['id']}", headers=admin).status_code == 204
    assert client.delete(f"/api/v1/people/{made['id']}", headers=admin).status_code == 404
    assert made not in get(at, "/people", admin)["items"]
    for name in ("Ada\nadmin", "Ada\x1b[2Jadmin"):
        odd = client.post("/api/v1/people", json={"name": name, "role": "approver"}, headers=admin)
        assert (odd.status_code, odd.json()["errors"][0]["pointer"]) == (422, "#/name")


def test_a_code_means_the_same_however_it_is_typed() -> None:
    """Small letters, blanks, a missing dash, O for 0: a code read over the telephone still opens the door."""
    code = "7F3K-QM20"
    assert {code_hash(c) for c in ("7f3k qm2o", "7F3KQM20", " 7F3K-QM2O ")} == {code_hash(code)}
    assert new_code() != new_code()


def test_the_workspaces_events_are_read_on_from_where_one_was(at: Desk) -> None:
    """`next` is the position; asking with it gives exactly what came after."""
    operator = at.token("operator")
    submitted(at, VALUE, operator)
    here = get(at, "/events", operator)["next"]
    later = submitted(at, REFUND, operator)
    after = get(at, "/events", operator | {"Last-Event-ID": here})
    assert [event["task_id"] for event in after["items"]] == [later["id"]]


def test_the_contract_has_every_route_and_only_things_that_it_defines() -> None:
    """One document for all five functions, made from the table; every reference in it leads somewhere."""
    text = json.dumps(document(""))
    contract = json.loads(text)
    paths = contract["paths"]
    assert {(m.upper(), path) for path, item in paths.items() for m in item} == {(r.method, r.path) for r in ROUTES}
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in contract["components"]["schemas"]
    answers = paths["/api/v1/tasks/{id}/approve"]["post"]["responses"]
    assert {"200", "401", "403", "404", "409", "422", "503"} <= set(answers)


def test_anybody_may_read_the_contract(at: Desk) -> None:
    """The contract is public."""
    answer = at.clients["dashboard"].get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"] == "3.1.0"
