"""What is left of the provider's rate limits, as its answers say: with nothing left, a call waits instead of failing.

By process: each hears its own answers, and all of them hear the same limits.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from common import telemetry
from common.analysis.call import Billed, Fault
from common.analysis.providers.faults import LONGEST_RETRY_AFTER, SOON

# Labels of a metric: a fixed set, whatever a server sends.
LIMITS: Final = ("requests", "tokens", "input-tokens", "output-tokens")
_COUNT: Final = re.compile(r"\d{1,15}")
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)")
_UNITS: Final = {
    "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": timedelta(milliseconds=1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one limit, and in how long all of it is there again."""

    limit: str
    remaining: int
    resets_in: timedelta


class Pace:
    """Hears what is left and holds calls back. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only go forward."""
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def heard(self, said: Iterable[Left]) -> None:
        """Note what an answer said of the limits."""
        now = self._clock()
        with self._lock:
            for left in said:
                telemetry.metrics().provider_remaining(left.limit, left.remaining)
                if left.remaining > 0:
                    self._until.pop(left.limit, None)
                else:
                    self._until[left.limit] = now + min(left.resets_in, LONGEST_RETRY_AFTER).total_seconds()

    def hold(self) -> Fault | None:
        """The Fault of a call that would only be refused now; None: it may go out."""
        now = self._clock()
        with self._lock:
            limit, until = max(self._until.items(), key=lambda item: item[1], default=("", now))
        if until <= now:
            return None
        telemetry.metrics().provider_held()
        return Fault(
            code="rate_limited",
            billed=Billed.NO,
            again_in=timedelta(seconds=max(until - now, 1)),
            waiting_for="provider",
            detail=limit,
        )


def anthropic_left(headers: Mapping[str, str]) -> list[Left]:
    """`anthropic-ratelimit-LIMIT-remaining` and `-reset`, a time, which is measured from the answer's own `date`."""
    found = []
    for limit in LIMITS:
        remaining = _count(headers.get(f"anthropic-ratelimit-{limit}-remaining"))
        if remaining is not None:
            resets_at = headers.get(f"anthropic-ratelimit-{limit}-reset", "")
            found.append(Left(limit, remaining, _between(headers.get("date", ""), resets_at)))
    return found


def openai_left(headers: Mapping[str, str]) -> list[Left]:
    """`x-ratelimit-remaining-LIMIT` and `x-ratelimit-reset-LIMIT`, a span such as `6m0s` or `20ms`."""
    found = []
    for limit in LIMITS:
        remaining = _count(headers.get(f"x-ratelimit-remaining-{limit}"))
        if remaining is not None:
            found.append(Left(limit, remaining, _span(headers.get(f"x-ratelimit-reset-{limit}", ""))))
    return found


def _count(said: str | None) -> int | None:
    return int(said) if said is not None and _COUNT.fullmatch(said) else None


def _between(date: str, resets_at: str) -> timedelta:
    """By the provider's clock alone: ours may be wrong."""
    try:
        return datetime.fromisoformat(resets_at) - parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return SOON


def _span(said: str) -> timedelta:
    pieces = _SPAN.findall(said)
    if not pieces or "".join(number + unit for number, unit in pieces) != said:
        return SOON
    return sum((float(number) * _UNITS[unit] for number, unit in pieces), timedelta(0))
