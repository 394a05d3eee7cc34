"""The forms: what one must carry, and what it does."""

from __future__ import annotations

import re

import httpx2
import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from common.core.installation import parse_setting
from common.core.task import State
from functions.dashboard.handler import app
from functions.dashboard.session import Flash, put_flash, take_flash
from functions.dashboard.setting_forms import shown, typed
from tests.unit.browsing import HERE, REFUND, VALUE, at, browser, csrf_in, submitted
from tests.unit.desk import Desk

__all__ = ["at"]  # a fixture


# --- what a form must carry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        (HERE, False),
    ],
)
def test_a_form_of_another_site_or_session_changes_nothing(at: Desk, headers: dict[str, str], token: bool) -> None:  # noqa: FBT001  # a case's second half
    """A decision needs this site's own page of this very session."""
    task = submitted(at, REFUND)
    client = browser(at, "admin")
    csrf = csrf_in(client.get(f"/tasks/{task}").text) if token else "0" * 64
    answer = client.post(f"/tasks/{task}/cancel", data={"csrf": csrf}, headers=headers)
    assert answer.status_code == 403
    [held] = at.container.queue.get(at.workspace, [at.container.reads.resolve_id(at.workspace, task[-8:])[0]])
    assert held.state is State.AWAITING_APPROVAL


def test_an_unknown_host_is_refused(at: Desk) -> None:
    """A name that was made to point here reads nothing, cookie or not."""
    client = browser(at, "admin")
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    for host in ("127.0.0.1:8000", "localhost", "gateway:8080", "dashboard"):
        assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_message_that_we_did_not_write_is_not_shown(at: Desk) -> None:
    """Flash messages are signed: nobody puts words into our mouth."""
    response, settings = Response(), at.container.settings
    put_flash(response, settings, Flash("bad", "안녕", ("a: b",)))
    value = response.headers["set-cookie"].partition(";")[0].partition("=")[2].strip('"')
    assert take_flash({"aiw_flash": value}, settings) == Flash("bad", "안녕", ("a: b",))
    assert take_flash({"aiw_flash": "x" + value}, settings) is None
    assert take_flash({}, settings) is None
    put_flash(response, settings, Flash("bad", "가" * 9999, ("나" * 9999,) * 99))
    assert len(response.headers.getlist("set-cookie")[1]) < 4000


# --- deciding ---------------------------------------------------------------------------------------------------------


def approved_by(client: TestClient, task: str, verb: str) -> str:
    """Press a button of a task's page; the next page."""
    page = client.get(f"/tasks/{task}").text
    digest = re.search(r'name="digest" value="([^"]+)"', page)
    assert digest
    data = {"csrf": csrf_in(page), "digest": digest[1], "note": "looked at"}
    answer = client.post(f"/tasks/{task}/{verb}", data=data, headers=HERE)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/tasks/{task}"
    return client.get(answer.headers["location"]).text


def test_approving_shows_sentence_and_digest_and_runs_exactly_that(at: Desk) -> None:
    """I4: what was on the screen is what was approved, and nothing ran before it."""
    task = submitted(at, REFUND)
    client = browser(at, "approver")
    page = client.get(f"/tasks/{task}").text
    assert "https://pay.example.com/refunds" in page
    assert "v1:sha256:" in page
    assert at.far.seen == []
    after = approved_by(client, task, "approve")
    assert "Approved. It runs as soon as a worker is free" in after
    at.wake("execute")
    assert len(at.far.seen) == 1
    assert "Succeeded" in client.get(f"/tasks/{task}").text


def test_rejecting_ends_it_unrun(at: Desk) -> None:
    """A rejected task is over, with the note."""
    task = submitted(at, REFUND)
    after = approved_by(browser(at, "approver"), task, "reject")
    assert "Rejected. Nothing was run" in after
    assert "looked at" in after
    assert at.far.seen == []


def test_an_operator_sees_what_waits_and_has_no_button_for_it(at: Desk) -> None:
    """Whoever may not decide gets no form, and the API refuses one that was made by hand."""
    task = submitted(at, REFUND)
    client = browser(at, "operator")
    page = client.get(f"/tasks/{task}").text
    assert f"/tasks/{task}/approve" not in page
    answer = client.post(f"/tasks/{task}/approve", data={"csrf": csrf_in(page), "digest": "x"}, headers=HERE)
    assert answer.status_code == 403
    assert "Your role does not allow this" in answer.text


