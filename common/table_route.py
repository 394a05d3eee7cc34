"""How a route of the table is served: role first, then media type and JSON, then the endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from common.auth import require, sha256_of
from common.body import read_json
from common.core.errors import TooLarge, Unauthenticated, UnsupportedMedia
from common.core.task import Json
from common.ports import Principal
from common.routes import ROUTE, Route

BODY_METHODS: Final = frozenset({"POST", "PUT"})
JUDGED_BY_COMMIT: Final = frozenset({"submit"})  # the INSERT itself checks the token: a look-up before it adds nothing


class StrictRequest(Request):
    """A request whose JSON was parsed strictly before FastAPI asks for it."""

    async def json(self) -> Json:
        """The parsed body."""
        return cast("Json", self.state.json)


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
        request.state.json = await _json_of(request)


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
        """See Route."""
        super().__init__(path, _Asgi(endpoint), methods=methods, name=name)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See Route; telemetry counts by the route, as FastAPI's own routes name themselves."""
        match, child = super().matches(scope)
        child["route"] = self
        return match, child


class _Asgi:
    """Starlette takes a function for a handler of requests; an object is served as it is."""

    def __init__(self, endpoint: Callable[[StrictRequest], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._endpoint(StrictRequest(scope, receive))
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
    keeper = request.app.state.container.doorkeeper
    token = sha256_of(secret.strip())
    known: Principal | None = None if fresh else keeper.remembered(token)
    return known or cast("Principal", await run_in_threadpool(keeper.look_up, token))


async def _json_of(request: Request) -> Json:
    limit: int = request.app.state.container.settings.body_bytes
    if int(request.headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    raw = bytes(body)
    request._body = raw  # noqa: SLF001 - Starlette's cache of a body that was read; there is no public way to fill it
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not raw and not media:
        return {}  # a note that was not given
    if media != "application/json":
        msg = f"Content-Type is {media or 'missing'}; send application/json"
        raise UnsupportedMedia(msg)
    return read_json(raw)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"at most {limit:,} bytes; send large data by reference, or in several requests")
