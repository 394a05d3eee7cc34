"""Sign-in codes and sessions: a code is redeemed once, by a POST, for a session of 30 days."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from common.auth import code_hash, new_secret, sha256_of
from common.core.errors import TooMany
from common.ports import Clock, People, Principal

SESSION_LASTS: Final = timedelta(days=30)

WINDOW_SECONDS: Final = 60.0
TRIES_EACH: Final = 10  # of one address in a window
TRIES_ALL: Final = 60  # of everybody: an address can be forged, the sum cannot
ADDRESSES_KEPT: Final = 10_000


@dataclass
class SignInLimits:
    """How often sign-in may be tried, by address and by everybody together. Of one process."""

    clock: Clock
    _each: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _all: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, address: str) -> None:
        """Count a try. TooMany if there were too many; those are not counted."""
        now = self.clock.monotonic()
        with self._lock:
            tries = self._each.setdefault(address, deque())
            self._each.move_to_end(address)
            while len(self._each) > ADDRESSES_KEPT:
                self._each.popitem(last=False)
            for kept, most in ((tries, TRIES_EACH), (self._all, TRIES_ALL)):
                while kept and kept[0] <= now - WINDOW_SECONDS:
                    kept.popleft()
                if len(kept) >= most:
                    raise TooMany(max(1, round(kept[0] + WINDOW_SECONDS - now)), "wait a little, then try again")
            tries.append(now)
            self._all.append(now)

    def forgive(self, address: str) -> None:
        """A try that got in was no guess: a whole office behind one address may sign in."""
        with self._lock:
            for kept in (self._each.get(address), self._all):
                if kept:
                    kept.pop()


def redeem(people: People, code: str) -> tuple[Principal, str] | None:
    """Turn a code into a session: who, and the session's secret. None if it is wrong, used or too old."""
    secret = new_secret()
    who = people.redeem(code_hash(code), sha256_of(secret), SESSION_LASTS)
    return (who, secret) if who else None
