"""Requests that cannot be answered: size, media type, method, route, headers and keys, each refused as a problem."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.e2e.problems import NOBODY, PROBLEM, TASKS, check, plan, step, untouched
from tests.stack import API, Product

__all__ = ["untouched"]  # a fixture


@pytest.mark.parametrize("size", [10_000_001, 20_000_000, 25_000_000])
def test_a_body_that_is_too_large_is_refused(untouched: Product, size: int) -> None:
    """413: by the function just above its limit, by nginx far beyond it."""
    frame = b'{"text": ""}'
    check(untouched.ask("POST", TASKS, frame[:10] + b"a" * (size - len(frame)) + frame[10:]), 413)


def test_a_body_without_a_length_is_counted(untouched: Product) -> None:
    """413 also in chunks, where no header says how much will come."""
    with socket.create_connection(("127.0.0.1", untouched.port), timeout=60) as raw:
        head = f"POST {TASKS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {untouched.token}\r\n"
        raw.sendall((head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").encode())
        chunk = b"a" * 1_000_000
        for _ in range(11):
            raw.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        raw.sendall(b"0\r\n\r\n")
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "text/plain", "application/jsonp", ""])
def test_another_content_type_is_refused(untouched: Product, media: str) -> None:
    """415: a page elsewhere can send a form for somebody, but no JSON."""
    check(untouched.ask("POST", TASKS, json.dumps(plan()).encode(), {"Content-Type": media}), 415)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/tasks"), ("PUT", "/tasks"), ("PATCH", "/tasks"), ("GET", "/preview"), ("TRACE", "/tasks"),
        ("PURGE", "/tasks"), ("HELLO", "/tasks"),
    ],
)  # fmt: skip
def test_a_wrong_method_is_refused(untouched: Product, method: str, path: str) -> None:
    """405, and which methods are allowed."""
    said = untouched.ask(method, API + path)
    check(said, 405)
    assert said.headers["Allow"]


@pytest.mark.parametrize("path", [f"{API}/nope", "/api/v2/tasks", f"{API}/tasks/{NOBODY}/edit"])
def test_an_unknown_route_is_not_there(untouched: Product, path: str) -> None:
    """404, also for what is promised for later."""
    check(untouched.ask("GET", path), 404)


@dataclass(frozen=True)
class Asked:
    """A request and what has to be answered."""

    method: str
    path: str
    status: int
    pointer: str = ""
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


ASKED: Final = {
    "an id that is none": Asked("GET", "/tasks/xyz", 404),
    "an id of nobody": Asked("GET", f"/tasks/{NOBODY}", 404),
    "an ending of nobody": Asked("GET", "/tasks/abcdef", 404),
    "NUL for an id": Asked("GET", "/tasks/%00", 400),
    "bad UTF-8 for an id": Asked("GET", "/tasks/%ff", 404),
    "a history of nobody": Asked("GET", f"/tasks/{NOBODY}/events", 404),
    "a result of nobody": Asked("GET", f"/tasks/{NOBODY}/results/s", 404),
    "cancel nobody": Asked("POST", f"/tasks/{NOBODY}/cancel", 404, body={}),
    "approve nobody": Asked("POST", f"/tasks/{NOBODY}/approve", 404, body={"digest": "v1"}),
    "approve without digest": Asked("POST", f"/tasks/{NOBODY}/approve", 422, "#/digest", {}),
    "retry with what it has not": Asked("POST", f"/tasks/{NOBODY}/retry", 422, "#/force", {"force": True}),
    "resolve without note": Asked("POST", f"/tasks/{NOBODY}/resolve", 422, "#/note", {}),
    "an outcome that is none": Asked(
        "POST", f"/tasks/{NOBODY}/outcome", 422, "#/outcome", {"step": "s", "outcome": "maybe"}),
    "a wait of 99 s": Asked("GET", f"/tasks/{NOBODY}?wait=99", 422, "?wait"),
    "a wait of NaN": Asked("GET", f"/tasks/{NOBODY}?wait=nan", 422, "?wait"),
    "a negative wait": Asked("POST", "/tasks?wait=-1", 422, "?wait", plan()),
    "a bad cursor": Asked("GET", "/tasks?cursor=zzz", 422, "?cursor"),
    "limit 0": Asked("GET", "/tasks?limit=0", 422, "?limit"),
    "limit 201": Asked("GET", "/tasks?limit=201", 422, "?limit"),
    "limit as a word": Asked("GET", "/tasks?limit=many", 422, "?limit"),
    "an unknown filter": Asked("GET", "/tasks?colour=red", 422, "?colour"),
    "an unknown state": Asked("GET", "/tasks?state=lost", 422, "?state"),
    "since without zone": Asked("GET", "/tasks?since=2030-01-01T00:00:00", 422, "?since"),
    "a setting that is none": Asked(
        "PUT", "/settings/nope", 404, body={"value": 1}, headers={"If-Match": '"1"'}),
    "a setting without version": Asked("PUT", "/settings/hosts", 422, "If-Match", {"value": []}),
    "a setting with an odd version": Asked(
        "PUT", "/settings/hosts", 422, "If-Match", {"value": []}, {"If-Match": "newest"}),
    "a setting of another kind": Asked(
        "PUT", "/settings/hosts", 422, "#/value", {"value": 1}, {"If-Match": '"0"'}),
    "pause without why": Asked("PUT", "/pause", 422, "#/why", {"why": " "}),
    "a person without name": Asked("POST", "/people", 422, "#/name", {"name": "", "role": "viewer"}),
    "a person of another role": Asked("POST", "/people", 422, "#/role", {"name": "Ada", "role": "boss"}),
    "remove nobody": Asked("DELETE", f"/people/{NOBODY}", 404),
    "remove an odd id": Asked("DELETE", "/people/x", 422, "{id}"),
    "a token for nobody": Asked("POST", "/tokens", 404, body={"person": NOBODY}),
    "a token that has ended": Asked("POST", "/tokens", 422, "#/expires_in", {"expires_in": -1}),
    "revoke nobody's": Asked("DELETE", "/tokens/x", 404),
    "a code for nobody": Asked("POST", "/sign-in-codes", 404, body={"person": NOBODY}),
    "an empty key": Asked("POST", "/tasks", 422, "Idempotency-Key", plan(), {"Idempotency-Key": ""}),
    "a long key": Asked("POST", "/tasks", 422, "Idempotency-Key", plan(), {"Idempotency-Key": "x" * 201}),
    "huge headers": Asked("GET", "/tasks", 431, headers={"X-Huge": "x" * 70_000}),
    "a huge address": Asked("GET", "/tasks?q=" + "x" * 70_000, 414),
    "a bad length": Asked("POST", "/tasks", 400, body=plan(), headers={"Content-Length": "-5"}),
    "a token that is none": Asked("GET", "/tasks", 401, headers={"Authorization": "Bearer aiw_nobody"}),
    "another scheme": Asked("GET", "/tasks", 401, headers={"Authorization": "Basic eDp5"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_a_request_that_cannot_be_answered_says_why(untouched: Product, name: str) -> None:
    """Ids, cursors, limits, versions, keys, headers: the right status, and where the fault is."""
    asked = ASKED[name]
    body = None if asked.body is None else json.dumps(asked.body).encode()
    said = untouched.ask(asked.method, API + asked.path, body, asked.headers)
    check(said, asked.status, *filter(None, [asked.pointer]))
    assert (said.status == 401) is ("WWW-Authenticate" in said.headers)


def test_what_is_no_http_is_refused_as_a_problem(untouched: Product) -> None:
    """nginx's own answer to a broken request line is a problem, too."""
    with socket.create_connection(("127.0.0.1", untouched.port), timeout=30) as raw:
        raw.sendall(b"HELLO\r\n\r\n")
        answer = raw.makefile("rb").read()
    assert answer.startswith(b'{"type"') or PROBLEM.encode() in answer


