"""Statistics that fit on a page: shares with Wilson's interval, percentiles, McNemar's exact test. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Z: Final = 1.959963984540054  # 95 %, two-sided


@dataclass(frozen=True, slots=True)
class Share:
    """`yes` of `of`, and where the true share lies with 95 % confidence (Wilson's interval)."""

    yes: int
    of: int

    @property
    def rate(self) -> float | None:
        """None of nothing."""
        return self.yes / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """From 0 to 1 of nothing. Unlike the usual one it is right for 0 of 40, too."""
        if not self.of:
            return 0.0, 1.0
        share, n = self.yes / self.of, self.of
        middle = share + Z * Z / (2 * n)
        spread = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        low, high = (middle - spread) / scale, (middle + spread) / scale
        return (0.0 if self.yes == 0 else max(0.0, low)), (1.0 if self.yes == n else min(1.0, high))


def share_of(answers: Iterable[bool | None]) -> Share:
    """Of those that have an answer."""
    said = [answer for answer in answers if answer is not None]
    return Share(sum(said), len(said))


def percentile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that is at least as large as that part of all (nearest rank); None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Paired:
    """Two runs over the same tasks: how many only the first, and only the second, answered with yes."""

    only_first: int
    only_second: int

    @property
    def p(self) -> float:
        """McNemar's exact test, two-sided: how likely so uneven a split is if both are the same. 1 without any."""
        n = self.only_first + self.only_second
        tail = sum(math.comb(n, k) for k in range(min(self.only_first, self.only_second) + 1))
        return min(1.0, 2.0 * tail / 2.0**n)


def paired(pairs: Iterable[tuple[bool | None, bool | None]]) -> Paired:
    """Of tasks that have an answer in both."""
    said = [(first, second) for first, second in pairs if first is not None and second is not None]
    return Paired(sum(a and not b for a, b in said), sum(b and not a for a, b in said))
