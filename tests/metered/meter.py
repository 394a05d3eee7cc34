"""The provider's own bill: tokens of the real prompts, the prompt cache's rules, the price table's rates. No clock.

The arithmetic is its own (rates times counts), so that the product's ledger is compared with something else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Final

import genai_prices
from genai_prices.types import TieredPrices

from tests.metered.asked import Asked
from tests.metered.tokens import tokens

CACHEABLE: Final = 512  # a shorter prefix is never kept
TTL: Final = {"5m": 300.0, "1h": 3600.0}
FRAME: Final = 20  # roles and turns around a message
# A schema becomes part of the prompt. Whether those tokens are read from the cache is not documented: billed in full.
SCHEMA_FRAME: Final = 50
THINKING: Final = 500  # what a model thinks before a short answer, unless it is told not to
NANO: Final = 10**9
MILLION: Final = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Tokens of one message by kind; `input` excludes those read from or written to the cache."""

    input: int = 0
    output: int = 0
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    def wire(self, *, batch: bool) -> dict[str, object]:
        """As the API's `usage`."""
        return {
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cache_read_input_tokens": self.read,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
            "service_tier": "batch" if batch else "standard",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message on the bill."""

    request_id: str
    model: str
    used: Used
    batch: bool
    nanodollars: int


@dataclass(slots=True)
class Prompt:
    """A prompt as counted when it came in; what it writes is there for others once it was answered."""

    used: Used
    writes: dict[str, float]  # key: for how long, seconds


@dataclass(slots=True)
class Meter:
    """Counts, and keeps the bill. The caller holds a lock."""

    now: Callable[[], float]
    keeps: bool = True  # whether there is a prompt cache at all
    batch_hits: float = 0.5  # share of a batch's requests that find the cache: "best effort", 30 to 98 % as documented
    rows: list[Row] = field(default_factory=list)
    _kept: dict[str, tuple[float, float]] = field(default_factory=dict)  # key: until, ttl
    _owed: float = 0.0

    @property
    def nanodollars(self) -> int:
        """The whole bill."""
        return sum(row.nanodollars for row in self.rows)

    def prompt(self, asked: Asked, *, batch: bool = False) -> Prompt:
        """Count what came in, by what the cache holds now."""
        schema = json.dumps(asked.schema, ensure_ascii=False, sort_keys=True) if asked.schema else ""
        plain = FRAME + tokens(asked.content) + (tokens(schema) + SCHEMA_FRAME if schema else 0)
        sizes = [tokens(block.text) for block in asked.system]
        found = self._longest(asked, schema, sizes) if self._looks(batch=batch) else 0
        used = {"read": sum(sizes[:found]), "written_5m": 0, "written_1h": 0}
        writes: dict[str, float] = {}
        start = found
        for end, block in enumerate(asked.system, 1):
            if not self.keeps or block.cache_control is None or end <= start or sum(sizes[:end]) < CACHEABLE:
                continue
            ttl = block.cache_control.ttl
            used[f"written_{ttl}"] += sum(sizes[start:end])
            writes[_key(asked, schema, end)] = TTL[ttl]
            start = end
        return Prompt(Used(input=plain + sum(sizes[start:]), **used), writes)

    def _looks(self, *, batch: bool) -> bool:
        if not batch:
            return True
        self._owed += self.batch_hits
        if self._owed < 1:
            return False
        self._owed -= 1
        return True

    def _longest(self, asked: Asked, schema: str, sizes: list[int]) -> int:
        """How many blocks in front are in the cache; using them keeps them for longer."""
        for end in range(len(sizes), 0, -1):
            key = _key(asked, schema, end)
            until, ttl = self._kept.get(key, (0.0, 0.0))
            if asked.system[end - 1].cache_control is not None and until > self.now():
                self._kept[key] = (self.now() + ttl, ttl)
                return end
        return 0

    def book(self, request_id: str, asked: Asked, prompt: Prompt, output: int, *, batch: bool = False) -> Row:
        """The message was answered: it is on the bill, and what it wrote is in the cache."""
        for key, ttl in prompt.writes.items():
            self._kept[key] = (self.now() + ttl, ttl)
        came = prompt.used
        used = Used(
            input=came.input, output=output, read=came.read, written_5m=came.written_5m, written_1h=came.written_1h
        )
        row = Row(
            request_id=request_id,
            model=asked.model,
            used=used,
            batch=batch,
            nanodollars=price(asked.model, used, batch),
        )
        self.rows.append(row)
        return row


def price(model: str, used: Used, batch: bool) -> int:  # noqa: FBT001 - a message is of a batch or not
    """Nanodollars, a begun one in full."""
    whole = used.input + used.read + used.written_5m + used.written_1h
    rate = _rates(model, batch, whole)
    exact = (
        used.input * rate["input"]
        + used.output * rate["output"]
        + used.read * rate["cache_read"]
        + used.written_5m * rate["cache_write"]
        + used.written_1h * rate["cache_write_1h"]
    )
    return math.ceil(exact * NANO / MILLION)


def _rates(model: str, batch: bool, whole: int) -> dict[str, Decimal]:  # noqa: FBT001 - as above
    """Dollars a million tokens by kind; a prompt past a tier's start pays that tier for all of it."""
    return {
        kind: next((tier.price for tier in reversed(rate.tiers) if whole > tier.start), rate.base)
        if isinstance(rate, TieredPrices)
        else rate
        for kind, rate in _table(model, batch).items()
    }


@lru_cache
def _table(model: str, batch: bool) -> dict[str, Decimal | TieredPrices]:  # noqa: FBT001 - as above
    found = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=1),
        model,
        provider_id="anthropic",
        price_context={"processing": "batch"} if batch else None,
    ).model_price
    kinds = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    return {kind: getattr(found, f"{kind}_mtok") for kind in kinds}


def _key(asked: Asked, schema: str, blocks: int) -> str:
    """Of a prefix: another model or another schema starts another cache."""
    parts = [asked.model, schema, *(block.text for block in asked.system[:blocks])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
