"""What is left of rate limits: read from headers, measured by the provider's own clock, and kept to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from pydantic import SecretStr

from common import telemetry
from common.analysis.call import Call, Fault
from common.analysis.providers.claude import ClaudeClient
from common.analysis.providers.key import Key
from common.analysis.providers.pace import Left, Pace, anthropic_left, openai_left
from tests.unit.provider import KEY, fault, message, proposal

DATE = "Tue, 24 Nov 2026 01:00:00 GMT"
CALL = Call(
    workspace=UUID(int=3),
    purpose="analysis",
    model="claude-haiku-5-5",
    prompt_version="analysis.1",
    system="",
    content="order it",
    max_tokens=100,
)


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_limit_holds_until_it_is_reset() -> None:
    """And no longer; others may hold longer."""
    clock = Clock()
    pace = Pace(clock)
    assert pace.hold() is None
    pace.heard([Left("requests", 0, timedelta(seconds=10)), Left("tokens", 0, timedelta(seconds=20))])
    held = pace.hold()
    assert isinstance(held, Fault)
    assert (held.again_in, held.detail) == (timedelta(seconds=20), "tokens")
    clock.now += 19.9
    held = pace.hold()
    assert isinstance(held, Fault)
    assert held.again_in == timedelta(seconds=1)
    clock.now += 0.2
    assert pace.hold() is None


def test_what_is_there_again_frees_at_once() -> None:
    """An answer that says that some is left is newer than the one that said none."""
    pace = Pace(Clock())
    pace.heard([Left("requests", 0, timedelta(hours=9))])
    held = pace.hold()
    assert isinstance(held, Fault)
    assert held.again_in == timedelta(minutes=15)
    pace.heard([Left("requests", 1, timedelta(seconds=9))])
    assert pace.hold() is None


def test_anthropics_headers_are_measured_from_their_own_date() -> None:
    """Our clock may be wrong; without a date it is half a minute."""
    headers = httpx2.Headers(
        {
            "date": DATE,
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-11-24T01:00:42Z",
            "anthropic-ratelimit-tokens-remaining": "1000",
            "anthropic-ratelimit-tokens-reset": "soon",
            "anthropic-ratelimit-input-tokens-remaining": "many",
            "anthropic-ratelimit-output-tokens-remaining": "9" * 40,
        }
    )
    assert anthropic_left(headers) == [
        Left("requests", 0, timedelta(seconds=42)),
        Left("tokens", 1000, timedelta(seconds=30)),
    ]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("", 30), ("soon", 30), ("5", 30), ("-1s", 30)],
)
def test_openais_headers_say_spans(said: str, seconds: float) -> None:
    """What cannot be read is half a minute."""
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": said}
    assert openai_left(headers) == [Left("tokens", 0, timedelta(seconds=seconds))]


@pytest.mark.parametrize("status", [200, 429])
def test_claude_is_not_asked_while_nothing_is_left(status: int) -> None:
    """I7: answered or refused, the headers are heard; the held call is given back, and counted."""
    headers = {
        "date": DATE,
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-24T01:00:42Z",
    }
    says = message(proposal()) if status == httpx2.codes.OK else fault(status, "rate_limit_error")
    says.headers |= headers
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return says

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = ClaudeClient(Key(SecretStr(KEY), Path("/nonexistent")), "https://provider.example", http)
    before = _held()
    client.ask(CALL)
    said = client.ask(CALL)
    assert isinstance(said, Fault)
    assert (said.code, said.waiting_for, said.detail) == ("rate_limited", "provider", "requests")
    assert len(requests) == 1
    assert _held() == before + 1


def _held() -> float:
    return telemetry.metrics().registry.get_sample_value("aiw_provider_held_calls_total") or 0
