"""http.request: floors, effects, refusals, and every fault of an argument pointed at."""

from __future__ import annotations

import pytest

from common.actions.contract import NotDone
from common.core.errors import Invalid
from common.core.policy import Host
from common.core.task import Effect, Json, Origin, Risk, Step
from tests.unit.actions_stand_in import CATALOGUE, POLICY, StandIn, asked, faults, get, post, read, step

FROM_RESULT: Json = {"q": {"$ref": "steps.page.json.q"}}


def floor(target: Step, text: str | None = None, origin: Origin = Origin.PERSON) -> tuple[Risk, set[str]]:
    """The risk of a plan of this step alone, and the rules that say so."""
    verdict = CATALOGUE.assess([target], asked(text, origin), POLICY)
    return verdict.risk, {reason.rule for reason in verdict.reasons}


def refused(target: Step) -> list[str]:
    """The pointers at which policy refuses the step's target."""
    try:
        CATALOGUE.refuse([target], POLICY)
    except Invalid as exc:
        return [error.pointer for error in exc.errors]
    return []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_from_a_listed_or_named_host_is_low(method: str) -> None:
    """I5: GET and HEAD are low at a host of the workspace's list, or of the requester's own words."""
    assert floor(get("https://api.example.com/x", method=method)) == (Risk.LOW, set())
    assert floor(get("https://shop.example.org/x", method=method), "look at shop.example.org")[0] is Risk.LOW
    assert floor(get("https://api.example.com/x", method=method, headers={"accept": "text/csv"}))[0] is Risk.LOW


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        (get("https://shop.example.org/"), "http_host_unlisted"),
        (get("https://api.example.com/", headers={"X-Trace": "1"}), "http_headers"),
        (get("https://api.example.com/", query=FROM_RESULT), "http_result"),
    ],
)
def test_other_reading_is_medium(target: Step, rule: str) -> None:
    """I5: an unlisted host, a header beyond Accept, or result data to a listed host is more than low."""
    assert floor(target) == (Risk.MEDIUM, {rule})


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        *[
            (step("http.request", {"method": method, "url": "https://api.example.com/"}), "http_method")
            for method in ("POST", "PUT", "PATCH", "DELETE")
        ],
        (get("https://api.example.com/", headers={"Authorization": "Bearer x"}), "http_secret"),
        (get("https://api.example.com/", headers={"cookie": "a=b"}), "http_secret"),
        (get("https://api.example.com/", headers={"X-Api-Key": "k"}), "http_secret"),
        (get("https://api.example.com/?access_token=x"), "http_secret"),
        (get("https://api.example.com/?%74oken=x"), "http_secret"),
        (get("https://api.example.com/", query={"API_KEY": "x"}), "http_secret"),
        (get("https://shop.example.org/", query=FROM_RESULT), "http_result_unlisted"),
    ],
)  # fmt: skip
def test_writing_credentials_and_leaking_are_high(target: Step, rule: str) -> None:
    """I5: other methods, any credential, and result data to an unlisted host are high, listed or not."""
    risk, rules = floor(target, "send it to api.example.com")
    assert risk is Risk.HIGH
    assert rule in rules


def test_a_named_host_is_not_a_listed_one_for_result_data() -> None:
    """A host in the requester's words may be read; results go there only by a person's yes."""
    assert floor(get("https://shop.example.org/", query=FROM_RESULT), "shop.example.org")[0] is Risk.HIGH


def test_text_that_came_from_results_names_no_host() -> None:
    """Derived text may have been written by anybody: its hosts are not the requester's."""
    risk, rules = floor(get("https://shop.example.org/"), "shop.example.org", Origin.DERIVED)
    assert (risk, rules) == (Risk.MEDIUM, {"http_host_unlisted", "origin_derived"})


@pytest.mark.parametrize(
    ("method", "host", "effect"),
    [
        ("GET", "x.example.org", Effect.IDEMPOTENT), ("HEAD", "x.example.org", Effect.IDEMPOTENT),
        ("PUT", "x.example.org", Effect.IDEMPOTENT),
        ("DELETE", "x.example.org", Effect.IDEMPOTENT), ("POST", "x.example.org", Effect.NON_IDEMPOTENT),
        ("PATCH", "api.example.com", Effect.NON_IDEMPOTENT), ("POST", "pay.example.com", Effect.IDEMPOTENT),
        ("PATCH", "PAY.example.com", Effect.IDEMPOTENT),
    ],
)  # fmt: skip
def test_what_repeating_would_do_is_methods_and_settings_business(method: str, host: str, effect: Effect) -> None:
    """I6: POST and PATCH may be repeated only where the host's own setting says so."""
    assert CATALOGUE.effect(step("http.request", {"method": method, "url": f"https://{host}/"}), POLICY) is effect


