"""What tokens cost, offline. Integer nanodollars, rounded up: the ledger never says less than the bill."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Final

from common.analysis.call import Call
from common.ports import Usage

PROVIDER: Final = "anthropic"
NANO: Final = Decimal(10**9)
# What a provider adds to a prompt by itself: the frame of messages, and how to keep to a schema (a few hundred tokens).
FRAME_TOKENS: Final = 2000


class UnknownPriceError(Exception):
    """The table has no price for the model: a call of it is refused."""


def worst_case(call: Call) -> int:
    """An upper bound of what a call can cost.

    A token is at least one byte of UTF-8, so bytes bound tokens; all of the prompt is taken for the dearest kind
    (written to the one-hour cache), and the answer for as long as it may get. UnknownPriceError.
    """
    schema = json.dumps(call.schema, ensure_ascii=False) if call.schema is not None else ""
    texts = (call.system, call.content, schema)
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + FRAME_TOKENS
    plain = Usage(input=size, output=call.max_tokens)
    written = Usage(cache_write=size, output=call.max_tokens)
    return max(cost(call.model, plain), cost(call.model, written))


def cost(model: str, usage: Usage) -> int:
    """What a call cost. UnknownPriceError.

    The table counts cache tokens as part of the input, the API's usage beside it. Whatever was written to the cache is
    priced for one hour: that is the only kind asked for, and the dearer one.
    """
    import genai_prices  # noqa: PLC0415 - 40 ms that only a paid call needs

    counted = genai_prices.Usage(
        input_tokens=usage.input + usage.cache_read + usage.cache_write,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write,
        output_tokens=usage.output,
    )
    try:
        price = genai_prices.calc_price(counted, model, provider_id=PROVIDER).total_price
    except LookupError as exc:
        raise UnknownPriceError(model) from exc
    return math.ceil(price * NANO)
