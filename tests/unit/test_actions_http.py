"""`http.request`: floors, effects, refusals and outcomes, clause by clause."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from common.actions.contract import Done, NotDone, Unknown
from common.actions.exchange import KEPT_HEADERS, read_json, result
from common.core.errors import FieldError, Invalid
from common.core.json_limits import walk
from common.core.policy import Host
from common.core.task import Effect, Json, Origin, Risk, Step
from common.ports import HttpFailure, HttpResponse
from tests.unit.actions_stand_in import CATALOGUE, POLICY, StandIn, answered, asked, faults, get, post, read, step

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


# --- floors -----------------------------------------------------------------------------------------------------------


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


# --- effects ----------------------------------------------------------------------------------------------------------


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


# --- refusals ---------------------------------------------------------------------------------------------------------


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


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_what_is_sent_is_what_was_shown() -> None:
    """The canonical address, the query as pairs, compact JSON and the time that is left go out."""
    ctx = StandIn(left=3.0)
    CATALOGUE.run(post("HTTPS://PAY.example.com/a?x=1", query={"q": ["가", 2, True]}, json={"금액": 39_000}), ctx)
    [sent] = ctx.sent
    assert (sent.method, sent.url) == ("POST", "https://pay.example.com/a?x=1&q=%EA%B0%80&q=2&q=true")
    assert sent.body == '{"금액":39000}'.encode()
    assert sent.headers == {"Content-Type": "application/json", "Idempotency-Key": "key-1"}
    assert sent.timeout == 3.0
    assert not sent.from_settings


def test_a_text_body_is_sent_as_text_and_a_given_content_type_stays() -> None:
    """A plan may say what its body is; nothing is added beside it."""
    ctx = StandIn()
    CATALOGUE.run(post("https://api.example.com/", body="a=b"), ctx)
    CATALOGUE.run(
        post("https://api.example.com/", body="a=b", headers={"content-type": "application/x-www-form-urlencoded"}), ctx
    )
    assert [sent.headers for sent in ctx.sent] == [
        {"Content-Type": "text/plain; charset=utf-8"},
        {"content-type": "application/x-www-form-urlencoded"},
    ]


# --- outcomes ---------------------------------------------------------------------------------------------------------

READ = get("https://api.example.com/")
WRITE = post("https://api.example.com/")


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_a_far_side_that_says_later_did_nothing(status: int) -> None:
    """408, 425, 429 and 503 are not done and transient, also of what may not be repeated."""
    for target in (READ, WRITE):
        outcome = CATALOGUE.run(target, StandIn(answered(status, b"busy", "text/plain")))
        assert outcome == NotDone("http_status", transient=True, status=status, detail="busy")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 451, 501, 505])
def test_a_refusal_is_permanent(status: int) -> None:
    """Other 4xx, and a server that does not know the method, did nothing and will not tomorrow."""
    for target in (READ, WRITE):
        outcome = CATALOGUE.run(target, StandIn(answered(status)))
        assert isinstance(outcome, NotDone)
        assert not outcome.transient


@pytest.mark.parametrize(
    "answer",
    [
        answered(500),
        answered(502),
        answered(504),
        answered(520),
        HttpFailure("timeout", sent=True),
        HttpFailure("reset", sent=True),
    ],
)
def test_doubt_is_unknown_wherever_something_may_have_changed(answer: HttpResponse | HttpFailure) -> None:
    """I6: a 5xx, a timeout or a reset after the first byte: of what only reads nothing is in doubt, of all else it is.

    Also where the far side lets it be repeated: that is a setting, and may be another by the next attempt.
    """
    assert isinstance(CATALOGUE.run(WRITE, StandIn(answer)), Unknown)
    repeated = CATALOGUE.run(READ, StandIn(answer))
    assert isinstance(repeated, NotDone)
    assert repeated.transient
    assert isinstance(CATALOGUE.run(post("https://pay.example.com/"), StandIn(answer)), Unknown)


@pytest.mark.parametrize("code", ["connect_failed", "dns_failed", "tls_failed", "timeout", "reset"])
def test_nothing_was_done_where_nothing_was_sent(code: str) -> None:
    """A failure before the first byte is not done and transient, whatever the effect."""
    for target in (READ, WRITE):
        outcome = CATALOGUE.run(target, StandIn(HttpFailure(code, sent=False)))
        assert isinstance(outcome, NotDone)
        assert (outcome.code, outcome.transient) == (code, True)


def test_a_refused_address_is_permanent() -> None:
    """A name that resolves to a private address will not be public in a minute."""
    assert CATALOGUE.run(WRITE, StandIn(HttpFailure("refused_address", sent=False))) == NotDone(
        "refused_address", transient=False, detail="refused_address"
    )


def test_too_large_an_answer_is_done_without_output() -> None:
    """The far side answered, so it acted: never "not done"."""
    assert CATALOGUE.run(WRITE, StandIn(HttpFailure("too_large", sent=True))) == Done(too_large=True)


def test_an_unexpected_success_is_doubt() -> None:
    """A 3xx, or a 2xx that the plan does not expect: the far side acted otherwise than supposed."""
    for target, kind in ((WRITE, Unknown), (READ, NotDone)):
        for answer in (answered(302), answered(201)):
            expecting = target.model_copy(update={"args": {**target.args, "expect": [200]}})
            outcome = CATALOGUE.run(expecting, StandIn(answer))
            assert isinstance(outcome, kind)
            assert outcome.code == "unexpected_status"


def test_an_expected_refusal_is_done() -> None:
    """A plan that expects a 404 has what it wants."""
    outcome = CATALOGUE.run(get("https://api.example.com/", expect=[404]), StandIn(answered(404, b'{"a":1}')))
    assert isinstance(outcome, Done)
    assert outcome.output == {"status": 404, "headers": {"content-type": "application/json"}, "json": {"a": 1}}


def test_what_an_action_raises_is_unknown_by_type_alone() -> None:
    """I6, I11: the unforeseen is unknown, and its message, which may hold a secret, is not kept."""
    assert CATALOGUE.run(WRITE, StandIn(RuntimeError("Bearer s3cret"))) == Unknown("unforeseen", detail="RuntimeError")


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "key"),
    [
        (b'{"a": [1, "x"]}', "application/json", "json"),
        (b'{"a": 1}', "application/problem+json; charset=utf-8", "json"),
        (b'{"a": NaN}', "application/json", "text"), (b'{"a": 1e999}', "application/json", "text"),
        (b'"\\u0000"', "application/json", "text"),
        (b'"\\ud800"', "application/json", "text"), (b'{"\\u0000": 1}', "application/json", "text"),
        (b"[" * 100_000, "application/json", "text"),
        (b"[" * 65 + b"]" * 65, "application/json", "text"), (b"not json", "application/json", "text"),
        (b"", "application/json", "text"),
        (b"\xff\xfe", "application/json", "base64"), ("가격".encode(), "text/plain", "text"),
        ("가격".encode("cp949"), "text/html; charset=euc-kr", "text"),
        ("가격".encode("cp949"), "text/html", "base64"), (b"a\x00b", "text/plain", "base64"),
        (b"\x89PNG", "image/png", "base64"),
        (b"abc", "text/plain; charset=unicode_escape", "base64"), (b"abc", "application/octet-stream", "base64"),
        (b"abc", "", "text"),
    ],
)  # fmt: skip
def test_a_body_becomes_what_it_plainly_is(body: bytes, content_type: str, key: str) -> None:
    """JSON, text or base64; what JSON or PostgreSQL could not hold never reaches them as such."""
    value = result(answered(200, body, content_type))
    assert isinstance(value, dict)
    assert key in value
    assert value.get("text") != "" or body == b""


def test_only_a_few_headers_are_kept_and_none_can_break_storage() -> None:
    """Cookies and the like stay out of results; a NUL in a header does not reach the database."""
    response = HttpResponse(
        status=200, headers={"Set-Cookie": "s", "ETag": 'a\x00"', "Location": "x" * 5000}, body=b"", url=""
    )
    value = result(response)
    assert isinstance(value, dict)
    headers = value["headers"]
    assert isinstance(headers, dict)
    assert set(headers) <= set(KEPT_HEADERS)
    assert headers["etag"] == 'a\ufffd"'
    assert len(str(headers["location"])) == 1000


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "text/plain", "text/html; charset=cp949", "", "image/png"]),
)
def test_any_body_can_be_stored(body: bytes, content_type: str) -> None:
    """Whatever a far side sends, the result is JSON without a NUL, a lone surrogate or an endless number."""
    value = result(answered(200, body, content_type))
    json.dumps(value, allow_nan=False).encode()
    problems = [error for error in _problems(value) if "2**53" not in error]
    assert problems == []


def _problems(value: Json) -> list[str]:
    errors: list[FieldError] = []
    list(walk(value, "", errors))
    return [error.detail for error in errors]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_json_that_is_read_is_what_was_written(value: Json) -> None:
    """Reading changes nothing, and refuses by an exception only."""
    try:
        assert read_json(json.dumps(value)) == value
    except ValueError:
        assert "\\u" in json.dumps(value)


def test_a_stored_plan_is_kept_as_it_was_given() -> None:
    """I4: no default is written into a plan, so that its digest and its page show what the requester wrote."""
    assert read(get("https://API.example.com"))[0].args == {"url": "https://API.example.com"}
