"""How a route of the table is served: role first, then media type and JSON, then the endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from common.auth import Doorkeeper, require, sha256_of
from common.body import read_json
from common.core.errors import AppError, TooLarge, Unauthenticated, UnsupportedMedia
from common.core.task import Json
from common.ports import Principal
from common.problems import problem
from common.routes import ROUTE, Route

Looks = dict[str, "asyncio.Future[Principal]"]  # tokens that are being looked up, by their hash

JSON: Final = "application/json"
LENGTH_DIGITS: Final = 15  # a petabyte; Python reads no number of thousands of digits
BODY_METHODS: Final = frozenset({"POST", "PUT"})
JUDGED_BY_COMMIT: Final = frozenset({"submit"})  # the INSERT itself checks the token: a look-up before it adds nothing


class KeptHeaders(Headers):
    """Headers that are found in a dict made once; Starlette walks the list at each question (a request has five)."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        """`raw`: as they came, names in small letters (ASGI)."""
        super().__init__(raw=list(raw))
        self._first = dict(reversed(self._list))

    def __getitem__(self, key: str) -> str:
        """The first of that name. KeyError."""
        return self._first[key.lower().encode("latin-1")].decode("latin-1")


class StrictRequest(Request):
    """A request whose JSON was parsed strictly before FastAPI asks for it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """See Request."""
        super().__init__(scope, receive)
        self._headers = KeptHeaders(scope["headers"])
        self._parsed: Json = None

    async def json(self) -> Json:
        """The parsed body."""
        return self._parsed

    async def parse(self, limit: int) -> None:
        """Read the body and parse it. TooLarge, UnsupportedMedia, and as `read_json`.

        Args:
            limit: bytes.
        """
        declared = self.headers.get("content-length", "")
        # Not every server looks at it before us; the body itself is counted below.
        if declared.isdecimal() and (len(declared) > LENGTH_DIGITS or int(declared) > limit):
            raise _too_large(limit)
        self._body = await self._read(limit)
        media = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not self._body and not media:
            self._parsed = {}  # a note that was not given
            return
        if media != JSON:
            msg = f"Content-Type is {media or 'missing'}; send application/json"
            raise UnsupportedMedia(msg)
        self._parsed = read_json(self._body)

    async def _read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            if sum(map(len, parts)) > limit:
                raise _too_large(limit)
            if not message.get("more_body", False):
                return b"".join(parts)


class JsonBytes(Response):
    """JSON that is bytes already; without the encoding of headers that are always the same."""

    def __init__(self, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
        """`headers`: beside length and type, names in small letters."""
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", JSON.encode()), *headers]


class TableRoute(APIRoute):
    """A route of the table: role first, then media type and JSON, then FastAPI's own validation."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """See APIRoute."""
        original = super().get_route_handler()
        route = ROUTE[self.name]

        async def handler(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            await _admit(strict, route)
            return await original(strict)

        return handler


async def _admit(request: StrictRequest, route: Route) -> None:
    """Role first, then media type and JSON."""
    if route.role is not None:
        fresh = route.method != "GET" and route.name not in JUDGED_BY_COMMIT
        principal = await authenticate(request, fresh=fresh)
        require(principal, route.role)
        request.state.principal = principal
    if request.method in BODY_METHODS:
        await request.parse(request.app.state.container.settings.body_bytes)


@dataclass(frozen=True, slots=True)
class Direct:
    """An endpoint that reads its request itself.

    For the hot path: FastAPI's solving of parameters costs as much there as all the rest of a submission (measured).
    """

    call: Callable[[Request], Awaitable[Response]]


class PlainRoute(StarletteRoute):
    """A route without FastAPI's machinery: its endpoint takes the request and answers; what it raises goes up."""

    def __init__(
        self, path: str, endpoint: Callable[[StrictRequest], Awaitable[Response]], *, methods: list[str], name: str
    ) -> None:
        """See Route. `answer` is the endpoint itself."""
        super().__init__(path, _Asgi(endpoint), methods=methods, name=name)
        self.answer = endpoint

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See Route; telemetry counts by the route, as FastAPI's own routes name themselves."""
        match, child = super().matches(scope)
        child["route"] = self
        return match, child


def shortened(app: ASGIApp, routes: Iterable[BaseRoute]) -> ASGIApp:
    """What serves plain routes by their path alone; all others go the long way, through `app`.

    Between it and a route lie six more middlewares and a walk over all routes: a fourth of a wake's time.
    """
    plain = [route for route in routes if isinstance(route, PlainRoute) and "{" not in route.path]
    found = {(method, route.path): route for route in plain for method in route.methods or ()}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        whole = scope["type"] == "http" and not scope.get("root_path")
        route = found.get((scope["method"], scope["path"])) if whole else None
        if route is None:
            await app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = route, {}
        try:
            response = await route.answer(StrictRequest(scope, receive))
        except (AppError, HTTPException) as exc:
            response = problem(Request(scope, receive), exc)
        except Exception as exc:
            # A stranger is answered, and goes up to the log; as Starlette's outermost middleware has it.
            await problem(Request(scope, receive), exc)(scope, receive, send)
            raise
        await response(scope, receive, send)

    return serve


class _Asgi:
    """Starlette takes a function for a handler of requests; an object is served as it is."""

    def __init__(self, answer: Callable[[StrictRequest], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(StrictRequest(scope, receive))
        await response(scope, receive, send)


def direct(route: Route, endpoint: Direct) -> PlainRoute:
    """A route of the table whose endpoint is `Direct`: the same role, media type and JSON, nothing of FastAPI's."""

    async def admitted(request: StrictRequest) -> Response:
        await _admit(request, route)
        return await endpoint.call(request)

    return PlainRoute(route.path, admitted, methods=[route.method], name=route.name)


async def authenticate(request: Request, *, fresh: bool = False) -> Principal:
    """Whose request it is, by its Bearer token. Unauthenticated.

    `fresh`: not as it was remembered. What changes something is not done for a token that was revoked a moment ago.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated
    keeper: Doorkeeper = request.app.state.container.doorkeeper
    token = sha256_of(secret.strip())
    if fresh:
        return await run_in_threadpool(keeper.look_up, token)
    return keeper.remembered(token) or await _looked_up(request.app.state.looks, keeper, token)


async def _looked_up(looks: Looks, keeper: Doorkeeper, token: str) -> Principal:
    """Whose it is. All that come while it is looked up wait for the one look; it goes on if the first of them leaves.

    What is remembered of a token ends for all requests at once: each looked it up, by threads and connections that
    stayed (25 MB).
    """
    look = looks.get(token)
    if look is None:
        look = looks[token] = asyncio.ensure_future(run_in_threadpool(keeper.look_up, token))
        look.add_done_callback(lambda _: looks.pop(token, None))
    return await asyncio.shield(look)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"at most {limit:,} bytes; send large data by reference, or in several requests")
