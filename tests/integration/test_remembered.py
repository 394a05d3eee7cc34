"""Remembered answers on a real PostgreSQL and Valkey: paid once by many processes, and Redis is never believed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from common.adapters.postgres.costs import PostgresCosts
from common.adapters.redis.answers import PREFIX
from common.analysis.cache.shelf import Memory
from common.analysis.chain import chain_of
from common.config import Settings
from common.core.task import Risk, State, Task
from common.ports import Answer, Question
from common.wiring import Container, bootstrap
from tests.contract.ground import Ground
from tests.integration.installation import counted, fresh_metrics, secrets_dir
from tests.metered.knowledge import Knowledge, Known
from tests.metered.server import Metered
from tests.postgres import Place
from tests.unit.desk import over
from tests.wakes import Valkey, valkey

__all__ = ["fresh_metrics", "secrets_dir", "valkey"]  # fixtures

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Please keep an eye on https://api.example.com/prices and take down what it says"


@dataclass
class Product:
    """Intake and analysis over PostgreSQL and Valkey, and a provider that bills."""

    ground: Ground
    container: Container
    client: TestClient
    fake: Metered
    environment: dict[str, str]
    place: Place

    def submit(self, count: int = 1, text: str = TEXT, **request: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any field of a task
        """Hand in equal tasks."""
        body = [{"text": text, **request}] * count
        answer = self.client.post("/api/v1/tasks", json=body, headers={"Authorization": "Bearer aiw_remembered"})
        assert answer.status_code == 201, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def read(self) -> None:
        """Have everything read that was received."""
        self.client.post("/")

    def states(self, tasks: list[dict[str, Any]]) -> list[State]:
        """Where they are now."""
        return [task.state for task in self.ground.queue.get(self.ground.home, [UUID(item["id"]) for item in tasks])]

    @property
    def calls(self) -> int:
        """Calls that were billed."""
        return len(self.fake.rows)


@pytest.fixture
def product(postgres_database: Place, postgres_ground: Ground, valkey: Valkey, secrets_dir: Path) -> Iterator[Product]:
    """Without any pack's linger, escalation or check."""
    ground = postgres_ground
    token = hashlib.sha256(b"aiw_remembered").hexdigest()
    ground.people.issue(ground.home, ground.asks.id, "api", token, None)
    with Metered() as fake, ExitStack() as stack:
        environment = {
            "AIW_DATABASE_URL": postgres_database.url,
            "AIW_DATABASE_ROLE": "aiw_app",
            "AIW_REDIS_URL": valkey.url,
            "AIW_SECRETS_DIR": str(secrets_dir),
            "AIW_FUNCTION": "analyze",
            "AIW_PACK_LINGER": "0",
            "AIW_PACK_CHECKS": "0",
            "AIW_CACHE_CHECKS": "0",
            "AIW_STRONG_MODEL": "",
            "ANTHROPIC_API_KEY": "sk-ant-remembered",
            "ANTHROPIC_BASE_URL": fake.url,
        }
        settings = Settings(
            database_url=SecretStr(postgres_database.url),
            database_role="aiw_app",
            redis_url=valkey.url,
            secrets_dir=secrets_dir,
            function="analyze",
            public_url="http://testserver",
            pack_linger=0,
            pack_checks=0,
            cache_checks=0,
            strong_model="",
            anthropic_api_key=SecretStr("sk-ant-remembered"),
            anthropic_base_url=fake.url,
        )
        container = bootstrap(settings)
        stack.callback(container.close)
        client = stack.enter_context(TestClient(over("analyze", container, stack)))
        yield Product(ground, container, client, fake, environment, postgres_database)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_fifty_equal_tasks_at_once_over_two_processes_pay_once(product: Product) -> None:
    """Single flight: one call is billed, all fifty are decided by its answer, and none of them lost an attempt."""
    product.fake.account.seconds = 1.0
    tasks = product.submit(50)
    environment = {**os.environ, **product.environment}
    command = [sys.executable, "-m", "tests.analyze_process"]
    workers = [subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        until(lambda: set(product.states(tasks)) == {State.QUEUED})
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert product.calls == 1
    stored = product.ground.queue.get(product.ground.home, [UUID(item["id"]) for item in tasks])
    assert sorted(task.plan.source for task in stored if task.plan) == ["cached"] * 49 + ["claude"]
    assert {task.attempts for task in stored} == {0}
    assert all(task.plan and task.plan.steps == stored[0].plan.steps for task in stored if stored[0].plan)


def test_what_was_read_once_is_decided_at_intake(product: Product) -> None:
    """I10: with its plan, by policy, without a claim or a call; the requester's own priority counts."""
    [first] = product.submit()
    assert first["state"] == "received"
    product.read()
    assert product.states([first]) == [State.QUEUED]
    hits = product.submit(3)
    assert [(hit["state"], hit["plan"]["source"], hit["kind"]) for hit in hits] == [
        ("queued", "cached", "fetch_page")
    ] * 3
    assert [hit["priority"] for hit in hits] == [5] * 3
    assert product.submit(priority=8)[0]["priority"] == 8
    kinds = [record.event.kind for record in product.ground.reads.events(product.ground.home, UUID(hits[0]["id"]))]
    assert kinds == ["submitted"]
    assert product.calls == 1
    assert counted("aiw_cache_total", side="redis", ended="hit") == 4


def test_redis_wiped_or_gone_costs_time_and_no_money(product: Product, valkey: Valkey) -> None:
    """The database remembers: wiped, it is filled again by the next reading; away, tasks are read as before it was."""
    product.submit()
    product.read()
    assert product.submit()[0]["state"] == "queued"
    valkey.client().flushall()
    [wiped] = product.submit()
    assert wiped["state"] == "received"
    product.read()
    assert product.states([wiped]) == [State.QUEUED]
    assert product.submit()[0]["state"] == "queued"
    valkey.kill()
    began = time.monotonic()
    away = product.submit(10)
    assert time.monotonic() - began < 1
    assert {task["state"] for task in away} == {"received"}
    product.read()
    assert set(product.states(away)) == {State.QUEUED}
    assert product.calls == 1


def test_a_forged_plan_reaches_no_task(product: Product, valkey: Valkey) -> None:
    """Whoever can write to Redis can make us look again, and nothing else."""
    product.submit()
    product.read()
    client = valkey.client()
    [mine] = list(client.keys(f"{PREFIX}:*"))
    original = client.get(mine)
    assert isinstance(original, bytes)
    document = orjson.loads(original[32:])
    document["answer"]["steps"] = [
        {"id": "a", "action": "http.request", "args": {"method": "POST", "url": "https://evil.example/"}}
    ]
    document["answer"]["risk"] = "low"
    for forged in (original[:32] + orjson.dumps(document), os.urandom(200), b"x" * 200_000):
        client.set(mine, forged)
        [task] = product.submit()
        assert (task["state"], task["plan"]) == ("received", None)
        product.read()
        assert product.states([task]) == [State.QUEUED]
    assert counted("aiw_cache_forged_total") == 3
    [task] = product.submit()  # the analysis has put the right one back
    assert task["plan"]["steps"][0]["args"]["url"] == "https://api.example.com/prices"
    assert product.calls == 1


def test_a_check_that_disagrees_is_in_the_ledger_and_drops_the_answer(product: Product) -> None:
    """Asked again and answered otherwise: the task has the higher risk, the month says so, nobody is served by it."""
    [first] = product.submit()
    product.read()
    made = product.container
    settings = made.settings.model_copy(update={"cache_checks": 1.0})
    memory = Memory(answers=made.answers, front=made.front, worker="checks")
    checking = chain_of(settings, made.budget, made.catalogue, memory=memory)
    [task] = product.ground.queue.get(product.ground.home, [UUID(first["id"])])
    fresh = Task(id=task.id, workspace=task.workspace, state=State.ANALYZING, request=task.request)
    question = Question(task=fresh, policy=made.workspace.policy(product.ground.home))
    [agreed] = checking.analyze([question])
    assert isinstance(agreed, Answer)
    assert (agreed.source, agreed.risk) == ("claude", Risk.LOW)
    product.fake.account.says = Knowledge(
        {TEXT: Known(kind="other", summary="", steps=(("a", "value", {"value": 1}),))}
    ).says
    [differs] = checking.analyze([question])
    checking.close()
    assert isinstance(differs, Answer)
    assert differs.risk is Risk.HIGH
    sums = PostgresCosts(product.place.app).month(product.ground.home).whys["analysis", "cache_check"]
    assert (sums.tasks, sums.disagreements) == (2, 1)
    assert made.answers.listed(product.ground.home, 10) == []
    assert product.submit()[0]["state"] == "received"


def test_a_recipe_is_read_at_intake(product: Product) -> None:
    """What the rules can read waits for nobody: it is decided in the statement that stores it, and never remembered."""
    tasks = product.submit(3, "fetch https://api.example.com/prices")
    assert [(task["state"], task["plan"]["source"]) for task in tasks] == [("queued", "rules")] * 3
    [risky] = product.submit(1, 'POST {"order": 17} to https://api.example.com/orders')
    assert risky["state"] == "awaiting_approval"
    assert product.calls == 0
    assert product.container.answers.listed(product.ground.home, 10) == []
