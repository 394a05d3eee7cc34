"""What nginx answers itself: a page for a person with a browser, problem+json for everybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import pytest

from common.i18n import t
from infra.nginx.pages import HEADERS, SECONDS
from tests.door import Door, front_door

BROWSER: Final = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PROBLEM: Final = "application/problem+json"


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """Nobody behind it."""
    with front_door("/desk") as found:
        yield found


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/api/v1/tasks", BROWSER["Accept"]),
        ("POST", "/api/v1/tasks", BROWSER["Accept"]),
        ("GET", "/api", BROWSER["Accept"]),
        ("GET", "/_/health", BROWSER["Accept"]),
        ("POST", "/function/analyze", BROWSER["Accept"]),
        ("GET", "/", "*/*"),
        ("GET", "/tasks/1", "application/json"),
        ("GET", "/static/app.css", "text/css,*/*;q=0.1"),
    ],
)
def test_a_program_gets_a_problem(door: Door, method: str, path: str, accept: str) -> None:
    """On the API's paths whatever is accepted, and elsewhere whoever does not ask for HTML."""
    answer, text = door.ask(method, path, {"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (503, PROBLEM, "1")
    assert json.loads(text)["type"] == "/problems/unavailable"


@pytest.mark.parametrize(
    ("path", "headers", "lang"),
    [
        ("/", {}, "en"),
        ("/", {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}, "ko"),
        ("/", {"Accept-Language": "fr, de;q=0.9, KO;q=0.5, en;q=0.1"}, "ko"),
        ("/", {"Accept-Language": "fr, en-GB, ko"}, "en"),
        ("/", {"Accept-Language": "fr"}, "en"),
        ("/inbox?lang=ko", {"Accept-Language": "en"}, "ko"),
        ("/?q=1&lang=en", {"Accept-Language": "ko", "Cookie": "aiw_lang=ko"}, "en"),
        ("/", {"Accept-Language": "en", "Cookie": "a=b; aiw_lang=ko"}, "ko"),
        ("/", {"Cookie": "aiw_lang=../../x"}, "en"),
        ("/?lang=xx", {"Accept-Language": "ko"}, "ko"),
    ],
)
def test_a_person_gets_a_page_in_their_language(door: Door, path: str, headers: dict[str, str], lang: str) -> None:
    """As the dashboard chooses it: the address, what was chosen before, the browser."""
    answer, text = door.ask("GET", path, BROWSER | headers)
    assert (answer.status, answer.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert f'<html lang="{lang}">' in text
    assert t("door.restarting", lang) in text
    assert t("page.home", lang) in text
    assert 'href="/desk/"' in text


def test_only_what_was_asked_for_is_asked_for_again(door: Door) -> None:
    """A GET looks again by itself; a form is never sent again by itself, and its page says where its words are."""
    shown, got = door.ask("GET", "/tasks/1", BROWSER)
    posted, sent = door.ask("POST", "/tasks", BROWSER)
    assert (shown.headers["Refresh"], posted.headers["Refresh"]) == (str(SECONDS), None)
    assert t("door.doubt", "en") not in got
    assert posted.status == 503
    assert t("door.doubt", "en") in sent
    assert 'href=""' not in sent


def test_a_page_has_the_headers_of_all_pages(door: Door) -> None:
    """Also where a browser asks for a part of it, or only if it is newer."""
    asks = {**BROWSER, "Range": "bytes=0-9", "If-Modified-Since": "Fri, 01 Jan 2038 00:00:00 GMT"}
    answer, text = door.ask("GET", "/", asks)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert (answer.status, answer.headers["Retry-After"], answer.headers["ETag"]) == (503, "1", None)
    assert text.startswith("<!doctype html>")
    head, nothing = door.ask("HEAD", "/", BROWSER)
    assert (head.status, head.headers["Content-Length"], nothing) == (503, str(len(text.encode())), "")


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "what"),
    [
        ("POST", "/tasks", {"Content-Length": "30000000"}, 413, "too_large"),
        ("BREW", "/", {}, 405, "not_allowed"),
        ("GET", "/_page/get.ko/502", {}, 404, "not_found"),
        ("GET", "/", {"X-Much": "x" * 20_000}, 431, "large_headers"),
        ("GET", "/", {"Host": "a b"}, 400, "malformed"),
        ("POST", "/tasks", {"Transfer-Encoding": "odd"}, 400, "malformed"),
    ],
)
def test_what_is_refused_is_said_so(
    door: Door, method: str, path: str, more: dict[str, str], status: int, what: str
) -> None:
    """Each in its own words, and without a promise that it will be well by itself."""
    answer, text = door.ask(method, path, BROWSER | more)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert t(f"door.{what}", "en") in text
    assert t(f"door.{what}.why", "en") in text
    assert answer.headers["Refresh"] is None
    assert answer.headers["Retry-After"] is None
    assert (answer.headers["Allow"] is not None) == (status == 405)
    same, problem = door.ask(method, path, more)
    assert (same.status, same.headers["Content-Type"], json.loads(problem)["status"]) == (status, PROBLEM, status)


def test_what_answers_is_not_touched(door: Door) -> None:
    """Only nginx's own answers are pages of its own."""
    with door.answered():
        answer, text = door.ask("GET", "/", BROWSER)
    assert (answer.status, "<textarea" in text) == (200, True)
