"""The chat completions API: what goes out, what each answer and each failure becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from pydantic import SecretStr

from common.actions.catalogue import Catalogue
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.rows import SettingEntry
from common.adapters.memory.store import MemoryStore
from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.chain import chain_over
from common.analysis.packs.answer import Wanted
from common.analysis.providers.key import OPENAI, Key
from common.analysis.providers.openai_compatible import BODY_MAX, OpenAICompatible
from common.config import Settings
from common.core.task import Json
from common.ports import Answer, Usage
from tests.unit.provider import NOW, WORKSPACE, Says, Scripted, proposal, question, under

KEY = "sk-test-0123456789"
REQUEST = httpx2.Request("POST", "https://provider.example/v1/chat/completions")


def completion(text: str | None, finish: str = "stop", refusal: str | None = None, **usage: Json) -> httpx2.Response:
    """An answer as the API sends it."""
    used: dict[str, Json] = {"prompt_tokens": 400, "completion_tokens": 200, "total_tokens": 600} | usage
    message: dict[str, Json] = {"role": "assistant", "content": text, "refusal": refusal}
    choice: dict[str, Json] = {"index": 0, "finish_reason": finish, "message": message}
    body: dict[str, Json] = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": used}
    return httpx2.Response(200, json=body, headers={"x-request-id": "req_1"})


def fault(status: int, kind: str = "", code: str = "", **headers: str) -> httpx2.Response:
    """An error as the API sends it; its words quote the prompt and the key."""
    error: dict[str, Json] = {"type": kind, "code": code, "message": f"bad key {KEY} in 'order it'"}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json={"error": error}, headers={"x-request-id": "req_1"} | names)


class Far(Scripted):
    """The far side of a client."""

    def __init__(
        self, *says: Says, base_url: str | None = "https://provider.example/v1", key: str | None = KEY
    ) -> None:
        """`says`: what it answers, in order; the last again and again."""
        super().__init__(says)
        kept = Key(None if key is None else SecretStr(key), Path("/nonexistent"), OPENAI)
        self.client = OpenAICompatible(kept, base_url, self.http)

    @property
    def bodies(self) -> list[dict[str, Json]]:
        """What it was sent."""
        return [json.loads(request.content) for request in self.requests]


def call(system: str = "You plan.", schema: bool = True, model: str = "gpt-5-mini") -> Call:  # noqa: FBT001, FBT002 - a test's own
    """A call that wants a plan."""
    return Call(
        workspace=UUID(int=3),
        purpose="analysis",
        model=model,
        prompt_version="analysis.1",
        system=system,
        content="order it",
        max_tokens=4000,
        schema=Wanted.model_json_schema() if schema else None,
    )


def test_the_request_is_one_structured_call() -> None:
    """The form of the answer goes with it, the bearer's key in its header alone."""
    far = Far(completion("{}"))
    assert isinstance(far.client.ask(call()), Reply)
    [request], [body] = far.requests, far.bodies
    assert str(request.url) == "https://provider.example/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in request.content.decode()
    assert body["messages"] == [
        {"role": "system", "content": "You plan."},
        {"role": "user", "content": "order it"},
    ]
    form = body["response_format"]
    assert isinstance(form, dict)
    assert form["type"] == "json_schema"
    assert form["json_schema"] == {"name": "answer", "strict": True, "schema": Wanted.model_json_schema()}
    assert (body["model"], body["max_tokens"]) == ("gpt-5-mini", 4000)
    assert not {"temperature", "stream", "n", "max_completion_tokens"} & set(body)


def test_words_are_asked_for_without_a_form() -> None:
    """As `claude.generate` does without a schema; no system text, no system message."""
    far = Far(completion("Guten Tag"))
    said = far.client.ask(call(system="", schema=False))
    assert isinstance(said, Reply)
    assert said.text == "Guten Tag"
    assert far.bodies[0]["messages"] == [{"role": "user", "content": "order it"}]
    assert "response_format" not in far.bodies[0]


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        (None, "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1/", "max_completion_tokens"),
        ("http://127.0.0.1:11434/v1", "max_tokens"),
        ("https://api.openai.com.evil.example/v1", "max_tokens"),
    ],
)
def test_the_longest_answer_is_named_as_the_server_knows_it(base_url: str | None, field: str) -> None:
    """OpenAI's newer models refuse the old name; local servers know nothing else."""
    far = Far(completion("{}"), base_url=base_url)
    far.client.ask(call())
    assert far.bodies[0][field] == 4000
    assert len({"max_tokens", "max_completion_tokens"} & set(far.bodies[0])) == 1


