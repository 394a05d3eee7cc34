"""Money as people read it, the same on a page and in a terminal."""

from __future__ import annotations

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
