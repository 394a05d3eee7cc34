"""Celery: two tasks, results in Redis. Imported by its workers and by the one who submits."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

app: Any = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.update(worker_prefetch_multiplier=4, result_expires=3600, broker_connection_retry_on_startup=True)


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


first: Any = app.task(_same, name="bench.first")
second: Any = app.task(_same, name="bench.second")
