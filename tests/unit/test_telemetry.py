"""Log lines and metrics: one line however it ends, and no secret in any of them."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from io import StringIO
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from common import telemetry
from common.core.after_step import Unknown
from common.core.errors import NotFound
from common.metrics import Metrics
from common.ports import Refusal
from common.telemetry import (
    JsonLines,
    canonical,
    count_attempt,
    count_refusal,
    count_transitions,
    log,
    log_death,
    metrics,
    note,
    observed,
    serve_metrics,
)


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What our logger writes."""
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield out
    log.removeHandler(handler)
    log.setLevel(level)


def only(lines: StringIO) -> dict[str, Any]:
    """The one line that was written."""
    [line] = lines.getvalue().splitlines()
    value: dict[str, Any] = json.loads(line)
    return value


def test_one_line_tells_how_it_went(lines: StringIO) -> None:
    """What callers learned stands in the line, with outcome and duration."""
    with canonical({"event": "wake", "function": "execute"}) as line:
        line["claimed"] = 3
    written = only(lines)
    assert written["function"] == "execute"
    assert written["claimed"] == 3
    assert written["outcome"] == "ok"
    assert written["ms"] >= 0
    assert written["at"].endswith("Z")


def test_an_error_is_named_never_quoted(lines: StringIO) -> None:
    """I11: the message of an exception may hold a secret; its public code, or its type, is enough."""
    with pytest.raises(NotFound), canonical({"event": "request"}):
        raise NotFound("aiw_secret")
    assert only(lines)["outcome"] == "not_found"
    assert "aiw_secret" not in lines.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        "aiw_0123456789abcdef", "sk-ant-api03-xyz", "Bearer abc", "Authorization: Bearer abc", "postgresql://u:pw@h/db",
        "refund order 17 of Kim", "line\nbreak", "x" * 101, '{"json": 1}',
    ],
)  # fmt: skip
def test_what_does_not_look_like_a_code_is_masked(lines: StringIO, value: str) -> None:
    """I11: tokens, keys, credentials in addresses and anybody's prose are replaced."""
    note("test", what=value)
    assert only(lines)["what"] == "?"


@pytest.mark.parametrize(
    "value",
    [
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "/api/v1/tasks/{id}",
        "aiw.task.queued",
        "task-7",
        "execute@host:12",
        "GET",
        12,
        0.5,
        True,
        None,
    ],
)
def test_ids_numbers_and_codes_are_kept(lines: StringIO, value: telemetry.Fact) -> None:
    """What a line is read for survives the mask."""
    note("test", what=value)
    assert only(lines)["what"] == value


def test_foreign_records_show_their_place_and_not_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    """I11: another library's message is not ours to trust; an exception leaves type and places, no values."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, log.level)
    try:
        telemetry.configure_logging()
        try:
            raise ValueError("aiw_hidden")  # noqa: TRY301 - the secret under test
        except ValueError:
            logging.getLogger("some.library").exception("connecting to postgresql://u:%s@h", "hunter2")
    finally:
        root.handlers[:], level, own = before[0], before[1], before[2]
        root.setLevel(level)
        log.setLevel(own)
    written = json.loads(capsys.readouterr().err)
    assert written["logger"] == "some.library"
    assert written["error"] == "ValueError"
    assert "test_telemetry.py" in written["trace"]
    assert "hunter2" not in str(written)
    assert "aiw_hidden" not in str(written)


def test_each_kind_of_event_is_counted() -> None:
    """Every method moves its own counter by what it was told."""
    counted = Metrics(CollectorRegistry())
    counted.wake("execute", "ran")
    counted.claim(7, 0.002)
    counted.claim(0, 0.001)
    counted.transitions({"started": 7, "succeeded": 6})
    counted.attempt("done", 6)
    counted.refused("paused")
    counted.request("analyze", "submit", 201, 0.004)
    value = counted.registry.get_sample_value
    assert [s.name for m in counted.registry.collect() for s in m.samples if s.name.startswith("aiw_build")] == [
        "aiw_build_info"
    ]
    assert value("aiw_wakes_total", {"function": "execute", "answer": "ran"}) == 1
    assert value("aiw_claims_total") == 2
    assert value("aiw_claimed_tasks_total") == 7
    assert value("aiw_claim_seconds_sum") == pytest.approx(0.003)
    assert value("aiw_transitions_total", {"kind": "succeeded"}) == 6
    assert value("aiw_attempts_total", {"outcome": "done"}) == 6
    assert value("aiw_gate_refusals_total", {"why": "paused"}) == 1
    assert value("aiw_requests_total", {"function": "analyze", "route": "submit", "status": "201"}) == 1
    assert value("aiw_request_seconds_sum", {"function": "analyze"}) == pytest.approx(0.004)


def test_metrics_are_served_on_a_port_of_their_own() -> None:
    """`/metrics` answers on the given port, and 0 opens none."""
    serve_metrics(0)
    metrics().attempt("done")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve_metrics(port)
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b"aiw_attempts_total" in answer.read()


# --- requests -------------------------------------------------------------------------------------------------------


class Route:
    """What FastAPI leaves in the scope."""

    def __init__(self, path: str) -> None:
        """`path`: the template."""
        self.path = path


def served(route: str, status: int | BaseException, method: str = "POST") -> None:
    """Pass one request through the middleware, to an app that answers `status` or raises it."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scope["route"] = Route(route)
        if isinstance(status, BaseException):
            raise status
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        return None

    async def request() -> None:
        await observed(app, "execute")({"type": "http", "method": method, "path": "/x?token=aiw_1"}, receive, send)

    asyncio.run(request())


