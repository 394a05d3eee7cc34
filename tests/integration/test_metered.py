"""The metered fake, as the official SDK sees it: what the product's ledger is compared with must itself be right."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from common.analysis.money.prices import TABLE
from common.ports import Usage
from tests.metered.batches import DAY, Fate
from tests.metered.faults import Fault
from tests.metered.meter import Used, price
from tests.metered.server import Metered
from tests.metered.tokens import cut, tokens

HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"
ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "You read tasks, and say what they mean. " * 100
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture
def fake() -> Iterator[Metered]:
    """A running fake with an empty bill."""
    with Metered(lambda asked: json.dumps({"a": asked.content[-200:]})) as running:
        yield running


@pytest.fixture
def client(fake: Metered) -> Iterator[anthropic.Anthropic]:
    """The SDK, its retries off."""
    with anthropic.Anthropic(api_key="any", base_url=fake.url, max_retries=0) as made:
        yield made


def wanted(model: str = HAIKU, text: str = "hello", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as the SDK takes them
    """A request with a system text that is marked for the cache."""
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": 500,
        "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": text}],
        "thinking": {"type": "disabled"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    return body | changes


def test_the_prompt_cache_keeps_an_exact_prefix_of_one_model_for_an_hour(
    fake: Metered, client: anthropic.Anthropic
) -> None:
    """Written once, then read; another model, schema or text starts another; every use keeps it for another hour."""
    other = {"format": {"type": "json_schema", "schema": SCHEMA | {"properties": {"a": {"type": "number"}}}}}
    client.messages.create(**wanted())
    client.messages.create(**wanted(text="something else"))
    client.messages.create(**wanted(model=SONNET))
    client.messages.create(**wanted(output_config=other))
    client.messages.create(**wanted(system=[wanted()["system"][0] | {"text": SYSTEM + "."}]))
    for seconds in (3000, 3000, 3700):
        fake.account.advance(seconds)
        client.messages.create(**wanted())
    read = [row.used.read > 0 for row in fake.rows]
    written = [row.used.written_1h > 0 for row in fake.rows]
    assert read == [False, True, False, False, False, True, True, False]
    assert written == [not hit for hit in read]
    assert fake.rows[0].used.written_1h == fake.rows[1].used.read == tokens(SYSTEM)


def test_what_is_short_or_unmarked_is_never_kept(fake: Metered, client: anthropic.Anthropic) -> None:
    """512 tokens at least, and only up to a mark."""
    short = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    for system in ([short], SYSTEM, [short], SYSTEM):
        client.messages.create(**wanted(system=system))
    assert {row.used.read + row.used.written_1h + row.used.written_5m for row in fake.rows} == {0}


def test_the_bill_is_the_price_tables(fake: Metered, client: anthropic.Anthropic) -> None:
    """Two ways to the same nanodollar: the fake's own arithmetic, and the product's through `genai-prices`."""
    for model in (HAIKU, SONNET, "claude-opus-5-5"):
        for _ in range(2):
            client.messages.create(**wanted(model=model))
    for row in fake.rows:
        used = row.used
        usage = Usage(input=used.input, output=used.output, cache_read=used.read, cache_write=used.written_1h)
        assert row.nanodollars == TABLE.cost(row.model, usage) > 0
    assert fake.nanodollars == sum(row.nanodollars for row in fake.rows)
    # dollars a million of each kind, as published
    kinds = [Used(input=10**6), Used(output=10**6), Used(read=10**6), Used(written_5m=10**6), Used(written_1h=10**6)]
    assert [price(SONNET, kind, batch=False) for kind in kinds] == [n * 10**8 for n in (20, 100, 1, 25, 40)]
    assert [price(SONNET, kind, batch=True) for kind in kinds] == [n * 10**8 // 2 for n in (20, 100, 1, 25, 40)]


def test_thinking_is_billed_unless_it_is_switched_off(fake: Metered, client: anthropic.Anthropic) -> None:
    """The hidden cost of a request that does not say so."""
    client.messages.create(**wanted())
    client.messages.create(**wanted(thinking=anthropic.omit))
    quiet, thinking = (row.used.output for row in fake.rows)
    assert thinking == quiet + 500


def test_what_the_api_refuses_is_refused_and_not_billed(fake: Metered, client: anthropic.Anthropic) -> None:
    """Dropped parameters, unknown models, open schemas, no key."""
    open_schema = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    for changes in ({"extra_body": {"temperature": 0}}, {"output_config": open_schema}, {"max_tokens": 0}):
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**wanted(**changes))
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**wanted(model="claude-2"))
    assert httpx2.post(f"{fake.url}/v1/messages", json=wanted()).status_code == 401
    assert fake.rows == []


def test_an_answer_that_is_too_long_is_cut_and_paid(fake: Metered, client: anthropic.Anthropic) -> None:
    """As many tokens as were allowed."""
    said = client.messages.create(**wanted(max_tokens=5))
    assert said.stop_reason == "max_tokens"
    assert 0 < fake.rows[0].used.output <= 5


def test_each_answer_has_its_request_id_and_the_rate_headers(fake: Metered, client: anthropic.Anthropic) -> None:
    """The request's id is on the bill, too."""
    raw = client.messages.with_raw_response.create(**wanted())
    assert raw.headers["request-id"] == fake.rows[0].request_id
    assert int(raw.headers["anthropic-ratelimit-requests-remaining"]) > 0


