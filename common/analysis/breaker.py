"""A provider that is down is left alone: after some failures in a row one call in a while tries, ever more seldom.

A call without an answer may be billed, so it is booked in full (I7). Texts that wait would try twice a minute each: an
hour without a provider would use up the month's money, for nothing, and leave half a million events.

Of failures that all were about one text nobody knows whether it is the provider or the text: then only what is about it
is held back, and the next call about others tells.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.analysis.call import Asker, Billed, Call, Fault, Reply
from common.analysis.providers.faults import LONGEST_RETRY_AFTER, SOON
from common.telemetry import metrics, note

IN_A_ROW: Final = 3  # failures, and no answer between them: then it is not one call's misfortune
DOUBLED: Final = 10  # times at most: far beyond the longest pause
# Texts wait as long as the pause that they met: once the provider is there again, so long they still do not know.
LONGEST: Final = timedelta(minutes=5)
# What a provider says, or does not say, that is no matter of this call.
DOWN: Final = frozenset(
    {"provider_error", "provider_timeout", "provider_reset", "provider_unreachable", "provider_overloaded"}
)


class Breaker:
    """An Asker around another, outside of the paid door: what it holds back costs nothing. Thread-safe; by process."""

    def __init__(self, inner: Asker, now: Callable[[], datetime]) -> None:
        """`now`: aware."""
        self._inner = inner
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0  # in a row
        self._about: frozenset[UUID] = frozenset()  # what each of them was about; empty: they have nothing in common
        self._down: Fault | None = None  # what the last of them said; None: calls go out
        self._until: datetime | None = None
        self._trying = False  # one call is under way to see whether it is there again

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker. While the provider is down: its last fault, unbilled, until one call has found it there again."""
        held, tries = self._admitted(call)
        if held is not None:
            metrics().provider_held()
            return held
        said: Reply | Fault | None = None
        try:
            said = self._inner.ask(call)
            return said
        finally:
            self._heard(call, said, tries=tries)

    def _admitted(self, call: Call) -> tuple[Fault | None, bool]:
        """The fault of a call that is held back, or None; and whether the call is the one that tries."""
        with self._lock:
            if self._down is None or self._until is None or (self._about and self._about.isdisjoint(_about(call))):
                return None, False
            left = self._until - self._now()
            # A clock that was set back must not make the pause longer than it can be.
            if not self._trying and not timedelta(0) < left <= LONGEST_RETRY_AFTER:
                self._trying = True
                return None, True
            return replace(self._down, billed=Billed.NO, again_in=max(left, SOON), request_id=None, cost=0), False

    def _heard(self, call: Call, said: Reply | Fault | None, *, tries: bool) -> None:
        """`said` None: nobody knows, since it was not the provider that failed."""
        with self._lock:
            if tries:
                self._trying = False
            if isinstance(said, Fault) and said.code in DOWN:
                # Those that went out before the others failed say nothing new, unless they are about something else.
                common = self._about & _about(call) if self._failures else _about(call)
                if tries or self._down is None or common != self._about:
                    self._about = common
                    self._failed(said)
            elif isinstance(said, Reply) or (said is not None and said.status is not None):
                if self._down is not None:
                    note("provider_answers", failures=self._failures)
                self._failures, self._about, self._down, self._until = 0, frozenset(), None, None

    def _failed(self, fault: Fault) -> None:
        self._failures += 1
        if self._failures < IN_A_ROW:
            return
        pause = min(SOON * 2 ** min(self._failures - IN_A_ROW, DOUBLED), LONGEST)
        pause = min(max(pause, fault.again_in or SOON), LONGEST_RETRY_AFTER)  # unless the provider itself says longer
        self._down, self._until = fault, self._now() + pause
        event, seconds = "provider_fails_on_one" if self._about else "provider_down", int(pause.total_seconds())
        note(event, logging.WARNING, code=fault.code, failures=self._failures, again_in=seconds)


def _about(call: Call) -> frozenset[UUID]:
    """Its tasks; a preview has no row, and those of a workspace may all be of one text."""
    return frozenset(call.task_ids or (call.workspace,))
