"""What all public models have in common."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict


class Public(BaseModel):
    """Base of the public models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def usd(nanodollars: int) -> str:
    """Money as the API writes it: a decimal string of dollars, six places at least where needed, never an exponent."""
    value = Decimal(nanodollars) / 1_000_000_000
    return f"{value:.6f}"
