"""The provider's prompt cache, written once: of calls that begin alike the first goes out alone.

An entry is there only once the call that wrote it was answered. Eight calls at once would all write it, and writing
costs twenty times as much as reading: for the strong model more than a pack's whole answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Final

from common.analysis.call import Asker, Call, Fault, Reply

LASTS: Final = 50 * 60.0  # seconds that an entry is counted on: it lives for an hour after its last use
PATIENCE: Final = 30.0  # seconds that others wait for the first; a provider that is slow is slow for all, at once


@dataclass(slots=True)
class _Entry:
    """What is known of one beginning."""

    writing: threading.Lock = field(default_factory=threading.Lock)
    used_at: float = -inf


class Warm:
    """An Asker around another, outside of the paid door. Thread-safe; by process."""

    def __init__(self, inner: Asker, clock: Callable[[], float] = monotonic) -> None:
        """`clock`: seconds that only go forward."""
        self._inner = inner
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], _Entry] = {}  # a model and a prompt each: a handful

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker. It waits while the first of its kind is under way, and not for long.

        What a step has written begins with a few words, which no provider keeps.
        """
        if call.purpose == "generate":
            return self._inner.ask(call)
        with self._lock:
            entry = self._entries.setdefault((call.model, call.prompt_version), _Entry())
        if not self._is_warm(entry):
            alone = entry.writing.acquire(timeout=PATIENCE)
            try:
                if alone and not self._is_warm(entry):
                    return self._through(call, entry)
            finally:
                if alone:
                    entry.writing.release()
        return self._through(call, entry)

    def _is_warm(self, entry: _Entry) -> bool:
        return self._clock() - entry.used_at < LASTS

    def _through(self, call: Call, entry: _Entry) -> Reply | Fault:
        said = self._inner.ask(call)
        if isinstance(said, Reply):
            entry.used_at = self._clock()
        return said
