"""http.request: what is sent, and what each answer of the far side means."""

from __future__ import annotations

import pytest

from common.actions.contract import Done, NotDone, Unknown
from common.ports import HttpFailure, HttpResponse
from tests.unit.actions_stand_in import CATALOGUE, StandIn, answered, get, post


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
