"""HEAD is served wherever GET is: the same status and headers, no body, and no stream that never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from common.head import headed
from common.routes import FUNCTIONS, ROUTES, FunctionName
from tests.unit.desk import Desk, desk

PLAN = {"plan": {"steps": [{"id": "a", "action": "value", "args": {"value": 1}}]}}
OWN = {"date", "etag", "x-call-id"}
OPEN: list[tuple[FunctionName, str]] = [(name, path) for name in FUNCTIONS for path in ("/_/health", "/_/ready")]
PAGES: list[tuple[FunctionName, str]] = [("dashboard", path) for path in ("/", "/sign-in", "/nothing", "/api/v1/tasks")]


@pytest.fixture(scope="module")
def started() -> Iterator[Desk]:
    """The five functions over memory."""
    with desk() as it:
        yield it


@pytest.fixture(scope="module")
def admin(started: Desk) -> dict[str, str]:
    """An admin's headers."""
    return started.token("admin")


@pytest.fixture(scope="module")
def task(started: Desk, admin: dict[str, str]) -> str:
    """The id of a task that has ended."""
    made = started.clients["analyze"].post("/api/v1/tasks", json=PLAN, headers=admin).json()["id"]
    started.wake("execute")
    return str(made)


def seen(desk: Desk, name: FunctionName, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer; one to HEAD has no body."""
    answer = desk.clients[name].request(method, path, headers=headers, follow_redirects=False)
    assert method == "GET" or answer.content == b""
    return answer.status_code, {key: value for key, value in answer.headers.items() if key not in OWN}


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "GET"], ids=lambda r: r.name)
def test_every_route_that_has_get_has_head(started: Desk, admin: dict[str, str], task: str, route: Any) -> None:  # noqa: ANN401 - pytest's parameter
    """Status and headers are those of GET, the length of what GET would send included; and GET's role is needed."""
    path = route.path.replace("{id}", task).replace("{step}", "a").replace("{name}", "hosts")
    got = seen(started, route.function, "GET", path, admin)
    assert seen(started, route.function, "HEAD", path, admin) == got
    assert seen(started, route.function, "HEAD", path, {}) == seen(started, route.function, "GET", path, {})


@pytest.mark.parametrize(("name", "path"), OPEN + PAGES)
def test_what_is_no_route_of_the_table_too(started: Desk, name: FunctionName, path: str) -> None:
    """Probes, pages, what is not there and what nobody signed in for."""
    assert seen(started, name, "HEAD", path, {}) == seen(started, name, "GET", path, {})


def test_a_path_without_get_has_no_head(started: Desk, admin: dict[str, str]) -> None:
    """It is refused as GET is, with what is allowed."""
    status, headers = seen(started, "analyze", "HEAD", "/api/v1/preview", admin)
    assert (status, headers["allow"]) == (405, "POST")


def test_a_stream_is_not_begun(started: Desk, admin: dict[str, str], task: str) -> None:
    """Its headers are answered at once, and no watcher is left behind."""
    live = started.clients["analyze"].post("/api/v1/tasks", json=PLAN, headers=admin).json()["id"]
    for one in (task, live):
        headers = admin | {"Accept": "text/event-stream"}
        status, answered = seen(started, "dashboard", "HEAD", f"/api/v1/tasks/{one}/events", headers)
        assert (status, answered["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert started.clients["dashboard"].app.state.function.hub._tails == {}  # type: ignore[attr-defined]  # FastAPI's app


def test_telemetry_sees_the_method_and_the_route() -> None:
    """The scope that the outer layers hold keeps HEAD, and learns which route answered."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
        assert scope["method"] == "GET"
        scope["route"] = "found"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise AssertionError("more was made than HEAD asks for")

    sent: list[Message] = []
    scope: Scope = {"type": "http", "method": "HEAD", "path": "/"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def request() -> None:
        await headed(app)(scope, receive, send)

    asyncio.run(request())
    assert (scope["method"], scope["route"]) == ("HEAD", "found")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
