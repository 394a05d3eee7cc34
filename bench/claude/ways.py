"""The ways to have the thousand tasks read: the naive ones, each lever alone, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SMALL: Final = "claude-haiku-5-5"
STRONG: Final = "claude-sonnet-5-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a way has to reach."""

    usd: float
    calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Which levers are on. `prompt_cache` is the provider's: off, it keeps nothing and bills every prompt in full."""

    name: str
    model: str = STRONG
    cascade: bool = False
    cache: bool = False
    packs: bool = False
    prompt_cache: bool = False
    economy: bool = False
    goal: Goal | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        """As the product is told."""
        return {
            "AIW_MODEL": self.model,
            "AIW_STRONG_MODEL": STRONG if self.cascade else "",
            "AIW_PACK_TASKS": "10" if self.packs else "1",
            "AIW_CACHE": "true" if self.cache else "false",
            # Texts for a batch wait 150 times as long for company: five minutes, which nobody has here.
            "AIW_PACK_LINGER": "0.02" if self.economy else "2",
        }


WAYS: Final = (
    Way(name="naive: the strong model for each"),
    Way(name="naive: the small model for each", model=SMALL),
    Way(name="answers remembered", cache=True),
    Way(name="packs of ten", packs=True),
    Way(name="small model first", model=SMALL, cascade=True),
    Way(name="the provider's prompt cache", prompt_cache=True),
    Way(name="the provider's batches", economy=True),
    Way(
        name="all together, in real time",
        model=SMALL, cascade=True, cache=True, packs=True, prompt_cache=True,
        goal=Goal(usd=0.45, calls=130),
    ),
    Way(
        name="all together, economy",
        model=SMALL, cascade=True, cache=True, packs=True, prompt_cache=True, economy=True,
        goal=Goal(usd=0.25),
    ),
)  # fmt: skip
