"""A whole product of a test's own, as `./aiw up` starts it, with what only somebody beside it can do to it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pg8000.native
import pytest

from cli.client import Options
from cli.demo_stack import DemoStack

API: Final = "/api/v1"
# Everything that a request could leave behind.
KEPT: Final = (
    "tasks", "task_events", "plans", "approvals", "decisions", "step_attempts", "idempotency_keys", "setting_versions",
    "people", "memberships", "tokens", "calls",
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def media(self) -> str:
        """Its content type, without parameters."""
        return self.headers.get_content_type()

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Its body, which has to be JSON."""
        return json.loads(self.raw)


class Product:
    """A running stack, its front door, its database, its parts."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.stack = DemoStack(Options(data=Path(), port=0, json=False, lang="en"))

    @property
    def port(self) -> int:
        """Of the front door."""
        return self.stack.options.port

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.stack.options.data

    @cached_property
    def token(self) -> str:
        """The administrator's."""
        return (self.data / "secrets" / "admin.token").read_text().strip()

    @property
    def server(self) -> dict[str, Any]:
        """What runs on the data folder."""
        found: dict[str, Any] = json.loads((self.data / "run" / "server.json").read_text())
        return found

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        seconds: float = 60,
    ) -> Said:
        """One request through the front door, `body` as JSON unless `headers` say else. OSError, HTTPException."""
        given = {"Authorization": f"Bearer {token or self.token}"}
        if body is not None:
            given["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            return Said(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - any JSON
        """As `ask`, of the API, with JSON in and out; AssertionError unless it is accepted."""
        data = None if body is None else json.dumps(body).encode()
        said = self.ask(method, API + path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        assert said.status < 300, (method, path, said.status, said.raw)
        return said.json if said.raw else None

    def database(self) -> pg8000.native.Connection:
        """A connection as the database's owner; close it."""
        parts = urlsplit(str(self.server["database_url"]))
        [unix_socket] = parse_qs(parts.query)["unix_sock"]
        return pg8000.native.Connection(parts.username or "", unix_sock=unix_socket, database=parts.path.lstrip("/"))

    def rows(self, sql: str, **values: object) -> list[list[Any]]:
        """The rows of one statement."""
        database = self.database()
        try:
            found: list[list[Any]] = database.run(sql, **values)
            return found
        finally:
            database.close()

    def counts(self) -> dict[str, int]:
        """How many rows there are of all that a request could leave behind."""
        parts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in KEPT)  # noqa: S608 - our own names
        return dict(self._counter.run(parts))

    @cached_property
    def _counter(self) -> pg8000.native.Connection:
        return self.database()

    def stop(self) -> None:
        """Drain it and remove everything."""
        if "_counter" in self.__dict__:
            self._counter.close()
        self.stack.stop()


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A whole stack of a module's own, with two hosts that nobody serves."""
    found = Product()
    try:
        found.stack.start({"AIW_HOSTS": "api.example.com, pay.example.com;idempotent"})
        yield found
    finally:
        found.stop()