def test_what_another_function_refuses_is_said_in_the_readers_words(at: Desk) -> None:
    """A problem becomes a message on the form's own page, wholly Korean for whoever reads Korean."""
    task = submitted(at, VALUE)
    client = browser(at, "operator")
    client.cookies.set("aiw_lang", "ko")
    token = csrf_in(client.get(f"/tasks/{task}").text)
    page = client.post(f"/tasks/{task}/retry", data={"csrf": token}, headers=HERE)
    assert page.status_code == 409
    assert 'role="alert"' in page.text
    assert "현재 상태에서는 할 수 없습니다" in page.text
    assert "지금 상태는 실행 대기입니다" in page.text


def test_a_function_that_does_not_answer_is_named_and_nothing_breaks(at: Desk) -> None:
    """The far function is down: a message on the same page, and the text is still in the box."""

    def down(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down", request=request)

    app.state.function.way = httpx2.MockTransport(down)
    client = browser(at, "operator")
    token = csrf_in(client.get("/").text)
    answer = client.post("/tasks", data={"csrf": token, "text": "what I wrote"}, headers=HERE)
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert "what I wrote</textarea>" in answer.text


def test_submitting_and_previewing_from_the_box(at: Desk) -> None:
    """A submitted text leads to its page; a preview stores nothing."""
    client = browser(at, "operator")
    token = csrf_in(client.get("/").text)
    shown_page = client.post("/preview", data={"csrf": token, "text": "회식 장소 알아봐줘"}, headers=HERE)
    assert shown_page.status_code == 200
    assert "회식 장소 알아봐줘</textarea>" in shown_page.text
    assert at.store.tasks == {}
    answer = client.post("/tasks", data={"csrf": token, "text": "회식 장소 알아봐줘"}, headers=HERE)
    assert re.fullmatch(r"/tasks/[0-9a-f-]{36}", answer.headers["location"])
    assert "회식 장소 알아봐줘" in client.get(answer.headers["location"]).text


def test_pause_settings_and_people_work_by_form(at: Desk) -> None:
    """An admin can do by page what the API can."""
    client = browser(at, "admin")
    token = csrf_in(client.get("/").text)
    client.post("/pause", data={"csrf": token, "why": "inventory day"}, headers=HERE)
    assert "inventory day" in client.get("/").text
    client.post("/resume", data={"csrf": token}, headers=HERE)
    assert "inventory day" not in client.get("/").text
    hosts = {"csrf": token, "version": "0", "value": "api.example.com\r\n127.0.0.1:9100;idempotent"}
    client.post("/settings/hosts", data=hosts, headers=HERE)
    assert "127.0.0.1:9100;idempotent</textarea>" in client.get("/settings").text
    client.post("/people", data={"csrf": token, "name": "Haneul", "role": "viewer"}, headers=HERE)
    page = client.get("/people").text
    found = re.search(r'/people/([0-9a-f-]{36})/code"[^>]*>(?:(?!</li>).)*?Haneul', page, re.DOTALL)
    assert found
    once = client.post(f"/people/{found[1]}/code", data={"csrf": token}, headers=HERE).text
    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", once)
    client.post(f"/people/{found[1]}/remove", data={"csrf": token}, headers=HERE)
    assert "Haneul" not in client.get("/people").text


def test_settings_are_typed_as_they_are_shown() -> None:
    """A setting that is shown and saved unchanged stays what it was."""
    hosts = parse_setting("hosts", "api.example.com, 127.0.0.1:9100;idempotent, [::1]:80")
    functions = parse_setting("functions", "ocr=http://127.0.0.1:9200;idempotent, tts=http://127.0.0.1:9300")
    channels = parse_setting("channels", "ops=https://hooks.example.com/a")
    for name, value in (("hosts", hosts), ("functions", functions), ("channels", channels)):
        assert parse_setting(name, typed(name, {"value": shown(name, value)})) == value
    policy = typed("policy", {"autorun": "medium", "self_approval": "alone"})
    assert parse_setting("policy", policy) == {"autorun": "medium", "self_approval": None}
