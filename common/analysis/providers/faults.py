"""What a provider's refusal or silence means, whoever it is: code, next step, whether it may be billed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal

from common.analysis.call import Billed, Fault

SOON: Final = timedelta(seconds=30)
LONGEST_RETRY_AFTER: Final = timedelta(minutes=15)  # the header has no cap of its own
MENDED_SOON: Final = timedelta(minutes=10)  # a key or a model's name: an admin mends it, the tasks go on by themselves
SPEND_LIMIT: Final = timedelta(hours=1)

CLIENT_ERROR: Final = 400
PAYMENT_REQUIRED: Final = 402
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500
OVERLOADED: Final = 529
OVERLOADS: Final = frozenset({503, OVERLOADED})
MENDED_BY_ADMIN: Final = {401: "bad_key", 403: "key_not_permitted", 404: "unknown_model"}
# 4xx is refused unread; these two may be said after the model has worked.
LATE_REFUSALS: Final = frozenset({408, 499})
NAME_MAX: Final = 100


def refused(
    status: int,
    headers: Mapping[str, str],
    *,
    named: Iterable[str | None],
    no_credit: bool = False,
    request_id: str | None = None,
) -> Fault:
    """A status code. What is wrong with the installation waits by name; what is wrong with this task is a person's.

    Args:
        status: of the response.
        headers: of the response; keys in any case that its mapping understands.
        named: the error's type and code, as far as the provider gave them: names, never its words (I11).
        no_credit: the provider said that its own spend limit or credit is used up.
        request_id: the provider's own.
    """
    code, again_in = _meaning(status, headers, no_credit=no_credit)
    unread = CLIENT_ERROR <= status < SERVER_ERROR and status not in LATE_REFUSALS
    waiting_for: Literal["provider", "budget"] = "budget" if code == "spend_limit" else "provider"
    return Fault(
        code=code,
        billed=Billed.NO if unread or status == OVERLOADED else Billed.MAYBE,
        again_in=again_in,
        waiting_for=None if again_in is None else waiting_for,
        status=status,
        detail=", ".join(part[:NAME_MAX] for part in (*named, request_id) if part) or None,
        request_id=None if request_id is None else request_id[:NAME_MAX],
    )


def _meaning(status: int, headers: Mapping[str, str], *, no_credit: bool) -> tuple[str, timedelta | None]:
    """The fault's code, and when asking again may help."""
    if no_credit or status == PAYMENT_REQUIRED:
        return "spend_limit", SPEND_LIMIT
    if status == TOO_MANY:
        return "rate_limited", retry_after(headers)
    if status in OVERLOADS:
        return "provider_overloaded", retry_after(headers)
    if status in MENDED_BY_ADMIN:
        return MENDED_BY_ADMIN[status], MENDED_SOON
    if CLIENT_ERROR <= status < SERVER_ERROR and status not in LATE_REFUSALS:
        return "request_refused", None
    return "provider_error", SOON


def retry_after(headers: Mapping[str, str]) -> timedelta:
    """How long the provider asks to be left alone: between a second and a quarter of an hour."""
    try:
        wanted = timedelta(seconds=float(headers.get("retry-after", "")))
    except (ValueError, OverflowError):
        return SOON
    return min(max(wanted, timedelta(seconds=1)), LONGEST_RETRY_AFTER)


def unreached(cause: BaseException | None) -> Fault:
    """No answer. Before the connection stood nothing was sent, and nothing is billed."""
    import httpx2  # noqa: PLC0415 - 0.2 s that only a paid call needs

    unsent = (
        httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol, httpx2.ProxyError,
    )  # fmt: skip
    if isinstance(cause, unsent):
        code, billed = "provider_unreachable", Billed.NO
    else:
        code = "provider_timeout" if isinstance(cause, httpx2.TimeoutException) else "provider_reset"
        billed = Billed.MAYBE
    return Fault(code=code, billed=billed, again_in=SOON, waiting_for="provider", detail=type(cause).__name__)


def unforeseen(exc: BaseException) -> Fault:
    """Whatever it was, the request may have gone out."""
    return Fault(
        code="provider_error",
        billed=Billed.MAYBE,
        again_in=SOON,
        waiting_for="provider",
        detail=type(exc).__name__,
    )


def unusable(why: str, request_id: str | None = None) -> Fault:
    """An answer that is none, of which nobody can tell what it cost."""
    return Fault(code="unusable_answer", billed=Billed.MAYBE, detail=why, request_id=request_id)
