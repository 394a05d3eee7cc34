"""A browser at the pages, over the five functions in this process: what unit tests of pages and forms stand on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.concurrency import run_in_threadpool
from starlette.testclient import TestClient

from common.auth import code_hash
from common.core.task import Json
from common.routes import FUNCTIONS, FunctionName
from functions.dashboard.handler import app
from tests.unit.desk import Desk, desk

REFUND: dict[str, Json] = {
    "plan": {
        "steps": [
            {
                "id": "refund",
                "action": "http.request",
                "args": {"method": "POST", "url": "https://pay.example.com/refunds", "json": {"amount": 39000}},
            }
        ]
    }
}
HERE = {"Origin": "http://testserver"}


def valued(value: Json) -> dict[str, Json]:
    """A task that is typed: its one step is this value, and so is its result."""
    return {"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": value}}]}}


VALUE = valued({"secret_looking": 39000})


class Inside(httpx2.AsyncBaseTransport):
    """Takes what a form sends on to the function that it names, in this process."""

    def __init__(self, at: Desk) -> None:
        """`at`: whose clients answer."""
        self.at = at

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        name: FunctionName = next(f for f in FUNCTIONS if f == request.url.path.split("/")[2])
        path = request.url.raw_path.decode().removeprefix(f"/function/{name}")
        body = await request.aread()
        headers = {
            k: v
            for k, v in request.headers.items()
            if k in {"authorization", "content-type", "if-match", "accept-language"}
        }
        client = self.at.clients[name]
        got = await run_in_threadpool(lambda: client.request(request.method, path, content=body, headers=headers))
        return httpx2.Response(got.status_code, content=got.content, headers={"content-type": "application/json"})


@contextmanager
def browsed(secrets: Path) -> Iterator[Desk]:
    """The five functions over memory, with a signing key in `secrets`; forms reach them."""
    (secrets / "signing.key").write_bytes(b"k" * 32)
    with desk(secrets_dir=str(secrets)) as it:
        app.state.function.way = Inside(it)
        yield it


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """The five functions over memory, with a signing key."""
    with browsed(tmp_path) as it:
        yield it


def browser(at: Desk, role: str | None = None) -> TestClient:
    """A browser of its own, signed in as a new person of that role."""
    client = TestClient(app, follow_redirects=False)
    if role is not None:
        secret = at.token(role, f"{role} at the page")["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]  # a role's name
        client.cookies.set("aiw", secret)
    return client


def csrf_in(page: str) -> str:
    """The token of the page's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def code_for(at: Desk, role: str = "operator") -> str:
    """A sign-in code of a new person."""
    person = at.container.people.add_person(at.workspace, "Jiwoo", role)  # type: ignore[arg-type]  # a role's name
    at.container.people.issue(at.workspace, person.id, "sign_in_code", code_hash("7F3K-QM2P"), None)
    return "7F3K-QM2P"


def submitted(at: Desk, body: object) -> str:
    """The id of a submitted task."""
    headers = at.token("operator", "who submits")
    return str(at.clients["analyze"].post("/api/v1/tasks", json=body, headers=headers).json()["id"])
