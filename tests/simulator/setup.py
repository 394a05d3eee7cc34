"""What an installation of a history is like: which levers are on. Made from the seed; small enough to print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from common.config import Settings

SMALL: Final = "small"
STRONG: Final = "strong"
RATES: Final = {SMALL: (1_000, 5_000), STRONG: (3_000, 15_000)}  # nanodollars a token, in and out
PRICES: Final = "small=1/5, strong=3/15"  # the same, as a person writes it
CAPS: Final = ("0.08", "0.2", "0.6", "0.6")  # dollars: one call's worst case is 0.04, a strong one's 0.12
MONTH_ENDS: Final = 16.4 * 86_400  # seconds from the clock's beginning: a few hours before the month turns


@dataclass(frozen=True, slots=True)
class Setup:
    """One installation."""

    cache: bool = False
    strong: bool = False  # whether there is a model to read again
    batches: bool = False
    pack_tasks: int = 1
    linger: float = 0.0
    pack_checks: float = 0.0
    cache_checks: float = 0.0
    cap: str = CAPS[-1]
    begins: float = 0.0  # seconds

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, seed: int) -> Setup:
        """A seed's; its history asks for it, and its world."""
        random = Random(seed ^ 0x5EED)
        if random.random() < 0.5:
            return cls(pack_tasks=random.choice((1, 2)), cap=random.choice(CAPS))
        return cls(
            cache=random.random() < 0.8,
            strong=random.random() < 0.5,
            batches=random.random() < 0.6,
            pack_tasks=random.choice((1, 2, 3)),
            linger=random.choice((0.0, 0.0, 1.0)),
            pack_checks=random.choice((0.0, 0.0, 0.6)),
            cache_checks=random.choice((0.0, 0.0, 0.5)),
            cap=random.choice(CAPS),
            begins=MONTH_ENDS if random.random() < 0.2 else 0.0,
        )


@lru_cache(maxsize=512)
def settings_of(setup: Setup) -> Settings:
    """The same as settings, whatever the environment says."""
    return Settings.model_construct(
        model=SMALL,
        strong_model=STRONG if setup.strong else "",
        model_prices=PRICES,
        pack_tasks=setup.pack_tasks,
        pack_linger=setup.linger,
        pack_checks=setup.pack_checks,
        cache=setup.cache,
        cache_checks=setup.cache_checks,
    )
