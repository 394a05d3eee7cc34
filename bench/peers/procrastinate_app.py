"""Procrastinate: a job that defers another, which stores the result in a table (Procrastinate itself stores none)."""

from __future__ import annotations

import json
import os
from typing import Any

from procrastinate import App, PsycopgConnector

app: Any = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_BROKER"]))
RESULTS = "CREATE TABLE IF NOT EXISTS results (id bigint PRIMARY KEY, value json NOT NULL)"


async def _first(number: int, value: dict[str, Any]) -> None:
    await second.defer_async(number=number, value=value)


async def _second(number: int, value: dict[str, Any]) -> None:
    await app.connector.execute_query_async(
        "INSERT INTO results (id, value) VALUES (%(id)s, %(value)s)", id=number, value=json.dumps(value)
    )


first: Any = app.task(_first, name="first")
second: Any = app.task(_second, name="second")
