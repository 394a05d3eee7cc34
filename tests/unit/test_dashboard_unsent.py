"""A form that is not carried out: nothing that was typed is lost, whatever refused it."""

from __future__ import annotations

import html
import re

import pytest

from common.core.errors import StoreUnavailable
from tests.unit.browsing import HERE, REFUND, at, browser, code_for, csrf_in, submitted
from tests.unit.desk import Desk

__all__ = ["at"]  # a fixture


def kept_in(page: str) -> dict[str, str]:
    """What the page keeps of a form that was not carried out, by field."""
    return dict(re.findall(r'<textarea rows="2" readonly data-field="(\w+)"[^>]*>([^<]*)</textarea>', page))


@pytest.mark.parametrize(
    ("path", "typed_in", "kept"),
    [
        ("/tasks", {"text": "회식 장소 알아봐줘"}, {}),
        ("/preview", {"text": "회식 장소 알아봐줘"}, {}),
        ("/tasks/{task}/approve", {"digest": "v1:sha256:0", "note": "영수증 확인"}, {"note": "영수증 확인"}),
        ("/settings/hosts", {"version": "0", "value": "api.example.com"}, {"value": "api.example.com"}),
        ("/people", {"name": "Haneul", "role": "viewer"}, {"name": "Haneul", "role": "viewer"}),
        ("/pause", {"why": "재고 조사"}, {"why": "재고 조사"}),
    ],
)
def test_a_session_that_ended_in_the_middle_costs_no_word(
    at: Desk, path: str, typed_in: dict[str, str], kept: dict[str, str]
) -> None:
    """The form leads to the sign-in, the sign-in back to the form's page: all is there, and nothing was done."""
    task = submitted(at, REFUND)
    client = browser(at)
    form = {"csrf": "0" * 64, **typed_in}
    asked = client.post(path.format(task=task), data=form, headers=HERE)
    assert asked.status_code == 401
    packed = re.search(r'name="unsent" value="([^"]+)"', asked.text)
    assert packed
    fields = {"code": "0000-0000", "next": "/", "unsent": html.unescape(packed[1])}
    wrong = client.post("/sign-in", data=fields, headers=HERE)
    assert wrong.status_code == 401
    assert packed[0] in wrong.text
    signed = client.post("/sign-in", data=fields | {"code": code_for(at, "admin")}, headers=HERE)
    assert signed.status_code == 200
    assert "aiw=aiw_" in signed.headers["set-cookie"]
    assert "Nothing was sent yet" in signed.text
    assert kept_in(signed.text) == kept
    if "text" in typed_in:
        assert f"{typed_in['text']}</textarea>" in signed.text
    assert len(at.store.tasks) == 1
    assert at.far.seen == []
    assert client.get("/").status_code == 200


def test_who_may_not_see_the_page_still_gets_what_was_typed(at: Desk) -> None:
    """Signed in again as somebody with a smaller role: the words are there, the page is not."""
    client = browser(at)
    asked = client.post("/settings/hosts", data={"value": "api.example.com"}, headers=HERE)
    packed = re.search(r'name="unsent" value="([^"]+)"', asked.text)
    assert packed
    fields = {"code": code_for(at, "operator"), "next": "/", "unsent": html.unescape(packed[1])}
    signed = client.post("/sign-in", data=fields, headers=HERE)
    assert signed.status_code == 200
    assert kept_in(signed.text) == {"value": "api.example.com"}
    assert 'data-here="/"' in signed.text


@pytest.mark.parametrize("given", ["{", "[]", '{"action": 1, "fields": {}}', '{"action": "x", "fields": {}}', "[" * 9])
def test_what_a_browser_made_up_is_no_form(at: Desk, given: str) -> None:
    """Whatever comes as an unsent form, signing in goes on as without it."""
    fields = {"code": code_for(at), "next": "/inbox", "unsent": given}
    signed = browser(at).post("/sign-in", data=fields, headers=HERE)
    assert signed.headers["location"] == "/inbox"


