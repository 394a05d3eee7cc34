"""What is made of a failure: each has its code, its next step, and its place in the budget."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from common.i18n import t
from common.ports import NotAnswered
from tests.unit.provider import KEY, Provider, fault, question

REQUEST = httpx2.Request("POST", "https://provider.example/v1/messages")
FAULTS = [
    # what happened, the code, after how long it is tried again, what it waits for, whether it is booked
    (fault(401, "authentication_error"), "bad_key", 600, "provider", False),
    (fault(403, "permission_error"), "key_not_permitted", 600, "provider", False),
    (fault(404, "not_found_error"), "unknown_model", 600, "provider", False),
    (fault(400, "invalid_request_error"), "request_refused", None, None, False),
    (fault(413, "request_too_large"), "request_refused", None, None, False),
    (fault(402, "billing_error"), "spend_limit", 3600, "budget", False),
    (
        fault(400, "invalid_request_error", "You have reached your specified API usage limits"),
        "spend_limit",
        3600,
        "budget",
        False,
    ),
    (
        fault(429, "rate_limit_error", code="enforced_spend_limit_reached", retry_after="5"),
        "spend_limit",
        3600,
        "budget",
        False,
    ),
    (fault(429, "rate_limit_error"), "rate_limited", 30, "provider", False),
    (fault(429, "rate_limit_error", retry_after="7"), "rate_limited", 7, "provider", False),
    (fault(429, "rate_limit_error", retry_after="0"), "rate_limited", 1, "provider", False),
    (fault(429, "rate_limit_error", retry_after="1e308"), "rate_limited", 30, "provider", False),
    (fault(429, "rate_limit_error", retry_after="999999"), "rate_limited", 900, "provider", False),
    (fault(429, "rate_limit_error", retry_after="soon"), "rate_limited", 30, "provider", False),
    (fault(529, "overloaded_error", retry_after="12"), "provider_overloaded", 12, "provider", False),
    (fault(503, "api_error"), "provider_overloaded", 30, "provider", True),
    (fault(500, "api_error"), "provider_error", 30, "provider", True),
    (fault(504, "timeout_error"), "provider_error", 30, "provider", True),
    (fault(408, "timeout_error"), "provider_error", 30, "provider", True),
    (httpx2.Response(307, headers={"location": "https://evil.example/"}), "provider_error", 30, "provider", True),
    (httpx2.ConnectError("refused", request=REQUEST), "provider_unreachable", 30, "provider", False),
    (httpx2.ConnectTimeout("slow", request=REQUEST), "provider_unreachable", 30, "provider", False),
    (httpx2.ReadTimeout("slow", request=REQUEST), "provider_timeout", 30, "provider", True),
    (httpx2.WriteTimeout("slow", request=REQUEST), "provider_timeout", 30, "provider", True),
    (httpx2.ReadError("reset", request=REQUEST), "provider_reset", 30, "provider", True),
    (httpx2.RemoteProtocolError("closed", request=REQUEST), "provider_reset", 30, "provider", True),
    (
        httpx2.Response(200, text="<html>captive portal</html>", headers={"content-type": "text/html"}),
        "unusable_answer",
        None,
        None,
        True,
    ),
    (httpx2.Response(200, json={"type": "message"}), "unusable_answer", None, None, True),
    (
        httpx2.Response(200, content=b"{", headers={"content-type": "application/json"}),
        "provider_error",
        30,
        "provider",
        True,
    ),
]


@pytest.mark.parametrize(
    ("says", "code", "seconds", "waits", "booked"), FAULTS, ids=[f"{n}-{f[1]}" for n, f in enumerate(FAULTS)]
)
def test_each_failure_has_its_code_and_its_next_step(
    says: httpx2.Response | Exception, code: str, seconds: int | None, waits: str | None, booked: object
) -> None:
    """I7: one request, no retry of the SDK's own; given back only if it certainly was not billed."""
    provider = Provider(says)
    said = provider.read(question())
    assert isinstance(said, NotAnswered)
    assert said.failure.code == code
    assert said.again_in == (None if seconds is None else timedelta(seconds=seconds))
    assert said.waiting_for == waits
    assert len(provider.requests) == 1
    spent, reserved = provider.spent
    assert reserved == 0
    assert (spent > 0) is booked
    assert said.cost == spent


@pytest.mark.parametrize(
    "code",
    sorted(
        {f[1] for f in FAULTS}
        | {
            "needs_person",
            "provider_fails_on_this",
            "refused_by_model",
            "answer_truncated",
            "unknown_price",
            "schema_unusable",
            "over_budget",
            "no_model",
            "no_recipe",
        }
    ),
)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_each_failure_has_words_and_a_mend(code: str, lang: str) -> None:
    """A person reads what happened, and what to do."""
    assert t(f"failure.{code}", lang) != f"failure.{code}"
    assert t(f"mend.{code}", lang) != f"mend.{code}"


def test_a_providers_words_are_never_quoted() -> None:
    """I11: an error may quote the prompt or the key; its type and request id are enough to find it."""
    said = Provider(fault(400, "invalid_request_error", f"bad key {KEY} in 'order it'")).read(question("order it"))
    assert isinstance(said, NotAnswered)
    assert said.failure.detail == "invalid_request_error, req_1"
