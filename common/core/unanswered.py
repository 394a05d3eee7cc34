"""Whether a provider fails on one text, or on all: from what became of the calls about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tried:
    """A call about a task that is over: answered, or perhaps billed without an answer."""

    answered: bool
    alone: bool  # about no other task
    others: bool  # since the one before a call of the same model was answered, whatever it was about


@dataclass(frozen=True, slots=True)
class Unanswered:
    """How often in a row there was no answer, though there was one for others."""

    calls: int = 0  # with or without other tasks, since one of them was answered
    alone: int = 0  # by itself, since one by itself was answered


def in_a_row(tries: Iterable[Tried]) -> Unanswered:
    """Count them, oldest first.

    While nobody is answered the provider is down: all failures of such a time count as one, the one it began with.
    """
    calls = alone = 0
    for tried in tries:
        if tried.answered:
            calls, alone = 0, 0 if tried.alone else alone
        else:
            calls += calls == 0 or tried.others
            alone += tried.alone and (alone == 0 or tried.others)
    return Unanswered(calls, alone)