def test_a_server_that_refuses_a_schema_is_given_it_in_words() -> None:
    """I7: the first was refused unread, so the second is covered by the same reservation; from then on it is one."""
    far = Far(fault(400, "invalid_request_error"), completion("{}"))
    assert isinstance(far.client.ask(call()), Reply)
    assert isinstance(far.client.ask(call()), Reply)
    first, second, third = far.bodies
    assert first["response_format"] != second["response_format"]
    assert second["response_format"] == third["response_format"] == {"type": "json_object"}
    messages = second["messages"]
    assert isinstance(messages, list)
    assert isinstance(messages[0], dict)
    assert "JSON Schema" in str(messages[0]["content"])
    assert '"confidence"' in str(messages[0]["content"])


def test_a_request_that_is_wrong_in_itself_is_refused_twice_and_no_more() -> None:
    """The schema was not what it minded: the next call brings it again."""
    far = Far(fault(400, "invalid_request_error"))
    said = far.client.ask(call())
    assert isinstance(said, Fault)
    assert (said.code, said.billed, said.again_in) == ("request_refused", Billed.NO, None)
    far.client.ask(call())
    forms = [body["response_format"] for body in far.bodies]
    assert [isinstance(form, dict) and form["type"] for form in forms] == ["json_schema", "json_object"] * 2


def test_tokens_that_came_from_the_cache_are_counted_once() -> None:
    """The API counts them inside of the prompt, the price table beside it."""
    said = Far(completion("{}", prompt_tokens_details={"cached_tokens": 300})).client.ask(call())
    assert isinstance(said, Reply)
    assert (said.usage, said.request_id) == (Usage(input=100, output=200, cache_read=300), "req_1")


@pytest.mark.parametrize(
    ("says", "stop"),
    [
        (completion("{}"), "end_turn"),
        (completion("{", "length"), "max_tokens"),
        (completion(None, "content_filter"), "refusal"),
        (completion(None, refusal="I cannot"), "refusal"),
        (completion(None, "tool_calls"), "tool_calls"),
    ],
)
def test_why_an_answer_ended_is_said_in_our_words(says: httpx2.Response, stop: str) -> None:
    """Refused, cut off, or whole: each is paid."""
    said = Far(says).client.ask(call())
    assert isinstance(said, Reply)
    assert (said.stop, said.usage) == (stop, Usage(input=400, output=200))


