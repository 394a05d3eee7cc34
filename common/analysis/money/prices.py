"""What tokens cost, offline. Integer nanodollars, rounded up: the ledger never says less than the bill."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from common.analysis.call import Call
from common.analysis.providers.registry import provider_kind
from common.config import Settings, WrongSettingError
from common.core.spending import NANO
from common.ports import Usage

NANO_A_TOKEN: Final = 1000  # a dollar for a million tokens is a thousand nanodollars for one
# What a provider adds to a prompt by itself: the frame of messages, and how to keep to a schema (a few hundred tokens).
FRAME_TOKENS: Final = 2000
BATCH: Final = {"processing": "batch"}  # half of everything; the table has to be told
OWN_PRICES: Final = "AIW_MODEL_PRICES"
_OWN: Final = re.compile(r"(?P<model>[^\s=,]+)\s*=\s*(?P<input>\d+(?:\.\d+)?)\s*/\s*(?P<output>\d+(?:\.\d+)?)")


class UnknownPriceError(Exception):
    """Nobody knows what the model costs: a call of it is refused."""


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """What a person says that a model costs: dollars per million tokens."""

    input: Decimal
    output: Decimal

    def cost(self, usage: Usage, provider: str, *, batch: bool) -> int:
        """Nanodollars. Of Anthropic's prompt cache the dearest that is known: written for an hour 2, read 0.1."""
        written, read = (Decimal(2), Decimal("0.1")) if provider == "anthropic" else (Decimal(1), Decimal(1))
        tokens_in = usage.input + usage.cache_write * written + usage.cache_read * read
        whole = (tokens_in * self.input + usage.output * self.output) * NANO_A_TOKEN
        return math.ceil(whole / 2 if batch else whole)


def own_prices(text: str) -> dict[str, OwnPrice]:
    """`m=0.1/0.4, local=0/0`: dollars per million tokens in and out, by model. WrongSettingError."""
    found: dict[str, OwnPrice] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _OWN.fullmatch(part)
        if match is None:
            said = f"{part[:60]!r}: write model=in/out, dollars per million tokens, e.g. local=0/0"
            raise WrongSettingError(OWN_PRICES, said)
        found[match["model"]] = OwnPrice(Decimal(match["input"]), Decimal(match["output"]))
    return found


@dataclass(frozen=True, slots=True)
class Prices:
    """The price table of one provider, and the prices that a person gave; those win."""

    provider: str = "anthropic"  # as the table calls it
    own: Mapping[str, OwnPrice] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Prices:
        """Of an installation. WrongSettingError."""
        return cls(settings.provider, own_prices(settings.model_prices))

    def cost(self, model: str, usage: Usage, *, batch: bool = False) -> int:
        """What a call cost. UnknownPriceError.

        The table counts cache tokens as part of the input, the API's usage beside it. Whatever was written to the
        cache is priced for one hour: that is the only kind asked for, and the dearer one.
        """
        own = self.own.get(model)
        if own is not None:
            return own.cost(usage, self.provider, batch=batch)
        import genai_prices  # noqa: PLC0415 - 40 ms that only a paid call needs

        counted = genai_prices.Usage(
            input_tokens=usage.input + usage.cache_read + usage.cache_write,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            cache_write_1h_tokens=usage.cache_write,
            output_tokens=usage.output,
        )
        context = BATCH if batch else None
        try:
            price = genai_prices.calc_price(counted, model, provider_id=self.provider, price_context=context)
        except LookupError as exc:
            raise UnknownPriceError(model) from exc
        return math.ceil(price.total_price * NANO)

    def worst_case(self, call: Call, *, batch: bool = False) -> int:
        """An upper bound of what a call can cost. At least 1: what is on record is never nothing. UnknownPriceError.

        A token is at least one byte of UTF-8, so bytes bound tokens; all of the prompt is taken for the dearest kind
        (written to the one-hour cache), and the answer for as long as it may get.
        """
        texts = (call.system, call.content, schema_text(call))
        return self.worst_of(call.model, sum(map(size_of, texts)), call.max_tokens, batch=batch)

    def worst_of(self, model: str, prompt_bytes: int, max_tokens: int, *, batch: bool = False) -> int:
        """The same of a prompt of so many bytes. UnknownPriceError."""
        size = prompt_bytes + FRAME_TOKENS
        plain = Usage(input=size, output=max_tokens)
        written = Usage(cache_write=size, output=max_tokens)
        return max(1, *(self.cost(model, usage, batch=batch) for usage in (plain, written)))

    def unknown(self, *models: str) -> list[str]:
        """Those of some models of which nobody knows the price."""
        return [model for model in models if not self._knows(model)]

    def _knows(self, model: str) -> bool:
        try:
            self.cost(model, Usage(input=1, output=1))
        except UnknownPriceError:
            return False
        return True


TABLE: Final = Prices()  # Anthropic's, as published


def check_models(settings: Settings) -> None:
    """Whoever asks models knows at its start what each of them costs. WrongSettingError, naming the setting."""
    provider_kind(settings)  # of a provider that there is not, no price is known either
    prices = Prices.of(settings)
    for name, model in (("AIW_MODEL", settings.model), ("AIW_STRONG_MODEL", settings.strong_model)):
        if model and prices.unknown(model):
            shown = model[:60]
            said = f"nobody knows what {shown!r} costs: name another, or say it by {OWN_PRICES}='{shown}=in/out'"
            raise WrongSettingError(name, said)


def schema_text(call: Call) -> str:
    """The schema as it is sent."""
    return json.dumps(call.schema, ensure_ascii=False) if call.schema is not None else ""


def size_of(text: str) -> int:
    """Bytes of UTF-8; lone surrogates count, too."""
    return len(text.encode("utf-8", "surrogatepass"))