def requests(count: int) -> list[Any]:
    """So many for a batch."""
    return [{"custom_id": f"task-{n}", "params": wanted(text=f"number {n}")} for n in range(count)]


def test_a_batch_is_half_price_unordered_and_later(fake: Metered, client: anthropic.Anthropic) -> None:
    """Not before its time; each result under its custom id; about every other request finds the prompt cache."""
    fake.batches.fate = Fate(seconds=600)
    made = client.messages.batches.create(requests=requests(10))
    assert (made.processing_status, made.results_url, made.request_counts.processing) == ("in_progress", None, 10)
    fake.account.advance(601)
    ended = client.messages.batches.retrieve(made.id)
    assert (ended.processing_status, ended.request_counts.succeeded) == ("ended", 10)
    results = list(client.messages.batches.results(made.id))
    assert [result.custom_id for result in results] != [f"task-{n}" for n in range(10)]
    for result in results:
        assert result.result.type == "succeeded"
        assert f"number {result.custom_id.removeprefix('task-')}" in result.result.message.content[0].text  # type: ignore[union-attr]  # it is text
    assert all(row.nanodollars == price(row.model, row.used, batch=True) for row in fake.rows)
    assert 3 <= sum(row.used.read > 0 for row in fake.rows) <= 6


def test_what_of_a_batch_was_not_answered_is_not_billed(fake: Metered, client: anthropic.Anthropic) -> None:
    """Errored and expired requests, the rest of a cancelled batch, and one that takes longer than a day."""
    fake.batches.fate = Fate(errored=(1,), expired=(2,))
    made = client.messages.batches.create(requests=requests(4))
    kinds = {result.custom_id: result.result.type for result in client.messages.batches.results(made.id)}
    assert kinds == {"task-0": "succeeded", "task-1": "errored", "task-2": "expired", "task-3": "succeeded"}
    assert len(fake.rows) == 2
    fake.batches.fate = Fate(seconds=600, done_at_cancel=1)
    made = client.messages.batches.create(requests=requests(3))
    assert client.messages.batches.cancel(made.id).processing_status == "canceling"
    counts = client.messages.batches.retrieve(made.id).request_counts
    assert (counts.succeeded, counts.canceled, len(fake.rows)) == (1, 2, 3)
    fake.batches.fate = Fate(seconds=2 * DAY)
    made = client.messages.batches.create(requests=requests(3))
    fake.account.advance(DAY + 1)
    assert client.messages.batches.retrieve(made.id).request_counts.expired == 3
    assert len(fake.rows) == 3


def test_a_batch_whose_answer_was_lost_is_listed(fake: Metered, client: anthropic.Anthropic) -> None:
    """The creation was done and nobody told: newest first, by pages."""
    names = [client.messages.batches.create(requests=requests(1)).id for _ in range(5)]
    fake.faults.add(Fault(kind="reset", on="batches"))
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.batches.create(requests=requests(2))
    listed = [made.id for made in client.messages.batches.list(limit=2)]
    assert listed[1:] == names[::-1]
    newest = client.messages.batches.retrieve(listed[0])
    assert newest.request_counts.processing + newest.request_counts.succeeded == 2


def test_tokens_are_counted_from_above() -> None:
    """Compared with Claude 2's published tokenizer; the counts beside the texts are its own."""
    texts = {
        "The quick brown fox jumps over the lazy dog. Please compare the prices of the two offers and inform the "
        "operations channel about the cheaper one before noon tomorrow.": 31,
        "내일 오전 아홉 시에 서버 상태를 확인하고 문제가 있으면 운영 채널에 알려 주세요. "
        "그리고 결과를 표로 정리해 주세요.": 61,
        "a3f9c27be41d80f6 k7Qz-19xw": 18,
    }
    for text, published in texts.items():
        assert published <= tokens(text) <= 1.35 * published
        assert tokens(cut(text, 10)) <= 10
    assert tokens("") == 0


def test_it_runs_as_a_program_and_is_steered_over_http() -> None:
    """For a person without a key: what to set at the start, what it bills at the end."""
    command = [sys.executable, "-m", "tests.metered", "--port", "0", "--seconds", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        found = re.search(r"ANTHROPIC_BASE_URL=(\S+)", program.stdout.readline())
        assert found
        url = found.group(1)
        httpx2.post(f"{url}/_metered/faults", json={"faults": [{"kind": "status", "status": 529}]}).raise_for_status()
        with anthropic.Anthropic(api_key="any", base_url=url, max_retries=0) as client:
            with pytest.raises(anthropic.OverloadedError):
                client.messages.create(**wanted())
            client.messages.create(**wanted())
        assert httpx2.get(f"{url}/_metered/bill").json()["messages"] == 1
        program.send_signal(signal.SIGINT)
        rest, _ = program.communicate(timeout=10)
    assert "1 messages, $0.000" in rest
