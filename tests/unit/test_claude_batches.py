"""ClaudeBatches over the SDK's own transport: what goes out, and what every answer is taken for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from common.analysis.batches.claude import ClaudeBatches
from common.analysis.batches.provider import Listed, Result, batches_of, fingerprint
from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.providers.claude import ClaudeClient
from common.analysis.providers.key import Key
from common.analysis.providers.openai_compatible import OpenAICompatible
from common.config import Settings
from common.ports import Usage
from tests.batch_side import KEY, BatchSide, message, refusal

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
CALL = Call(
    workspace=UUID(int=3), purpose="analysis", model="claude-haiku-5-5", prompt_version="analysis.2",
    system="You plan.", content='<tasks>\n{"items": []}\n</tasks>', max_tokens=4000, schema={"type": "object"},
)  # fmt: skip


@pytest.fixture
def side() -> BatchSide:
    """The far side."""
    return BatchSide(lambda: NOW)


def made(side: BatchSide) -> str:
    """A batch of two requests."""
    found = side.batches_for().create([("c_0", CALL), ("c_1", CALL)])
    assert isinstance(found, str), found
    return found


def fault(found: object) -> Fault:
    """What it was."""
    assert isinstance(found, Fault), found
    return found


def results(side: BatchSide, *lines: object) -> list[Result]:
    """What is made of lines."""
    batch = side.end(side.batches[made(side)])
    batch.results = list(lines)  # type: ignore[arg-type]  # a far side may write anything
    found = side.batches_for().results(batch.id)
    assert isinstance(found, list), found
    return found


# --- asking ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_sent_once_with_our_ids_and_the_bodies_of_direct_calls(side: BatchSide) -> None:
    """The same prompt, schema and system block as alone."""
    name = made(side)
    first, second = side.batches[name].requests
    assert (first["custom_id"], second["custom_id"]) == ("c_0", "c_1")
    assert first["params"] == second["params"]
    assert set(first["params"]) == {"model", "max_tokens", "messages", "system", "thinking", "output_config"}
    assert side.seen == ["POST create"]


@pytest.mark.parametrize(("requests", "kept"), [(1, False), (2, False), (3, True)])
def test_a_system_text_is_cached_where_others_may_read_it(side: BatchSide, requests: int, *, kept: bool) -> None:
    """Writing it costs double: of two requests no more than one can gain by it."""
    name = side.batches_for().create([(f"c_{n}", CALL) for n in range(requests)])
    assert isinstance(name, str)
    marks = {"cache_control" in request["params"]["system"][0] for request in side.batches[name].requests}
    assert marks == {kept}


@pytest.mark.parametrize(
    ("status", "code", "billed"),
    [(400, "request_refused", Billed.NO), (401, "bad_key", Billed.NO), (429, "rate_limited", Billed.NO),
     (529, "provider_overloaded", Billed.NO), (500, "provider_error", Billed.MAYBE),
     (408, "provider_error", Billed.MAYBE)],
)  # fmt: skip
def test_a_refusal_is_told_apart_and_not_retried(side: BatchSide, status: int, code: str, billed: Billed) -> None:
    """I7: a second request could be a second batch: the SDK's own retries are off."""
    side.refuse["POST create"] = refusal(status)
    found = fault(side.batches_for().create([("c_0", CALL)]))
    assert (found.code, found.billed) == (code, billed)
    assert side.seen == ["POST create"]


@pytest.mark.parametrize(
    ("exc", "code", "billed"),
    [
        (httpx2.ConnectError("no"), "provider_unreachable", Billed.NO),
        (httpx2.ReadTimeout("slow"), "provider_timeout", Billed.MAYBE),
        (httpx2.ReadError("gone"), "provider_reset", Billed.MAYBE),
    ],
)
def test_silence_may_be_a_batch(side: BatchSide, exc: Exception, code: str, billed: Billed) -> None:
    """I7: what was sent and not answered may have been made."""
    side.refuse["POST create"] = exc
    found = fault(side.batches_for().create([("c_0", CALL)]))
    assert (found.code, found.billed) == (code, billed)
    assert side.seen == ["POST create"]


