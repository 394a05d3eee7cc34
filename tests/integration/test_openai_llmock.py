"""An OpenAI-compatible server over real HTTP: `llmock`, which was not written here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from common.analysis.call import Billed, Fault, Reply
from common.analysis.providers.key import OPENAI, Key
from common.analysis.providers.openai_compatible import OpenAICompatible
from tests.llmock import Behaviour, forget, free_port, plays, served, serving
from tests.unit.test_openai_compatible import KEY, call


@pytest.fixture(scope="module")
def llmock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The running fake's address."""
    with serving(tmp_path_factory.mktemp("llmock") / "log") as url:
        yield url


@pytest.fixture
def client(llmock: str) -> Iterator[OpenAICompatible]:
    """A client of a fake that has forgotten everything."""
    forget(llmock)
    made = OpenAICompatible(Key(SecretStr(KEY), Path("/nonexistent"), OPENAI), f"{llmock}/v1")
    yield made
    made.close()


def test_an_answer_is_read_and_counted(client: OpenAICompatible, llmock: str) -> None:
    """One request; text, end and tokens as the server says them."""
    plays(llmock, {"type": "reply", "text": '{"kind": "가격표"}'})
    said = client.ask(call())
    assert isinstance(said, Reply)
    assert (said.text, said.stop) == ('{"kind": "가격표"}', "end_turn")
    assert said.usage is not None
    assert said.usage.input > 0
    assert said.usage.output > 0
    assert served(llmock) == 1


@pytest.mark.parametrize(
    ("behaviour", "code", "billed", "asked"),
    [
        ({"type": "fail", "status": 401, "times": 9}, "bad_key", Billed.NO, 1),
        ({"type": "fail", "status": 429, "retry_after": 17, "times": 9}, "rate_limited", Billed.NO, 1),
        ({"type": "fail", "status": 503, "times": 9}, "provider_overloaded", Billed.MAYBE, 1),
        ({"type": "fail", "status": 500, "times": 9}, "provider_error", Billed.MAYBE, 1),
        # for its form, and again without
        ({"type": "fail", "status": 400, "times": 9}, "request_refused", Billed.NO, 2),
    ],
)
def test_each_refusal_is_told_apart(
    client: OpenAICompatible, llmock: str, behaviour: Behaviour, code: str, billed: Billed, asked: int
) -> None:
    """I7: asked once, and given back only if it certainly was not billed."""
    plays(llmock, behaviour)
    said = client.ask(call())
    assert isinstance(said, Fault)
    assert (said.code, said.billed) == (code, billed)
    assert served(llmock) == asked
    if code == "rate_limited":
        assert said.again_in == timedelta(seconds=17)


def test_a_server_that_refuses_the_schema_once_is_asked_in_words(client: OpenAICompatible, llmock: str) -> None:
    """As older local servers do."""
    plays(llmock, {"type": "fail", "status": 400, "times": 1}, {"type": "reply", "text": "{}"})
    assert isinstance(client.ask(call()), Reply)
    assert served(llmock) == 2


def test_nobody_listening_costs_nothing() -> None:
    """Nothing was sent."""
    client = OpenAICompatible(Key(None, Path("/nonexistent"), OPENAI), f"http://127.0.0.1:{free_port()}/v1")
    said = client.ask(call(schema=False))
    client.close()
    assert isinstance(said, Fault)
    assert (said.code, said.billed) == ("provider_unreachable", Billed.NO)