def test_the_key_is_sent_only_where_the_host_honours_it() -> None:
    """I6: at an idempotent host the far side can tell a repetition; elsewhere the header would promise too much."""
    for host, key in (("pay.example.com", "key-1"), ("api.example.com", None)):
        ctx = StandIn()
        CATALOGUE.run(post(f"https://{host}/refunds", json={"amount": 39_000}), ctx)
        assert ctx.sent[0].headers.get("Idempotency-Key") == key
    reading = StandIn()
    CATALOGUE.run(get("https://pay.example.com/refunds"), reading)
    assert reading.sent[0].headers == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.0.0.1:9101/", "http://localhost:9100/", "http://10.0.0.5/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:9100/", "http://[::ffff:7f00:1]:9100/", "http://postgres:5432/", "http://redis/",
        "http://gateway/",
        "http://gateway:8080/system/functions", "http://gateway:8080//%53ystem", "http://gateway:8080/function/ocr",
        "http://127.0.0.1:9100/system",
        "http://127.0.0.1:9100/async-function/a", "https://aiw.example.com/api/v1/pause", "http://localhost:5432/",
        "http://127.0.0.1:6379/",
        "http://[::1]:5432/", "http://0.0.0.0:5432/", "https://AIW.example.com./",
    ],
)  # fmt: skip
def test_our_own_parts_and_private_addresses_are_refused(url: str) -> None:
    """No approval allows a private address that is not listed by name and port, nor ever our own parts."""
    assert refused(get(url)) == ["#/plan/steps/0/args/url"]
    outcome = CATALOGUE.run(get(url), ctx := StandIn())
    assert isinstance(outcome, NotDone)
    assert (outcome.code, outcome.transient, ctx.sent) == ("refused_target", False, [])


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9100/price", "http://gateway:8080/api", "https://example.com/system/status", "http://8.8.8.8/"],
)
def test_what_is_listed_by_name_and_port_is_reachable(url: str) -> None:
    """A private address that an admin listed with its port, and any public one, is a matter of risk alone."""
    assert refused(get(url)) == []


def test_a_private_name_listed_without_a_port_stays_refused() -> None:
    """A list entry without a port is for public addresses only: `localhost` alone would open every port here."""
    assert POLICY.host("localhost", 80) == Host(name="localhost")
    assert refused(get("http://localhost/")) == ["#/plan/steps/0/args/url"]


@pytest.mark.parametrize(
    "name",
    [
        "Idempotency-Key", "idempotency-key", "HOST", "Content-Length", "Transfer-Encoding", "Connection", "TE",
        "Upgrade", "Expect", "Proxy-Authorization",
    ],
)  # fmt: skip
def test_headers_that_would_change_where_a_request_ends_are_refused(name: str) -> None:
    """A plan that sets our key, the host or the connection's own headers is invalid, in any case of letters."""
    [error] = faults(post("https://api.example.com/", headers={name: "x"}))
    assert error.pointer == "#/plan/steps/0/args/headers"


@pytest.mark.parametrize(
    "headers",
    [
        {"a b": "x"},
        {"": "x"},
        {"X": "a\r\nHost: evil"},
        {"X": "é"},
        {"X": " a"},
        {"A": "1", "a": "2"},
        {"X": "a" * 9000},
    ],
)
def test_a_header_cannot_smuggle_another(headers: dict[str, Json]) -> None:
    """Line breaks, odd names, doubled names and walls of text are no headers."""
    assert [error.pointer for error in faults(get("https://api.example.com/", headers=headers))] == [
        "#/plan/steps/0/args/headers"
    ]


@pytest.mark.parametrize(
    ("args", "pointer"),
    [
        ({}, "url"), ({"url": 1}, "url"), ({"url": "http://a@b/"}, "url"),
        ({"url": "https://e.org", "method": "get"}, "method"),
        ({"url": "https://e.org", "method": "CONNECT"}, "method"),
        ({"url": "https://e.org", "timeout": "30"}, "timeout"),
        ({"url": "https://e.org", "timeout": 0}, "timeout"), ({"url": "https://e.org", "timeout": 301}, "timeout"),
        ({"url": "https://e.org", "timeout": True}, "timeout"),
        ({"url": "https://e.org", "expect": [99]}, "expect/0"),
        ({"url": "https://e.org", "expect": []}, "expect"), ({"url": "https://e.org", "query": {"a": {}}}, "query"),
        ({"url": "https://e.org", "query": {"a": None}}, "query"), ({"url": "https://e.org", "query": [1]}, "query"),
        ({"url": "https://e.org", "method": "POST", "body": 1}, "body"),
        ({"url": "https://e.org", "verify": False}, "verify"),
        ({"url": {"$ref": "steps.b.json"}}, "url"),
        ({"url": "https://e.org", "headers": {"X": {"$ref": "steps.b.json"}}}, "headers/X"),
        ({"url": "https://e.org", "expect": [{"$ref": "steps.b.status"}]}, "expect/0"),
    ],
)  # fmt: skip
def test_every_fault_of_an_argument_is_pointed_at(args: dict[str, Json], pointer: str) -> None:
    """The pointer names the field, and a result in what decides where a request goes is a fault."""
    errors = faults(step("value", {"value": 1}, "b"), step("http.request", args))
    assert [error.pointer for error in errors] == [f"#/plan/steps/1/args/{pointer}"]
    assert errors[0].detail


def test_one_body_at_most_and_none_for_reading() -> None:
    """What a GET's body means nobody knows, and of two bodies only one could be sent."""
    assert faults(get("https://api.example.com/", json=None))
    assert faults(post("https://api.example.com/", json=1, body="x"))
    assert not faults(post("https://api.example.com/", json=None))


def test_a_stored_plan_is_kept_as_it_was_given() -> None:
    """I4: no default is written into a plan, so that its digest and its page show what the requester wrote."""
    assert read(get("https://API.example.com"))[0].args == {"url": "https://API.example.com"}
