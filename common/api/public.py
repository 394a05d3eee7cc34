"""What all public models have in common."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from common.core.spending import NANO


class Public(BaseModel):
    """Base of the public models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def usd(nanodollars: int) -> str:
    """Money as the API writes it: a decimal string of dollars with six places, never an exponent."""
    return f"{Decimal(nanodollars) / NANO:.6f}"
