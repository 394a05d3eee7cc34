"""dramatiq: a pipeline of two actors, results in Redis. Imported by its workers and by the one who submits."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker: Any = RedisBroker(url=os.environ["BENCH_BROKER"])
backend: Any = RedisBackend(url=os.environ["BENCH_RESULTS"])
broker.add_middleware(Results(backend=backend))
dramatiq.set_broker(broker)


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


first: Any = dramatiq.actor(_same, actor_name="first", store_results=True)
second: Any = dramatiq.actor(_same, actor_name="second", store_results=True)
