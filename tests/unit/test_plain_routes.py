"""Plain routes are served before FastAPI's own middlewares, with the same answers as behind them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from common.core.errors import Conflict
from common.table_route import JsonBytes, PlainRoute, shortened


class Served:
    """One request to `POST /`, whose endpoint answers or raises; beside it there is only the long way."""

    def __init__(self, fault: Exception | None = None) -> None:
        """`fault`: what the endpoint raises."""
        self._fault = fault
        self.scope: Scope = {}
        self.sent: list[Message] = []

    def ask(self, path: str = "/", method: str = "POST") -> Served:
        """Send it; raises what goes up."""
        self.scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        app = shortened(self._long_way, [PlainRoute("/", self._endpoint, methods=["POST"], name="wake")])

        async def request() -> None:
            await app(self.scope, self._receive, self._send)

        asyncio.run(request())
        return self

    @property
    def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and JSON; the answer is one head and one body."""
        head, body = self.sent
        return head["status"], json.loads(body["body"])

    async def _endpoint(self, _request: Request) -> Response:
        if self._fault is not None:
            raise self._fault
        return JsonBytes(b'{"plain":true}')

    async def _long_way(self, scope: Scope, receive: Receive, send: Send) -> None:
        await JsonBytes(b'{"plain":false}')(scope, receive, send)

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


def test_a_plain_route_is_served_by_its_path_and_named_for_telemetry() -> None:
    """Its template is in the scope, as FastAPI's routes leave theirs."""
    served = Served().ask()
    assert served.answer == (200, {"plain": True})
    assert served.scope["route"].path == "/"


@pytest.mark.parametrize(("path", "method"), [("/other", "POST"), ("/", "GET")])
def test_all_others_go_the_long_way(path: str, method: str) -> None:
    """Another path or another method is FastAPI's to answer."""
    assert Served().ask(path, method).answer == (200, {"plain": False})


def test_an_error_of_ours_is_a_problem() -> None:
    """It is answered by the place that makes errors HTTP, and goes no further."""
    status, problem = Served(Conflict("it was decided already")).ask().answer
    assert (status, problem["type"]) == (409, "/problems/conflict")


def test_a_stranger_is_answered_without_its_words_and_goes_up() -> None:
    """I11: whoever asked learns that it was an error of ours; the log gets the exception itself."""
    served = Served(RuntimeError("aiw_hidden"))
    with pytest.raises(RuntimeError, match="aiw_hidden"):
        served.ask()
    status, problem = served.answer
    assert (status, problem["type"]) == (500, "/problems/internal")
    assert "aiw_hidden" not in json.dumps(problem)
