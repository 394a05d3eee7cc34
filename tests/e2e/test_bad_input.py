"""Bad input against the running product: a problem that points at the field, and nothing is stored."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from common.api import BATCH_MAX
from tests.stack import API, Product, Said

PROBLEM: Final = "application/problem+json"
TASKS: Final = f"{API}/tasks"
NOBODY: Final = "01936e5c-7b3a-7c41-9a55-0f3de1a2b3c4"


@pytest.fixture
def untouched(product: Product) -> Iterator[Product]:
    """The product; afterwards not one row is more or less."""
    before = product.counts()
    yield product
    assert product.counts() == before


def check(said: Said, status: int, *pointers: str) -> None:
    """The answer is a problem with this status, and points at exactly these places, in any order."""
    assert (said.status, said.media) == (status, PROBLEM), said.raw[:500]
    body = said.json
    assert body["status"] == status
    assert body["type"].startswith("/problems/")
    assert body["title"]
    assert body["detail"]
    found = {error["pointer"] for error in body.get("errors", [])}
    assert found == set(pointers)
    assert all(error["detail"] for error in body.get("errors", []))


def step(action: str = "value", id: str = "s", **args: object) -> dict[str, Any]:  # noqa: A002 - the API's own name
    """A step."""
    return {"id": id, "action": action, "args": args or {"value": 1}}


def plan(*steps: Mapping[str, Any]) -> dict[str, Any]:
    """A request with a typed plan."""
    return {"plan": {"steps": list(steps) or [step()]}}


def get(**args: object) -> dict[str, Any]:
    """A step that fetches."""
    return step("http.request", id="get", **({"url": "https://api.example.com/"} | args))


def as_text(**more: object) -> dict[str, Any]:
    """A request in plain language."""
    return {"text": "fetch https://api.example.com/", **more}


# --- bodies that are no JSON ----------------------------------------------------------------------------------------

NO_JSON: Final = {
    "cut off": b'{"text": ',
    "empty": b"",
    "not UTF-8": b'{"text": "\xff\xfe"}',
    "Latin-1": '{"text": "é"}'.encode("latin-1"),
    "UTF-16": '{"text": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"text": "x"}',
    "a raw NUL": b'{"text": "a\x00b"}',
    "a raw control character": b'{"text": "a\nb"}',
    "two values": b'{"text": "a"}{"text": "b"}',
    "a comment": b'{"text": "a"} // b',
    "an integer of 5,000 digits": b'{"text": "a", "inputs": {"n": ' + b"9" * 5000 + b"}}",
    "100,000 brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("name", NO_JSON)
@pytest.mark.parametrize("route", ["/tasks", "/preview"])
def test_a_body_that_is_no_json_is_refused(untouched: Product, name: str, route: str) -> None:
    """400, whatever is wrong with its bytes."""
    check(untouched.ask("POST", API + route, NO_JSON[name]), 400)


RAW: Final = {
    "NUL": (b'{"text": "a\\u0000b"}', "#/text"),
    "a lone surrogate": (b'{"text": "a\\ud800b"}', "#/text"),
    "a lone surrogate in a list": (b'{"text": "a", "tags": ["x", "\\udc00"]}', "#/tags/1"),
    "a lone surrogate in a name": (b'{"text": "a", "inputs": {"\\udfff": 1}}', "#/inputs/?"),
    "NUL in a name": (b'{"text": "a", "inputs": {"a\\u0000": 1}}', "#/inputs/a\0"),
    "an integer of 400 digits": (b'{"text": "a", "inputs": {"n": ' + b"9" * 400 + b"}}", "#/inputs/n"),
    "NaN": (b'{"text": "a", "inputs": {"n": NaN}}', "#/inputs/n"),
    "an infinity": (b'{"text": "a", "inputs": {"n": [1, -Infinity]}}', "#/inputs/n/1"),
    "a number without bound": (b'{"text": "a", "inputs": {"n/a": 1e999}}', "#/inputs/n~1a"),
    "200 levels": (b'{"text": "a", "inputs": {"n": ' + b"[" * 200 + b"]" * 200 + b"}}", "#/inputs/n" + "/0" * 63),
    "NUL in an argument": (json.dumps(plan(step(value=["a\0"]))).encode(), "#/plan/steps/0/args/value/0"),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_what_no_database_can_hold_is_pointed_at(untouched: Product, name: str) -> None:
    """422 with a pointer to the one value that cannot be stored."""
    body, pointer = RAW[name]
    check(untouched.ask("POST", TASKS, body), 422, pointer)


# --- fields -----------------------------------------------------------------------------------------------------------

FIELDS: Final[dict[str, tuple[object, tuple[str, ...]]]] = {
    "a number": (3, ("#",)),
    "null": (None, ("#",)),
    "text and plan": ({"text": "a", **plan()}, ("#",)),
    "neither text nor plan": ({"priority": 3}, ("#",)),
    "an unknown field": (as_text(colour="red"), ("#/colour",)),
    "two unknown fields": (as_text(colour="red", **{"a/b": 1}), ("#/colour", "#/a~1b")),
    "a field for later": (as_text(economy=True, callback="https://x.example"), ("#/callback",)),
    "economy that is a word": (as_text(economy="yes"), ("#/economy",)),
    "blank text": ({"text": "  "}, ("#/text",)),
    "long text": ({"text": "a" * 20_001}, ("#/text",)),
    "text that is a number": ({"text": 5}, ("#/text",)),
    "inputs that are a list": (as_text(inputs=[1]), ("#/inputs",)),
    "priority 10": (as_text(priority=10), ("#/priority",)),
    "priority -1": (as_text(priority=-1), ("#/priority",)),
    "priority as text": (as_text(priority="5"), ("#/priority",)),
    "priority 1.5": (as_text(priority=1.5), ("#/priority",)),
    "priority true": (as_text(priority=True), ("#/priority",)),
    "a time without zone": (as_text(not_before="2030-01-01T00:00:00"), ("#/not_before",)),
    "a day": (as_text(not_before="2030-01-01"), ("#/not_before",)),
    "a word": (as_text(deadline="tomorrow"), ("#/deadline",)),
    "a number for a time": (as_text(deadline=4_000_000_000), ("#/deadline",)),
    "digits for a time": (as_text(deadline="4000000000"), ("#/deadline",)),
    "a deadline in the past": (as_text(deadline="2020-01-01T00:00:00Z"), ("#/deadline",)),
    "the year 10000, by its zone": ({**plan(), "not_before": "9999-12-31T23:59:59-12:00"}, ("#/not_before",)),
    "a deadline before the start": (
        as_text(not_before="2031-01-01T00:00:00Z", deadline="2030-01-01T00:00:00Z"), ("#/not_before",)),
    "21 tags": (as_text(tags=["x"] * 21), ("#/tags",)),
    "an empty tag": (as_text(tags=["a", ""]), ("#/tags/1",)),
    "a long tag": (as_text(tags=["x" * 65]), ("#/tags/0",)),
    "another language": (as_text(lang="fr"), ("#/lang",)),
    "no steps": ({"plan": {"steps": []}}, ("#/plan/steps",)),
    "1,000 steps": (plan(*[step(id=f"s{number}") for number in range(1000)]), ("#/plan/steps",)),
    "an unknown field of a plan": ({"plan": {"steps": [step()], "retry": 1}}, ("#/plan/retry",)),
    "an unknown field of a step": (plan({**step(), "retry": 1}), ("#/plan/steps/0/retry",)),
    "a step without action": (plan(step(id="a"), {"id": "b"}), ("#/plan/steps/1/action",)),
    "an odd id": (plan(step(id="Step one")), ("#/plan/steps/0/id",)),
    "an id twice": (plan(step(), step()), ("#/plan/steps/1/id",)),
    "arguments that are a list": (plan({"id": "s", "action": "value", "args": [1]}), ("#/plan/steps/0/args",)),
}  # fmt: skip

ACTIONS: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "unknown": (step("rm.rf"), ("action",)),
    "for later": (step("shell.run", argv=["ls"]), ("action",)),
    "an unknown argument": (step(value=1, extra=2), ("args/extra",)),
    "a missing argument": (step("notify", message="x"), ("args/channel",)),
    "a negative delay": (step("wait", seconds=-5), ("args/seconds",)),
    "a delay as text": (step("wait", seconds="5"), ("args/seconds",)),
    "a delay beyond measure": (step("wait", seconds=1e300), ("args/seconds",)),
    "until a time without zone": (step("wait", until="2030-01-01T00:00:00"), ("args/until",)),
    "seconds and until": (step("wait", seconds=5, until="2030-01-01T00:00:00Z"), ("args",)),
    "a $ref to no step": (step(value={"$ref": "steps.nope.json"}), ("args/value",)),
    "a $ref to itself": (step(value={"$ref": "steps.s"}), ("args/value",)),
    "a $ref to a missing input": (step(value={"a": [{"$ref": "inputs.nope"}]}), ("args/value/a/0",)),
    "a $ref to elsewhere": (step(value={"$ref": "secrets.key"}), ("args/value",)),
    "a $ref that is no text": (step(value={"$ref": 5}), ("args/value",)),
    "a $ref with more": (step(value={"$ref": "now", "else": 1}), ("args/value",)),
    "a $ref as url": (get(url={"$ref": "steps.first"}), ("args/url",)),
    "a $ref as method": (get(method={"$ref": "steps.first"}), ("args/method",)),
    "a $ref in a header": (get(headers={"X-A": {"$ref": "steps.first"}}), ("args/headers/X-A",)),
    "a $ref as channel": (step("notify", channel={"$ref": "steps.first"}, message="x"), ("args/channel",)),
    "another scheme": (get(url="file:///etc/passwd"), ("args/url",)),
    "a url with a blank": (get(url="https://exa mple.com"), ("args/url",)),
    "an odd method": (get(method="TRACE"), ("args/method",)),
    "json and body": (get(method="POST", json=1, body="x"), ("args",)),
    "a negative timeout": (get(timeout=-1), ("args/timeout",)),
    "our own header": (get(headers={"Idempotency-Key": "x"}), ("args/headers",)),
    "an unlisted function": (step("function.invoke", function="nope"), ("args/function",)),
    "an unnamed channel": (step("notify", channel="nope", message="x"), ("args/channel",)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("route", ["/tasks", "/preview"])
def test_a_field_that_does_not_fit_is_pointed_at(untouched: Product, name: str, route: str) -> None:
    """422, and the pointer names the field."""
    body, pointers = FIELDS[name]
    check(untouched.ask("POST", API + route, json.dumps(body).encode()), 422, *pointers)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("route", ["/tasks", "/preview"])
def test_a_step_that_cannot_be_is_pointed_at(untouched: Product, name: str, route: str) -> None:
    """422, and the pointer names the argument; it stands second, so that a wrong index would show."""
    second, places = ACTIONS[name]
    body = json.dumps(plan(step(id="first"), second)).encode()
    check(untouched.ask("POST", API + route, body), 422, *(f"#/plan/steps/1/{place}" for place in places))


def test_our_own_front_door_is_no_target(untouched: Product) -> None:
    """I4: a plan that would call this installation itself is refused, however the machine is written."""
    for host in ("127.0.0.1", "localhost", "127.1"):
        body = json.dumps(plan(get(url=f"http://{host}:{untouched.port}/api/v1/pause"))).encode()
        check(untouched.ask("POST", TASKS, body), 422, "#/plan/steps/0/args/url")


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, BATCH_MAX + 1])
def test_an_array_of_a_wrong_length_is_refused(untouched: Product, number: int) -> None:
    """1 to 1,000: neither none nor one more."""
    check(untouched.ask("POST", TASKS, json.dumps([plan()] * number).encode()), 422, "#")


def test_one_bad_item_refuses_its_whole_array(untouched: Product) -> None:
    """All or nothing: the good neighbours are not stored, and every fault is pointed at."""
    items = [plan(), as_text(colour=1), plan(step("wait", seconds=-1)), plan()]
    check(untouched.ask("POST", TASKS, json.dumps(items).encode()), 422, "#/1/colour", "#/2/plan/steps/0/args/seconds")


def test_an_array_has_no_preview(untouched: Product) -> None:
    """A preview is of one task."""
    check(untouched.ask("POST", f"{API}/preview", json.dumps([plan()]).encode()), 422, "#")


# --- size, media type, method, route, headers -------------------------------------------------------------------------


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


# --- keys -------------------------------------------------------------------------------------------------------------


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
