"""Money as people read it, the same on a page and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

CENT: Final = Decimal("0.01")


def dollars(usd: str) -> str:
    """A decimal string of dollars to the cent; below one cent to the first two digits that say something."""
    amount = Decimal(usd)
    sign, amount = ("-" if amount < 0 else ""), abs(amount)
    if amount == 0 or amount >= CENT:
        return f"{sign}${amount:,.2f}"
    return f"{sign}${amount:.{1 - amount.adjusted()}f}"


def longest_first(amounts: Sequence[str]) -> list[tuple[int, float]]:
    """Bars of amounts, the greatest first: which one, and how long, from -1 to 1 of the longest."""
    values = [Decimal(usd) for usd in amounts]
    longest = max(map(abs, values), default=Decimal(0)) or Decimal(1)
    order = sorted(range(len(values)), key=lambda index: -values[index])
    return [(index, float(values[index] / longest)) for index in order]
