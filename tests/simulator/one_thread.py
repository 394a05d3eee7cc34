"""What processes have, in one thread: a clock that is moved by hand, an executor that waits for nobody, a death."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")
START: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Crash(BaseException):
    """A process dies here: nothing catches it, nothing is tidied up."""


class Numbered(Future[T]):
    """A future that sets keep in the order of submission: a history is the same each time."""

    def __init__(self, number: int) -> None:
        """`number`: which one it is."""
        super().__init__()
        self._number = number

    def __hash__(self) -> int:
        """Its number."""
        return self._number

    def __eq__(self, other: object) -> bool:
        """Itself only."""
        return self is other


class Inline(Executor):
    """Runs what is submitted at once; a crash goes through it as it goes through a process."""

    def __init__(self) -> None:
        """Nothing submitted yet."""
        self._submitted = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # noqa: ANN401 - Executor's own
        """See Executor."""
        self._submitted += 1
        future: Numbered[T] = Numbered(self._submitted)
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(slots=True)
class Time:
    """One clock for the store and for every process (`ports.Clock`)."""

    random: Random
    seconds: float = 0.0
    _shown: float = 0.0  # asked far more often than moved
    _now: datetime = START

    def now(self) -> datetime:
        """PostgreSQL's."""
        if self._shown != self.seconds:
            self._shown, self._now = self.seconds, START + timedelta(seconds=self.seconds)
        return self._now

    def monotonic(self) -> float:
        """See Clock."""
        return self.seconds

    def unix_ms(self) -> int:
        """See Clock."""
        return int(self.now().timestamp() * 1000)

    def draw(self) -> float:
        """See Clock."""
        return self.random.random()

    def entropy(self, size: int) -> bytes:
        """See Clock."""
        return self.random.randbytes(size)


class Silence:
    """Wakes are always lost (`ports.Notifier`): only moves make anybody look."""

    def publish(self, kinds: Sequence[str]) -> None:
        """See Notifier."""
