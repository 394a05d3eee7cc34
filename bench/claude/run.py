"""One way, measured: a real `./aiw up` whose provider is the metered fake. The bill is the fake's, the ledger is asked.

Nothing of the product is replaced: nginx, intake, PostgreSQL, Valkey, packs that the claim forms, the budget door.
Tasks may not begin before tomorrow, so they are read and decided, and none is carried out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2
import orjson
import pg8000.native

from bench.claude.ways import STRONG, Way
from bench.claude.workload import Submitted, Workload
from bench.front_door import request, send_all
from bench.stack import Stack
from tests.metered.knowledge import Knowledge
from tests.metered.meter import Row
from tests.metered.server import Metered

# Handed in by so many, the next when fewer than that are unread: how busy the machine is changes no figure.
ARRAY: Final = 25
AHEAD: Final = 20
# In economy by more, the next when none is unread: as if each had come within the hour that a batch takes.
ECONOMY_ARRAY: Final = 100
MESSAGE_SECONDS: Final = 0.1  # how long the fake thinks: calls overlap, as they would
SECONDS_TO_READ: Final = 60.0  # of each array
# What plans of the workload may name. Nobody is there: nothing is carried out.
INSTALLATION: Final = {
    "ANTHROPIC_API_KEY": "bench",
    "AIW_FUNCTIONS": "ocr=http://127.0.0.1:9/",
    "AIW_CHANNELS": "ops=http://127.0.0.1:9/",
    "AIW_BUDGET_USD": "1000",  # it is what the ways cost that is asked here, not how money near its limit is saved
    "AIW_CACHE_CHECKS": "0.01",
    "AIW_PACK_CHECKS": "0.02",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Of all messages, by kind."""

    input: int
    output: int
    cache_read: int
    cache_write: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a way cost. `calls` are messages that the provider answered, in a batch or not."""

    way: str
    tasks: int
    calls: int
    strong_calls: int
    nanodollars: int
    strong_nanodollars: int
    booked: int
    reasons: Mapping[str, int]
    tokens: Tokens
    seconds: float

    @property
    def usd(self) -> float:
        """Dollars."""
        return self.nanodollars / 10**9

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {**asdict(self), "usd": self.usd}


def measure(way: Way, work: Workload) -> Measured:
    """The whole workload. RuntimeError if a task was not read, or if the ledger is not the bill."""
    with Metered(Knowledge(work.known).says, seconds=MESSAGE_SECONDS) as fake:
        fake.account.meter.keeps = way.prompt_cache
        with Stack(**INSTALLATION, **way.settings, ANTHROPIC_BASE_URL=fake.url) as stack:
            began = time.monotonic()
            owner = stack.owner()
            try:
                _hand_in(stack, owner, way, work.tasks)
                took = time.monotonic() - began
                booked, reasons = _ledger(owner)
            finally:
                owner.close()
        return _measured(way, len(work.tasks), fake.rows, booked, reasons, took)


def say(line: str) -> None:
    """Progress, beside the report."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _hand_in(stack: Stack, owner: pg8000.native.Connection, way: Way, tasks: Sequence[Submitted]) -> None:
    """Array after array, each once the one before is mostly read; until all are."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    size, ahead = (ECONOMY_ARRAY, 0) if way.economy else (ARRAY, AHEAD)
    for start in range(0, len(tasks), size):
        body = [
            {"text": task.text, "lang": task.lang, "not_before": later, "economy": way.economy}
            for task in tasks[start : start + size]
        ]
        wire = request("POST", "/tasks", stack.token, orjson.dumps(body))
        asyncio.run(send_all(stack.port, [wire], 1, lambda _: None))
        last = start + size >= len(tasks)
        _until_read(stack, owner, way, 0 if last else ahead)


def _until_read(stack: Stack, owner: pg8000.native.Connection, way: Way, left: int) -> None:
    """Return once so few are unread. RuntimeError if one went to a person, or it takes too long."""
    until = time.monotonic() + SECONDS_TO_READ
    while True:
        states = dict(owner.run("SELECT state, count(*) FROM tasks GROUP BY 1"))
        if states.get("manual"):
            why = owner.run(
                "SELECT detail::text, count(*) FROM task_events WHERE kind = 'analysis_failed' GROUP BY 1 LIMIT 5"
            )
            raise RuntimeError(f"{way.name}: tasks went to a person: {why}")
        if states.get("received", 0) + states.get("analyzing", 0) <= left:
            return
        if time.monotonic() > until:
            raise RuntimeError(f"{way.name}: not read after {SECONDS_TO_READ:.0f} s: {states}")
        if way.economy:
            # A batch is looked at about once a minute; the fake's is through at once, so nobody has to wait.
            owner.run("UPDATE calls SET poll_at = clock_timestamp() WHERE requests IS NOT NULL AND state = 'reserved'")
            httpx2.post(f"http://127.0.0.1:{stack.port}/function/schedule", timeout=60)
        time.sleep(0.1)


def _ledger(owner: pg8000.native.Connection) -> tuple[int, dict[str, int]]:
    """(what is booked, how many calls by reason)."""
    if owner.run("SELECT 1 FROM calls WHERE state <> 'settled' AND state <> 'voided' LIMIT 1"):
        raise RuntimeError("a call is not settled")
    [[booked]] = owner.run("SELECT coalesce(sum(cost), 0)::bigint FROM calls")
    reasons = owner.run("SELECT reason, count(*) FROM calls WHERE state = 'settled' GROUP BY 1 ORDER BY 1")
    return int(booked), {str(reason): int(count) for reason, count in reasons}


def _measured(
    way: Way, tasks: int, rows: Sequence[Row], booked: int, reasons: Mapping[str, int], took: float
) -> Measured:
    bill = sum(row.nanodollars for row in rows)
    if booked != bill:
        raise RuntimeError(f"{way.name}: the provider bills {bill} nanodollars, the ledger has {booked}")
    strong = [row for row in rows if row.model == STRONG]
    return Measured(
        way=way.name,
        tasks=tasks,
        calls=len(rows),
        strong_calls=len(strong),
        nanodollars=bill,
        strong_nanodollars=sum(row.nanodollars for row in strong),
        booked=booked,
        reasons=reasons,
        tokens=Tokens(
            input=sum(row.used.input for row in rows),
            output=sum(row.used.output for row in rows),
            cache_read=sum(row.used.read for row in rows),
            cache_write=sum(row.used.written_5m + row.used.written_1h for row in rows),
        ),
        seconds=took,
    )