def test_a_form_larger_than_any_of_ours_is_refused_as_such(at: Desk) -> None:
    """A field over a megabyte, from anybody: 413 as a page, and no error of ours."""
    sent = browser(at).post("/sign-in", files={"code": (None, "x" * 1_100_000)}, headers=HERE)
    assert sent.status_code == 413
    assert "<h1" in sent.text


def test_a_form_of_an_earlier_session_is_shown_again_with_its_words(at: Desk) -> None:
    """Signed in again in another tab: the old tab's form does nothing, and loses nothing."""
    task = submitted(at, REFUND)
    client = browser(at, "approver")
    data = {"csrf": "0" * 64, "digest": "x", "note": "looked at"}
    answer = client.post(f"/tasks/{task}/approve", data=data, headers=HERE)
    assert answer.status_code == 403
    assert "Nothing was sent" in answer.text
    assert kept_in(answer.text) == {"note": "looked at"}
    assert f'data-here="/tasks/{task}"' in answer.text
    assert at.far.seen == []


def test_a_refused_decision_shows_what_waits_now_and_keeps_the_note(at: Desk) -> None:
    """I4: under another digest nothing is approved; the page shows the present one."""
    task = submitted(at, REFUND)
    client = browser(at, "approver")
    page = client.get(f"/tasks/{task}").text
    data = {"csrf": csrf_in(page), "digest": "v1:sha256:0", "note": "looked at"}
    answer = client.post(f"/tasks/{task}/approve", data=data, headers=HERE)
    assert answer.status_code == 409
    assert "no longer what you saw" in answer.text
    assert kept_in(answer.text) == {"note": "looked at"}
    present = re.search(r'name="digest" value="([^"]+)"', page)
    assert present
    assert present[0] in answer.text


def test_without_a_database_a_page_says_so_and_looks_again(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page renews itself, in the reader's language; a form does not: it keeps what was typed, and has a button."""
    client = browser(at, "operator")
    client.cookies.set("aiw_lang", "ko")
    token = csrf_in(client.get("/").text)

    def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("PostgreSQL does not answer; the command that shows why: ./aiw doctor")

    monkeypatch.setattr(at.container.doorkeeper, "principal_of", gone)
    page = client.get("/")
    assert page.status_code == 503
    assert page.headers["refresh"] == "5"
    assert "5초 뒤에 저절로 다시 확인합니다" in page.text
    assert "잃은 것은 없습니다" in page.text
    assert "PostgreSQL이 응답하지 않습니다" in page.text
    form = client.post("/tasks", data={"csrf": token, "text": "회식 장소 알아봐줘"}, headers=HERE)
    assert form.status_code == 503
    assert "refresh" not in form.headers
    assert "회식 장소 알아봐줘</textarea>" in form.text
    assert token in form.text


def test_a_database_that_goes_between_page_and_form_costs_no_word(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is remembered, the far function refuses, and not even the form's page can be shown: still a page."""
    client = browser(at, "operator")
    token = csrf_in(client.get("/").text)

    def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("PostgreSQL does not answer; the command that shows why: ./aiw doctor")

    monkeypatch.setattr(at.container.reads, "tasks", gone)
    monkeypatch.setattr(at.container.queue, "add", gone)
    answer = client.post("/tasks", data={"csrf": token, "text": "what I wrote"}, headers=HERE)
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "what I wrote</textarea>" in answer.text


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("/preview", "/"),
        ("/tasks", "/"),
        ("/tasks/{task}/approve", "/tasks/{task}"),
        ("/settings/hosts", "/settings"),
        ("/sign-out", "/"),
    ],
)
def test_a_forms_address_asked_for_again_leads_to_its_page(at: Desk, form: str, page: str) -> None:
    """It stands in the browser after a preview or a refusal: a tab opened again reads no JSON, but a program does."""
    task = submitted(at, REFUND)
    client = browser(at)
    asked = client.get(form.format(task=task), headers={"Accept": "text/html"}, follow_redirects=False)
    assert (asked.status_code, asked.headers["Location"]) == (303, page.format(task=task))
    assert client.get(form.format(task=task)).status_code == 405