@pytest.mark.parametrize("name", [None, 17, "", "a/../b", "x" * 101, "msg\x00batch"])
def test_an_answer_without_a_usable_id_may_be_a_batch(side: BatchSide, name: object) -> None:
    """An id goes into paths and into the database: what is no id is none."""
    side.refuse["POST create"] = httpx2.Response(200, json={"id": name, "type": "message_batch"})
    assert fault(side.batches_for().create([("c_0", CALL)])).billed is Billed.MAYBE


def test_without_a_key_nobody_is_asked(side: BatchSide, tmp_path: Path) -> None:
    """I7: nothing is sent."""
    asked = ClaudeBatches(ClaudeClient(Key(None, tmp_path), "http://far.example"))
    assert asked.key is None
    for found in (
        asked.create([("c_0", CALL)]),
        asked.look("b"),
        asked.recent(NOW),
        asked.results("b"),
        asked.cancel("b"),
    ):
        assert (fault(found).code, fault(found).billed) == ("no_model", Billed.NO)
    assert side.seen == []


def test_a_key_is_known_again_and_not_shown(side: BatchSide) -> None:
    """I11: the record has a fingerprint, which says nothing of the key."""
    known = side.batches_for().key
    assert known == fingerprint(KEY) != fingerprint(KEY + "x")
    assert known is not None
    assert KEY not in known


# --- looking --------------------------------------------------------------------------------------------------------


def test_how_it_is_getting_on(side: BatchSide) -> None:
    """In progress, being cancelled, ended."""
    asked, name = side.batches_for(), made(side)
    listed = Listed(provider_id=name, created_at=NOW, requests=2, ended=False)
    assert asked.look(name) == listed
    assert asked.cancel(name) is None
    assert asked.look(name) == Listed(provider_id=name, created_at=NOW, requests=2, ended=False, stopping=True)
    side.end(side.batches[name])
    assert asked.look(name) == Listed(provider_id=name, created_at=NOW, requests=2, ended=True)


def test_what_is_gone_is_a_fault(side: BatchSide) -> None:
    """404 is told apart by its status."""
    assert fault(side.batches_for().look("msgbatch_none")).status == 404
    assert fault(side.batches_for().cancel("msgbatch_none")).status == 404


def test_the_list_is_read_by_pages_as_far_back_as_is_asked(side: BatchSide) -> None:
    """Newest first; what is older than the request cannot be its batch."""
    for minutes in range(230, 0, -1):
        side.foreign(at=NOW - timedelta(minutes=minutes))
    found = side.batches_for().recent(NOW - timedelta(minutes=150))
    assert isinstance(found, list)
    assert len(found) == 150
    assert found[0].created_at == NOW - timedelta(minutes=1)
    assert side.count("GET list") == 2


def test_half_a_list_is_none(side: BatchSide) -> None:
    """I7: what is not on a list that was not read whole may still be there."""
    for _ in range(1100):
        side.foreign()
    assert fault(side.batches_for().recent(NOW - timedelta(minutes=1))).code == "provider_error"
    side.refuse["GET list"] = refusal(500)
    assert isinstance(side.batches_for().recent(NOW), Fault)


@pytest.mark.parametrize(
    "spoilt",
    [{"id": 3}, {"created_at": "yesterday"}, {"created_at": None}, {"request_counts": None}, {"request_counts": {}},
     {"created_at": "2026-11-24T01:00:00"}],
)  # fmt: skip
def test_what_cannot_be_read_is_a_fault(side: BatchSide, spoilt: dict[str, Any]) -> None:
    """The SDK checks nothing; a batch without a time or a number of requests is none."""
    side.foreign()
    shown: dict[str, Any] = side._shown(side.last)
    side.refuse["GET look"] = httpx2.Response(200, json=shown | spoilt)
    assert isinstance(side.batches_for().look(side.last.id), Fault)
    page = {"data": [shown | spoilt], "has_more": False, "first_id": None, "last_id": None}
    side.refuse["GET list"] = httpx2.Response(200, json=page)
    assert isinstance(side.batches_for().recent(NOW - timedelta(hours=1)), Fault)


# --- results --------------------------------------------------------------------------------------------------------