def test_every_request_leaves_one_line(capsys: pytest.CaptureFixture[str], lines: StringIO) -> None:
    """Route template, status and duration, as valid JSON; never the path, which a person typed."""
    served("/api/v1/tasks/{id}", 200, "GET")
    written = json.loads(capsys.readouterr().err)
    assert written["route"] == "/api/v1/tasks/{id}"
    assert written["status"] == 200
    assert written["function"] == "execute"
    assert written["ms"] >= 0
    assert lines.getvalue() == ""


def test_health_checks_leave_no_line_unless_they_fail(capsys: pytest.CaptureFixture[str], lines: StringIO) -> None:
    """What is asked every few seconds is only heard when something is wrong."""
    served("/_/ready", 200, "GET")
    assert capsys.readouterr().err == ""
    served("/_/ready", 503, "GET")
    assert only(lines)["status"] == 503


def test_a_crash_leaves_its_places(lines: StringIO) -> None:
    """A 500's line has the type and the places of what was raised, and not its words (I11)."""
    with pytest.raises(ValueError, match="aiw_hidden"):
        served("/api/v1/tasks", ValueError("aiw_hidden"))
    written = only(lines)
    assert (written["status"], written["error"]) == (500, "ValueError")
    assert "test_telemetry.py" in written["trace"]
    assert "aiw_hidden" not in lines.getvalue()


def test_a_client_that_went_away_is_no_failure(capsys: pytest.CaptureFixture[str], lines: StringIO) -> None:
    """A request cancelled from outside is 499, not an error of ours."""
    with pytest.raises(asyncio.CancelledError):
        served("/api/v1/events", asyncio.CancelledError())
    assert json.loads(capsys.readouterr().err)["status"] == 499
    assert lines.getvalue() == ""


def test_wakes_are_counted_by_answer() -> None:
    """A wake ran a loop, joined one, or failed."""

    def count(answer: str) -> float:
        return metrics().registry.get_sample_value("aiw_wakes_total", {"function": "execute", "answer": answer}) or 0

    before = [count(answer) for answer in ("ran", "joined", "failed")]
    for status in (200, 202, 503):
        served("/", status)
    assert [count(answer) for answer in ("ran", "joined", "failed")] == [number + 1 for number in before]


def test_what_the_functions_count_reaches_its_counter() -> None:
    """Transitions by kind, attempts by outcome, refusals of the gate."""

    def value(name: str, **labels: str) -> float:
        return metrics().registry.get_sample_value(name, labels) or 0

    before = value("aiw_transitions_total", kind="started")
    count_transitions(["started", "succeeded", "started"])
    assert value("aiw_transitions_total", kind="started") == before + 2
    before = value("aiw_attempts_total", outcome="unknown")
    count_attempt(Unknown("lease lost"))
    assert value("aiw_attempts_total", outcome="unknown") == before + 1
    before = value("aiw_gate_refusals_total", why="paused")
    count_refusal(Refusal.PAUSED)
    assert value("aiw_gate_refusals_total", why="paused") == before + 1


def test_a_dead_thread_is_named(lines: StringIO) -> None:
    """The process follows a thread that must not end, and its last line says which and why."""
    log_death("group-commit", RuntimeError("aiw_hidden"))
    written = only(lines)
    assert (written["event"], written["thread"], written["error"]) == ("thread_died", "group-commit", "RuntimeError")
    assert "aiw_hidden" not in lines.getvalue()
