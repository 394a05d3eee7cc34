"""What a remembered answer costs intake, beside a typed plan: `python -m bench.cached`. No database.

Measured in pairs, typed and cached by turns, so that both meet the same machine: arrays of 1,000 (400 different ones)
as intake decides them, from parsed JSON to decided tasks, on one core; and single submissions, with the look into
Valkey and the way through a thread.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import redis
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool

from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.store import MemoryStore
from common.adapters.redis.answers import RedisAnswers
from common.analysis.cache.shelf import Memory
from common.analysis.chain import chain_of
from common.config import Settings
from common.core.policy import Host, Policy
from common.core.task import Json, Risk, State, Step
from common.ports import Answer, NewTask, Principal, Question
from common.wiring import Container, bootstrap
from functions.analyze.recalled import as_task
from functions.analyze.submit import new_tasks
from infra.local.binaries import valkey_server

ARRAY: Final = 1000
DISTINCT: Final = 400  # texts; the rest of an array repeats them
ROUNDS: Final = 25
SINGLE: Final = 2000
WHO: Final = Principal(
    person=UUID(int=2), person_name="bench", workspace=UUID(int=1), role="operator", kind="api", token_sha256="0" * 64
)
POLICY: Final = Policy(version=1, hosts=(Host(name="api.example.com"),))


@contextmanager
def valkey() -> Iterator[str]:
    """The URL of a Valkey that ends with this."""
    with tempfile.TemporaryDirectory(prefix="aiwb", dir="/tmp") as folder:
        process = subprocess.Popen(
            [valkey_server(), "--port", "0", "--unixsocket", "v.sock", "--dir", ".", "--save", ""],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        url = f"unix://{folder}/v.sock"
        try:
            client = redis.Redis.from_url(url)
            while not (Path(folder) / "v.sock").exists():
                time.sleep(0.01)
            client.ping()
            client.close()
            (Path(folder) / "signing.key").write_text("bench")
            yield url
        finally:
            process.kill()
            process.wait()


def text_of(number: int) -> str:
    """A request that no recipe reads."""
    return f"Please look through https://api.example.com/prices/{number} and keep what it says of the cheapest offer"


def steps_of(number: int) -> tuple[Step, ...]:
    """Its plan."""
    args: dict[str, Json] = {"method": "GET", "url": f"https://api.example.com/prices/{number}"}
    return (Step(id="page", action="http.request", args=args),)


def container_with(url: str) -> Container:
    """Intake's, whose analyzer remembers every text of `text_of`."""
    folder = Path(url.removeprefix("unix://")).parent
    settings = Settings(
        redis_url=url,
        secrets_dir=folder,
        function="analyze",
        anthropic_api_key=SecretStr("bench"),
        cache_checks=0,
        database_url=SecretStr("postgresql+pg8000://nobody@localhost/none"),
    )
    made = bootstrap(settings)
    store = MemoryStore(lambda: datetime.now(UTC))
    front = RedisAnswers(url, folder)
    memory = Memory(answers=MemoryAnswers(store), front=front, worker="bench")
    analyzer = chain_of(settings, made.budget, made.catalogue, memory=memory)
    wired = replace(made, analyzer=analyzer)
    _learn(wired, analyzer)
    return wired


def _learn(wired: Container, analyzer: object) -> None:
    """Have every text answered once, without a provider."""
    cached = getattr(analyzer, "_model")  # noqa: B009 - the part of a chain that nobody else needs to reach
    tasks = new_tasks([{"text": text_of(n)} for n in range(DISTINCT)], wired, WHO, "en", POLICY)
    questions = [Question(task=as_task(task), policy=POLICY) for task in tasks]
    answers = [
        Answer(kind="fetch_page", steps=steps_of(n), source="claude", risk=Risk.LOW, summary="Keeps it.", cost=1)
        for n in range(DISTINCT)
    ]
    cached.learn(questions, answers)


def typed() -> list[Json]:
    """An array of typed plans."""
    return [{"plan": {"steps": [s.model_dump() for s in steps_of(n % DISTINCT)]}} for n in range(ARRAY)]


def texts() -> list[Json]:
    """An array of texts that were read before."""
    return [{"text": text_of(n % DISTINCT)} for n in range(ARRAY)]


def decided(made: tuple[NewTask, ...]) -> None:
    """Every task has its plan."""
    if {task.target for task in made} != {State.QUEUED}:
        raise SystemExit("bench: not decided")


def arrays(wired: Container) -> tuple[list[float], list[float]]:
    """Tasks a second, typed and cached, round by round."""
    found: tuple[list[float], list[float]] = ([], [])
    bodies = (typed(), texts())
    for number in range(ROUNDS + 2):
        for kind, body in enumerate(bodies):
            began = time.perf_counter()
            made = new_tasks(body, wired, WHO, "en", POLICY)
            took = time.perf_counter() - began
            decided(made)
            if number >= 2:  # noqa: PLR2004 - the first two only warm it up
                found[kind].append(ARRAY / took)
    return found


async def singles(wired: Container) -> tuple[list[float], list[float]]:
    """Milliseconds of one submission's decision: typed in the loop, cached through a thread."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(SINGLE):
        n = number % DISTINCT
        began = time.perf_counter()
        new_tasks({"plan": {"steps": [s.model_dump() for s in steps_of(n)]}}, wired, WHO, "en", POLICY)
        found[0].append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        decided(await run_in_threadpool(new_tasks, {"text": text_of(n)}, wired, WHO, "en", POLICY))
        found[1].append((time.perf_counter() - began) * 1000)
    return found


def at(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main(say: Callable[[str], object] = sys.stdout.write) -> int:
    """Measure and say it."""
    with valkey() as url:
        wired = container_with(url)
        by_array = arrays(wired)
        one = asyncio.run(singles(wired))
        wired.close()
    for name, rates in zip(("typed", "cached"), by_array, strict=True):
        say(f"{name:7} arrays of {ARRAY:,}: {statistics.median(rates):8,.0f} tasks/s (best {max(rates):,.0f})\n")
    for name, times in zip(("typed", "cached"), one, strict=True):
        say(f"{name:7} singly: {at(times, 0.5):.3f} ms, 99 % under {at(times, 0.99):.3f} ms\n")
    added = [cached - plan for plan, cached in zip(*one, strict=True)]
    say(f"a hit adds {at(added, 0.5):.3f} ms to a submission, 99 % under {at(added, 0.99):.3f} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