def test_results_are_replies_or_say_why_not(side: BatchSide) -> None:
    """Succeeded with its usage; errored, expired and cancelled are not billed, and their words are not kept (I11)."""
    words = {"type": "error", "error": {"type": "api_error", "message": f"quotes {KEY}"}, "request_id": "r"}
    found = results(
        side,
        {"custom_id": "c_1", "result": {"type": "succeeded", "message": message("said", cache_read_input_tokens=9)}},
        {"custom_id": "c_0", "result": {"type": "errored", "error": words}},
        {"custom_id": "c_2", "result": {"type": "expired"}},
        {"custom_id": "c_3", "result": {"type": "canceled"}},
    )
    reply = found[0].said
    assert isinstance(reply, Reply)
    assert (found[0].custom_id, reply.text, reply.stop) == ("c_1", "said", "end_turn")
    assert reply.usage == Usage(input=4000, output=1500, cache_read=9)
    others = [(r.custom_id, fault(r.said).code, fault(r.said).billed, fault(r.said).detail) for r in found[1:]]
    assert others == [
        ("c_0", "batch_errored", Billed.NO, "api_error"),
        ("c_2", "batch_expired", Billed.NO, None),
        ("c_3", "batch_missing", Billed.NO, None),
    ]


@pytest.mark.parametrize(
    "line",
    [
        [], None, "x", 3, {}, {"custom_id": "c_0"}, {"custom_id": 7, "result": {"type": "expired"}},
        {"custom_id": "c_0", "result": None}, {"custom_id": "c_0", "result": {"type": ["errored"]}},
        {"custom_id": "c_0", "result": {"type": "succeeded"}},
        {"custom_id": "c_0", "result": {"type": "succeeded", "message": []}},
        {"custom_id": "c_0", "result": {"type": "new_kind"}},
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_may_have_been_billed(side: BatchSide, line: object) -> None:
    """I7: nobody knows what it cost; and it takes nothing from the next line."""
    odd, good = results(side, line, {"custom_id": "c_1", "result": {"type": "expired"}})
    assert fault(odd.said).billed is Billed.MAYBE
    assert good.custom_id == "c_1"


def test_an_answer_that_does_not_say_what_it_used_is_one(side: BatchSide) -> None:
    """I7: what it cost is the door's to say."""
    asked = {"custom_id": "c_0", "result": {"type": "succeeded", "message": message("x", input_tokens=-1)}}
    [odd] = results(side, asked)
    assert isinstance(odd.said, Reply)
    assert (odd.said.text, odd.said.usage) == ("x", None)


def test_broken_json_is_a_line_like_any_other(side: BatchSide) -> None:
    """A file that was cut off by its writer: what was said in full counts."""
    name = made(side)
    side.end()
    side.refuse["GET results"] = httpx2.Response(
        200, content=b'{"custom_id": "c_0", "result": {"type": "expired"}}\n\n{"custom_id": "c_1", "res'
    )
    found = side.batches_for().results(name)
    assert isinstance(found, list)
    assert [(r.custom_id, fault(r.said).billed) for r in found] == [("c_0", Billed.NO), ("", Billed.MAYBE)]


def test_results_come_from_where_the_key_belongs(side: BatchSide) -> None:
    """I11: the address that an answer names is not followed, nor is a redirect: the key goes to no other host."""
    name = made(side)
    side.end()
    assert isinstance(side.batches_for().results(name), list)
    assert side.seen == ["POST create", "GET results"]
    side.refuse["GET results"] = httpx2.Response(302, headers={"location": "http://elsewhere.example/"})
    assert isinstance(side.batches_for().results(name), Fault)
    assert side.seen == ["POST create", "GET results", "GET results"]


# --- who has batches ------------------------------------------------------------------------------------------------


def test_only_some_providers_have_batches() -> None:
    """An OpenAI-compatible server is asked at once."""
    settings = Settings(provider="openai", model="local", model_prices="local=0/0")
    assert batches_of("openai", OpenAICompatible.of(settings)) is None
    assert isinstance(batches_of("anthropic", ClaudeClient.of(Settings())), ClaudeBatches)
