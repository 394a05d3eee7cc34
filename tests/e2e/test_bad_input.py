"""Bad input against the running product: a problem that points at the field, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from common.api import BATCH_MAX
from tests.e2e.problems import TASKS, as_text, check, get, plan, step, untouched
from tests.stack import API, Product

__all__ = ["untouched"]  # a fixture

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
