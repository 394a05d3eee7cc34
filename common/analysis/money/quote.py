"""What a plan can cost at most, before anybody says yes to it, and what the smallest call costs at most."""

from __future__ import annotations

from collections.abc import Sequence

from common.actions.contract import Writing
from common.analysis.money.prices import Prices, UnknownPriceError, size_of
from common.analysis.prompts import GENERATE, prompt
from common.config import Settings
from common.ports import Usage

SMALLEST_ANSWER = 1000  # tokens of an answer about one task
SMALLEST_PROMPT = 16_000  # bytes of a system text with the catalogue, and of one task
MILLION = 1_000_000


class Quote:
    """Prices what plans write with the installation's model."""

    def __init__(self, prices: Prices, model: str, attempts: int) -> None:
        """`attempts`: how often a plan's steps may fail, all together, before a person has to look."""
        self._prices = prices
        self._model = model
        self._attempts = attempts

    @classmethod
    def of(cls, settings: Settings) -> Quote:
        """Of an installation. WrongSettingError."""
        return cls(Prices.of(settings), settings.model, settings.attempts)

    def __call__(self, writings: Sequence[Writing]) -> int | None:
        """The most that these may cost, in nanodollars; None: nothing, whatever happens.

        Each once, and as often as a plan's steps may fail without going to a person once more the dearest. Without a
        price nothing is ever asked (the door refuses it), so there is nothing to quote.
        """
        if not writings or not self._costs_money():
            return None
        worst = [self._worst(writing) for writing in writings]
        return sum(worst) + (self._attempts - 1) * max(worst)

    def one_call(self) -> int:
        """The worst case of the smallest analysis: where less is left of a budget, none can be made any more."""
        if not self._costs_money():
            return 0
        return self._prices.worst_of(self._model, SMALLEST_PROMPT, SMALLEST_ANSWER)

    def _worst(self, writing: Writing) -> int:
        size = size_of(prompt(GENERATE).text) + writing.prompt_bytes + writing.schema_bytes
        return self._prices.worst_of(self._model, size, writing.max_tokens)

    def _costs_money(self) -> bool:
        try:
            return self._prices.cost(self._model, Usage(input=MILLION, output=MILLION)) > 0
        except UnknownPriceError:
            return False
