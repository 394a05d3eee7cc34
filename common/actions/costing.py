"""What executing a plan may cost at most: what its steps ask a model to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from common.actions.contract import Action, Writing
from common.actions.reading import Actions, Reader
from common.core.task import Step, Task

Quote = Callable[[Sequence[Writing]], int | None]  # the most that writing these may cost, retries included; nanodollars


class Costing:
    """The cost caps of plans."""

    def __init__(self, actions: Actions, reader: Reader, quote: Quote | None) -> None:
        """`quote`: what writing costs at most; None: nobody here would pay for it."""
        self._writing = frozenset(name for name, action in actions.items() if _writes(action))
        self._reader = reader
        self._quote = quote

    def cap(self, steps: Sequence[Step], task: Task | None, *, anew: bool) -> int | None:
        """See Catalogue.cost_cap."""
        earlier = task.plan if task is not None and task.trail else None
        done = task.done if task is not None else {}
        spent = (earlier.cost_cap or 0) if earlier is not None else 0
        writing = [s for s in steps if s.action in self._writing]
        new = [s for s in writing if s.id not in done and (anew or earlier is None or s not in earlier.steps)]
        writings = [found for step in new if (found := self._written(step)) is not None]
        worst = self._quote(writings) if self._quote is not None and writings else None
        return spent + (worst or 0) or None

    def _written(self, step: Step) -> Writing | None:
        read = self._reader.known(step)
        return None if read is None else read.action.writes(read.args)


def _writes(action: Action[Any]) -> bool:
    """Whether it may ask a model for something at all."""
    return type(action).writes is not Action.writes
