"""The provider's prompt cache is written once: of calls that begin alike the first goes out alone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from common.analysis import warm
from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.warm import LASTS, Warm
from common.ports import Usage
from tests.unit.provider import WORKSPACE

CALL = Call(
    workspace=WORKSPACE, purpose="analysis", model="m", prompt_version="p.1", system="s", content="c", max_tokens=1
)
REPLY = Reply(text="", stop="end_turn", usage=Usage())


@dataclass
class Provider:
    """Takes its time, and remembers how many it answered at once."""

    says: Reply | Fault = REPLY
    seconds: float = 0.05
    at_once: list[int] = field(default_factory=list)
    _here: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, _: Call) -> Reply | Fault:
        """See Asker."""
        with self._lock:
            self._here += 1
            self.at_once.append(self._here)
        time.sleep(self.seconds)
        with self._lock:
            self._here -= 1
        return self.says


def ask(asker: Warm, *calls: Call) -> None:
    """All at once."""
    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(asker.ask, calls))


def test_the_first_goes_alone_and_the_others_together() -> None:
    """Only then is there something to read for them."""
    provider = Provider()
    ask(Warm(provider), *[CALL] * 5)
    assert provider.at_once[0] == 1
    assert sorted(provider.at_once[1:]) == [1, 2, 3, 4]


def test_other_models_and_prompts_have_entries_of_their_own() -> None:
    """They do not wait for each other."""
    provider = Provider()
    ask(Warm(provider), CALL, replace(CALL, model="n"), replace(CALL, prompt_version="p.2"))
    assert sorted(provider.at_once) == [1, 2, 3]


def test_an_entry_that_nobody_used_for_an_hour_is_written_anew() -> None:
    """Each use keeps it; it is counted on for less than it lives."""
    now = 0.0
    provider = Provider()
    asker = Warm(provider, lambda: now)
    asker.ask(CALL)
    now = LASTS - 1
    asker.ask(CALL)
    now = 2 * LASTS - 2
    ask(asker, *[CALL] * 3)
    assert max(provider.at_once) == 3
    now = 4 * LASTS
    provider.at_once.clear()
    ask(asker, *[CALL] * 3)
    assert provider.at_once[0] == 1
    assert sorted(provider.at_once[1:]) == [1, 2]


def test_a_failure_writes_nothing() -> None:
    """The next is the first."""
    provider = Provider(Fault(code="provider_overloaded", billed=Billed.NO))
    ask(Warm(provider), *[CALL] * 3)
    assert provider.at_once == [1, 1, 1]


def test_nobody_waits_long_for_a_slow_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that hangs holds up one call, not all that come after."""
    monkeypatch.setattr(warm, "PATIENCE", 0.05)
    provider = Provider(seconds=0.3)
    began = time.monotonic()
    ask(Warm(provider), *[CALL] * 3)
    assert time.monotonic() - began < 0.8
    assert max(provider.at_once) > 1
