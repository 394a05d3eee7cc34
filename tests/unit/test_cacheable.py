"""What may be remembered: what stands in the request itself, of a first reading, without anything secret."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from common.analysis.cache.cacheable import may_share, why_not_kept
from common.analysis.cache.key import Basis, key_of
from common.analysis.cache.secret_words import looks_secret
from common.core.policy import Policy
from common.core.task import Failure, Json, Plan, Request, Risk, State, Step, Task
from common.ports import Answer, Question


def answer(*args: dict[str, Json], **other: Any) -> Answer:  # noqa: ANN401 - any field of an answer
    """An answer of a model with steps of these arguments."""
    steps = tuple(Step(id=f"step{n}", action="http.request", args=given) for n, given in enumerate(args, 1))
    return Answer(**{"kind": "fetch_page", "steps": steps, "source": "claude", "risk": Risk.LOW, **other})


KEPT: list[tuple[str, dict[str, Json]]] = [
    ("fetch https://api.example.com/v2/orders/17", {"method": "GET", "url": "https://api.example.com/v2/orders/17"}),
    ("Fetch from API.example.com", {"url": "https://api.example.com/"}),
    ("is status.example.com. up", {"url": "https://status.example.com"}),
    ("GET http://127.0.0.1:9100/metrics", {"url": "http://127.0.0.1:9100/metrics"}),
    ("주문 17건을 api.example.com/o 에 보내줘", {"url": "https://api.example.com/o", "json": {"count": 17}}),
    ("pay 17.50 to kim@example.com", {"to": "Kim@example.com", "amount": 17.5, "text": "17.50"}),
    ("set it to -5", {"value": -5}),
    ("send the total", {"value": {"$ref": "steps.page2.json.items[0].total"}}),
    ("send the id", {"value": {"$ref": "inputs.order.id"}, "json": {"$ref": "steps.page.json.data.price"}}),
    ("send the order", {"value": {"$ref": "inputs.order_2"}, "note": {"$ref": "now"}}),
    ("summarise it", {"prompt": ["Summarise:", {"$ref": "steps.page.text"}], "max_tokens": 400}),
    ("wait for it", {"url": "x", "timeout": 20}),
    ("run it", {"function": "ocr2"}),
    ("2026-11-24의 보고서", {"message": "2026-11-24 보고서"}),
    ("report of Monday", {"message": "Report of monday"}),
    ("close INV-2024-17", {"message": "INV-2024-17 is closed"}),
]

NOT_KEPT: list[tuple[str, str, dict[str, Json]]] = [
    ("remind me tomorrow", "date", {"until": "2026-11-25T09:00:00+09:00"}),
    ("remind me tomorrow", "number", {"until": "2026"}),
    ("the weekly report", "date", {"message": "Report of Tuesday"}),
    ("주간 보고서", "date", {"message": "화요일 보고서"}),
    ("the daily report", "date", {"message": "오늘의 보고서"}),
    ("the next order", "number", {"json": {"order": 18}}),
    ("order 17", "number", {"json": {"order": 1}}),
    ("order 17", "number", {"json": {"order": -17}}),
    ("order 17", "number", {"text": "order 17, 8 parts"}),
    ("order 17", "number", {"json": {"8": "parts"}}),
    ("order １７", "number", {"json": {"order": 17}}),
    ("version 1.5", "number", {"json": 15}),
    ("fetch the price page", "host", {"url": "https://prices.example.com/"}),
    ("fetch example.com", "host", {"url": "https://www.example.com/"}),
    ("fetch example.com", "host", {"url": "https://example.com:8443/"}),
    ("fetch example.com", "host", {"url": "https://example.com@evil.example/"}),
    ("fetch myexample.com", "host", {"url": "https://example.com/"}),
    ("fetch the page", "host", {"url": "http://localhost/"}),
    ("fetch 10.0.0.1", "host", {"url": "http://10.0.0.2/"}),
    ("tell Kim", "host", {"message": "see docs.example.com for more"}),
    ("tell kim@example.com", "address", {"to": "lee@example.com"}),
    ("close the newest ticket", "id", {"ticket": "OPS-991"}),
    ("make an order", "id", {"id": "0b6f1c8e-1c1f-4b3a-9d0e-5b1f0c9d1e2f"}),
    ("make an order", "id", {"json": {"a1b2": True}}),
    ("version 2 of file 1", "id", {"file": "v2"}),
    ("send the total", "id", {"value": {"$ref": "steps.page.json.price2024"}}),
    ("send the total", "number", {"value": {"$ref": "steps.page.json.x", "must": {"maximum": 100}}}),
    ("send the total", "number", {"value": {"$ref": "steps.page.json.rows[?day=='24']"}}),
    ("run it", "id", {"function": "ocr3"}),
    ("log in", "secret", {"headers": {"Authorization": "Bearer abcdefgh12"}}),
    ("long", "long", {"value": "x" * 30_000}),
]


@pytest.mark.parametrize(("text", "args"), KEPT)
def test_what_stands_in_the_request_is_kept(text: str, args: dict[str, Json]) -> None:
    """Names, numbers, hosts and ids of the request, references, and how long a step may take."""
    assert why_not_kept(text, frozenset({"ocr2", "order_2"}), answer(args)) is None


@pytest.mark.parametrize(("text", "why", "args"), NOT_KEPT)
def test_what_comes_from_elsewhere_is_not(text: str, why: str, args: dict[str, Json]) -> None:
    """A date, number, host, address or id that the request does not hold was true once, or for somebody."""
    assert why_not_kept(text, frozenset({"ocr2"}), answer({"method": "GET"}, args)) == why


def test_only_a_models_whole_word_is_kept() -> None:
    """What the rules said costs nothing to say again; what a stronger reading was wanted for is no answer yet."""
    assert why_not_kept("x", frozenset(), answer(source="rules")) == "rules"
    assert why_not_kept("x", frozenset(), answer(source="cached")) == "rules"
    assert why_not_kept("x", frozenset(), answer(provisional=True)) == "provisional"
    assert why_not_kept("x", frozenset(), answer(source="model")) is None
    assert why_not_kept("x", frozenset(), answer(summary="the password is hunter22")) == "secret"


def question(text: str | None, **task: Any) -> Question:  # noqa: ANN401 - any field of a task
    """A question about a text."""
    request = Request(text=text, requested_by=UUID(int=3))
    made = Task(**{"id": UUID(int=4), "workspace": UUID(int=1), "state": State.ANALYZING, "request": request, **task})
    return Question(task=made, policy=Policy())


def test_only_first_readings_are_shared() -> None:
    """A plan that failed is thought over with what happened to it; that it had to wait before does not matter."""
    plan = Plan(
        number=1,
        steps=(Step(id="a", action="value"),),
        source="claude",
        risk_floor=Risk.LOW,
        risk=Risk.LOW,
        needs_approval=False,
        policy_version=1,
    )
    assert may_share(question("fetch it"))
    assert may_share(question("fetch it", failure=Failure(code="rate_limited")))
    assert not may_share(question("fetch it", plan=plan))
    assert not may_share(question("fetch it", plan=plan, failure=Failure(code="http_status", step="a")))
    assert not may_share(question(None))
    assert not may_share(question("log in with password hunter22"))


SECRETS = [
    "use sk-ant-api03-abcdefgh",
    "ghp_abcdefghijklmnopqrst0123",
    "AKIAIOSFODNN7EXAMPLE",
    "token=abcdefgh",
    "the password is correcthorse",
    "password: correcthorse",
    "password hunter2x",
    "비밀번호는 hunter22 입니다",
    "비밀번호: 가나다라",
    "토큰 abc123",
    "https://user:pass@example.com/",
    "https://example.com/?api_key=abcd",
    "Authorization: Basic dXNlcjpwYXNz",
    "-----BEGIN RSA PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "see dGhpc0lzQVNlY3JldFRva2VuMTIzNDU2",
    "key 0123456789abcdef0123456789abcdef",
    "https://hooks.slack.com/services/T0/B0/xyz",
    "otp 482913",
]

NOT_SECRETS = [
    "fetch https://api.example.com/v2/orders/17?page=2",
    "send the report to kim@example.com",
    "the password reset page is down",
    "tokenize the text",
    "opinion 2024",
    "close 0b6f1c8e-1c1f-4b3a-9d0e-5b1f0c9d1e2f",
    "https://example.com/a/very/long/path/with/many/parts/Index2.html",
    "서버 상태를 확인하고 운영 채널에 알려줘",
    "internationalization_of_everything_everywhere",
    "steps.page.json.data.items.price",
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_seen(text: str) -> None:
    """I11: keys of known makers, values beside their names, authorisation, long random tokens."""
    assert looks_secret(text)


@pytest.mark.parametrize("text", NOT_SECRETS)
def test_plain_words_are_none(text: str) -> None:
    """Addresses, ids and sentences may be remembered."""
    assert not looks_secret(text)


@pytest.mark.parametrize(
    "part", ["-eyJ", "a", "a.", "a@", "password ", "-----BEGIN ", "1.", "://a:", "steps.a[0]", "A1b"]
)
def test_no_text_takes_long(part: str) -> None:
    """A text of the longest length, made to be slow, is looked through in no time: intake does it for everybody."""
    text = (part * 20_000)[:20_000]
    began = time.process_time()
    looks_secret(text)
    key_of(question(text), Basis(("m",), "p", "c"), datetime(2026, 1, 1, tzinfo=UTC))
    why_not_kept(text, frozenset(), answer({"message": text}))
    assert time.process_time() - began < 0.5