def _drip() -> Iterator[bytes]:
    for _ in range(BODY_MAX // 1_000_000 + 2):
        yield b" " * 1_000_000


FAULTS: list[tuple[Says, str, int | None, str | None, Billed]] = [
    (fault(401, "invalid_request_error", "invalid_api_key"), "bad_key", 600, "provider", Billed.NO),
    (fault(403, "unsupported_country"), "key_not_permitted", 600, "provider", Billed.NO),
    (fault(404, "", "model_not_found"), "unknown_model", 600, "provider", Billed.NO),
    (fault(413), "request_refused", None, None, Billed.NO),
    (fault(402), "spend_limit", 3600, "budget", Billed.NO),
    (fault(429, "insufficient_quota", "insufficient_quota"), "spend_limit", 3600, "budget", Billed.NO),
    (fault(429, "requests", "rate_limit_exceeded"), "rate_limited", 30, "provider", Billed.NO),
    (fault(429, "tokens", retry_after="7"), "rate_limited", 7, "provider", Billed.NO),
    (fault(429, "tokens", retry_after="999999"), "rate_limited", 900, "provider", Billed.NO),
    (fault(429, "tokens", retry_after="nan"), "rate_limited", 30, "provider", Billed.NO),
    (fault(503, "server_error", retry_after="3"), "provider_overloaded", 3, "provider", Billed.MAYBE),
    (fault(500, "server_error"), "provider_error", 30, "provider", Billed.MAYBE),
    (fault(408), "provider_error", 30, "provider", Billed.MAYBE),
    (
        httpx2.Response(307, headers={"location": "https://evil.example/"}),
        "provider_error",
        30,
        "provider",
        Billed.MAYBE,
    ),
    (httpx2.Response(502, text="<html>bad gateway</html>"), "provider_error", 30, "provider", Billed.MAYBE),
    (httpx2.ConnectError("refused", request=REQUEST), "provider_unreachable", 30, "provider", Billed.NO),
    (httpx2.ConnectTimeout("slow", request=REQUEST), "provider_unreachable", 30, "provider", Billed.NO),
    (httpx2.ReadTimeout("slow", request=REQUEST), "provider_timeout", 30, "provider", Billed.MAYBE),
    (httpx2.ReadError("reset", request=REQUEST), "provider_reset", 30, "provider", Billed.MAYBE),
    (RuntimeError("unforeseen"), "provider_error", 30, "provider", Billed.MAYBE),
    (httpx2.Response(200, text="<html>captive portal</html>"), "unusable_answer", None, None, Billed.MAYBE),
    (httpx2.Response(200, json={"choices": []}), "unusable_answer", None, None, Billed.MAYBE),
    (httpx2.Response(200, json=[1]), "unusable_answer", None, None, Billed.MAYBE),
    (httpx2.Response(200, text="[" * 100_000), "unusable_answer", None, None, Billed.MAYBE),
    (httpx2.Response(200, content=_drip()), "unusable_answer", None, None, Billed.MAYBE),
]


@pytest.mark.parametrize(
    ("says", "code", "seconds", "waits", "billed"), FAULTS, ids=[f"{n}-{f[1]}" for n, f in enumerate(FAULTS)]
)
def test_each_failure_has_its_code_and_its_next_step(
    says: Says, code: str, seconds: int | None, waits: str | None, billed: Billed
) -> None:
    """I7, I11: the same table as Claude's; one request, and never a word of what the provider quoted."""
    far = Far(says)
    said = far.client.ask(call())
    assert isinstance(said, Fault)
    assert (said.code, said.billed, said.waiting_for) == (code, billed, waits)
    assert said.again_in == (None if seconds is None else timedelta(seconds=seconds))
    assert len(far.requests) == 1
    assert KEY not in repr(said)
    assert "order it" not in repr(said)


NO_USAGE: list[dict[str, Json]] = [
    {"prompt_tokens": -5}, {"prompt_tokens": True}, {"prompt_tokens": None}, {"completion_tokens": "many"},
    {"prompt_tokens_details": {"cached_tokens": 401}},
]  # fmt: skip


@pytest.mark.parametrize("usage", NO_USAGE)
def test_an_answer_that_does_not_say_what_it_used_is_one(usage: dict[str, Json]) -> None:
    """I7: local servers often do not; what is booked then is the door's to say."""
    said = Far(completion("{}", "stop", None, **usage)).client.ask(call())
    assert isinstance(said, Reply)
    assert (said.text, said.usage) == ("{}", None)


def test_openais_own_server_wants_a_key_and_a_named_one_may_not(tmp_path: Path) -> None:
    """A local server knows no keys; without one nothing is sent to OpenAI."""
    own = Far(completion("{}"), base_url=None, key=None)
    assert not own.client.is_ready
    assert own.client.ask(call()) == Fault(code="no_model", billed=Billed.NO)
    assert own.requests == []
    local = Far(completion("{}"), key=None)
    assert local.client.is_ready
    assert isinstance(local.client.ask(call()), Reply)
    assert "authorization" not in local.requests[0].headers
    (tmp_path / "openai.key").write_text(KEY)
    assert Key(None, tmp_path, OPENAI).value() == KEY


def test_a_used_up_limit_holds_the_next_call_back() -> None:
    """Nothing is sent that would only be refused: it waits by name, for as long as the provider said."""
    answer = completion("{}")
    answer.headers |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}
    far = Far(answer)
    assert isinstance(far.client.ask(call()), Reply)
    said = far.client.ask(call())
    assert isinstance(said, Fault)
    assert (said.code, said.billed, said.waiting_for, said.detail) == (
        "rate_limited",
        Billed.NO,
        "provider",
        "requests",
    )
    assert said.again_in is not None
    assert timedelta(seconds=80) < said.again_in <= timedelta(seconds=90)
    assert len(far.requests) == 1


def test_a_lone_surrogate_does_not_stop_a_call() -> None:
    """It is no UTF-8; the body is ASCII."""
    far = Far(completion("{}"))
    assert isinstance(far.client.ask(call(system="\ud800")), Reply)
    far.client.close()


def _answered(request: httpx2.Request) -> httpx2.Response:
    content = json.loads(request.content)["messages"][-1]["content"]
    items = json.loads(content.removeprefix("<tasks>").removesuffix("</tasks>"))["items"]
    return completion(
        under([item["nonce"] for item in items], proposal()), prompt_tokens_details={"cached_tokens": 300}
    )


@pytest.mark.parametrize(
    ("model", "prices", "spent"),
    [
        # 100 new tokens at 0.25, 300 from the cache at 0.025, 200 of the answer at 2 dollars per million
        ("gpt-5-mini", "", 100 * 250 + 300 * 25 + 200 * 2000),
        ("qwen3:14b", "qwen3:14b=0/0", 0),
    ],
)
def test_a_task_is_read_and_booked(model: str, prices: str, spent: int) -> None:
    """I7: the whole way through the one door, at the table's price or a given one; a free one is reserved for, too."""
    far = Far(_answered)
    store = MemoryStore(lambda: NOW)
    store.settings[WORKSPACE, "policy"] = SettingEntry(0, None)
    budget = MemoryBudget(store)
    settings = Settings.model_construct(
        provider="openai", model=model, strong_model="", model_prices=prices, pack_checks=0.0
    )
    chain = chain_over(far.client, settings, budget, Catalogue.shipped(), lambda: NOW)
    [answer] = chain.analyze([question("weigh the two offers")])
    chain.close()
    assert isinstance(answer, Answer)
    assert (answer.source, answer.cost) == ("model", spent)
    month = budget.month(WORKSPACE)
    assert (month.spent, month.reserved) == (spent, 0)
    [row] = store.calls.values()
    assert row.reserved >= 1