def test_a_key_with_another_body_is_a_conflict(product: Product) -> None:
    """I1: sent again it is the same task; with another body 409, and nothing is stored."""
    key = {"Idempotency-Key": "bad-input-1"}
    first = product.ask("POST", TASKS, json.dumps(plan()).encode(), key)
    assert first.status == 201
    tasks = product.counts()["tasks"]
    again = product.ask("POST", TASKS, json.dumps(plan()).encode(), key)
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    check(product.ask("POST", TASKS, json.dumps(plan(step(value=2))).encode(), key), 409)
    check(product.ask("POST", TASKS, json.dumps([plan()]).encode(), key), 409)
    assert product.counts()["tasks"] == tasks


def test_a_role_that_does_not_reach_is_refused(product: Product) -> None:
    """A viewer hands nothing in and decides nothing, whatever the body; nothing is stored."""
    secret = product.api("POST", "/tokens", {"role": "viewer"})["secret"]
    before = product.counts()
    for method, path in (("POST", "/tasks"), ("POST", f"/tasks/{NOBODY}/approve"), ("PUT", "/pause")):
        check(product.ask(method, API + path, b"{", token=secret), 403)
    assert product.counts() == before


def test_the_product_is_well_after_all_of_it(product: Product) -> None:
    """A good task still ends, and every list can be read."""
    done = product.api("POST", "/tasks?wait=30", plan())
    assert done["state"] == "succeeded"
    assert product.api("GET", "/tasks")["items"][0]["id"] == done["id"]
    assert product.api("GET", f"/tasks/{done['id']}/events")["items"]
