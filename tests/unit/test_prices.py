"""Prices that a person gives, batch prices, and models that are checked at the start."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from common.analysis.call import Call
from common.analysis.money.prices import TABLE, OwnPrice, Prices, UnknownPriceError, check_models, own_prices
from common.config import Settings, WrongSettingError
from common.ports import Usage
from common.wiring import bootstrap
from infra.local.question import _attempt

HAIKU = "claude-haiku-5-5"
CALL = Call(
    workspace=UUID(int=3), purpose="analysis", model=HAIKU, prompt_version="1", system="s", content="c", max_tokens=9
)
TOKENS = st.integers(0, 300_000)
USAGES = st.builds(Usage, input=TOKENS, output=TOKENS, cache_read=TOKENS, cache_write=TOKENS)


def test_a_persons_prices_are_dollars_per_million() -> None:
    """`m=0.1/0.4, local=0/0`, blanks as one likes."""
    assert own_prices("m=0.1/0.4, local = 0/0,") == {
        "m": OwnPrice(Decimal("0.1"), Decimal("0.4")), "local": OwnPrice(Decimal(0), Decimal(0)),
    }  # fmt: skip
    assert own_prices("") == {}
    prices = Prices("openai", own_prices("m=0.1/0.4"))
    assert prices.cost("m", Usage(input=1000, output=10)) == 1000 * 100 + 10 * 400
    assert prices.cost("m", Usage(cache_read=1000)) == 1000 * 100


@pytest.mark.parametrize("wrong", ["m", "m=1", "m=1/x", "=1/2", "m=-1/2", "m=1/2/3", "m=1e3/2", "a b=1/2"])
def test_a_price_that_cannot_be_read_is_named(wrong: str) -> None:
    """One line: the setting, the part that is wrong, how it is written."""
    with pytest.raises(WrongSettingError, match=r"^AIW_MODEL_PRICES: .*write model=in/out") as caught:
        own_prices(f"ok=1/2, {wrong}")
    assert caught.value.name == "AIW_MODEL_PRICES"


def test_a_persons_price_wins() -> None:
    """Who serves a model of a known name by themselves pays what they say."""
    assert Prices("anthropic", own_prices(f"{HAIKU}=0/0")).cost(HAIKU, Usage(input=10**6)) == 0


@given(usage=USAGES, model=st.sampled_from((HAIKU, "claude-sonnet-5-5", "own")))
def test_a_batch_costs_half_of_everything(usage: Usage, model: str) -> None:
    """The table has to be told; rounded up, as the bill never is."""
    prices = Prices("anthropic", own_prices("own=0.3/0.7"))
    whole, half = prices.cost(model, usage), prices.cost(model, usage, batch=True)
    assert 2 * half in {whole, whole + 1}


@given(usage=USAGES)
def test_the_worst_case_of_an_own_price_holds(usage: Usage) -> None:
    """I7: however the prompt's tokens are split between plain, written and read, it costs no more than reserved."""
    prices = Prices("anthropic", own_prices("own=0.3/0.7"))
    tokens = usage.input + usage.cache_read + usage.cache_write
    assert prices.cost("own", usage) <= prices.worst_of("own", tokens, usage.output)
    assert prices.cost("own", usage, batch=True) <= prices.worst_of("own", tokens, usage.output, batch=True)


def test_a_free_call_reserves_something() -> None:
    """What is on record before a call is never nothing, so that every call has its row."""
    free = Prices("openai", own_prices("local=0/0"))
    assert free.worst_case(replace(CALL, model="local")) == 1
    assert TABLE.worst_case(CALL, batch=True) * 2 == TABLE.worst_case(CALL)


def test_an_unknown_model_is_known_to_be_one() -> None:
    """A price of nothing is a price; no price is none."""
    prices = Prices("openai", own_prices("local=0/0"))
    assert prices.unknown("local", "nobody-knows", "gpt-4o-mini") == ["nobody-knows"]
    with pytest.raises(UnknownPriceError):
        prices.worst_case(replace(CALL, model="nobody-knows"))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": "nobody-knows"}, "AIW_MODEL"),
        ({"strong_model": "nobody-knows"}, "AIW_STRONG_MODEL"),
        ({"model_prices": "nonsense"}, "AIW_MODEL_PRICES"),
        ({"provider": "openai", "model": "qwen3:8b", "strong_model": ""}, "AIW_MODEL"),
    ],
)
@pytest.mark.parametrize("function", ["analyze", "execute"])
def test_who_asks_models_starts_only_with_their_prices(settings: dict[str, str], named: str, function: str) -> None:
    """One line that names the setting and the mend, as for any other wrong setting."""
    given = Settings(function=function, database_url=SecretStr("postgresql://nobody@/none"), **settings)  # type: ignore[arg-type]  # - a test's own values
    with pytest.raises(WrongSettingError) as caught:
        bootstrap(given)
    assert caught.value.name == named
    assert "\n" not in str(caught.value)


def test_no_strong_model_and_an_own_price_are_well() -> None:
    """Nobody reads again, and the small one is a server of one's own."""
    check_models(Settings(provider="openai", model="qwen3:8b", strong_model="", model_prices="qwen3:8b=0/0"))
    check_models(Settings())


def test_a_wrong_model_stops_up_with_its_name() -> None:
    """`./aiw up` says it before anything is started."""

    def start() -> dict[str, object]:
        check_models(Settings(model="nobody-knows"))
        return {}

    found = _attempt(start)
    assert found["key"] == "bad_setting"
    values = found["values"]
    assert isinstance(values, dict)
    assert values["name"] == "AIW_MODEL"
    assert "AIW_MODEL_PRICES='nobody-knows=in/out'" in values["said"]
