"""The factory of every function's app: routes from the one table, roles, strict bodies, wakes, problem+json."""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from common import api
from common.auth import require, sha256_of
from common.body import read_json
from common.claim_loop import ClaimLoop, Turn
from common.config import Settings
from common.core.errors import (
    AppError,
    Conflict,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)
from common.core.task import Json, Lang
from common.ports import Principal
from common.problems import problem, reader_lang
from common.routes import ROUTE, FunctionName, Route
from common.telemetry import configure_logging, observed, serve_metrics
from common.wiring import Container, bootstrap

BODY_METHODS: Final = frozenset({"POST", "PUT"})
JUDGED_BY_COMMIT: Final = frozenset({"submit"})  # the INSERT itself checks the token: a look-up before it adds nothing
ID_ENDING: Final = 4  # hex digits at least: shorter endings are typing errors


class Function(ABC):
    """What a function's app runs besides its endpoints; built once, when the process starts to serve."""

    @abstractmethod
    def turn(self) -> Turn:
        """Claim once and work it off."""

    def woken(self) -> None:  # noqa: B027 - most have nobody who waits
        """A wake arrived; called on the event loop, must not block."""

    def ending(self) -> None:  # noqa: B027 - as above
        """SIGTERM: end what only waits (streams, `?wait=`), so that its requests end. From any thread."""

    def stop(self) -> None:  # noqa: B027 - most hold nothing
        """No request is left: release what has not begun. May block for the drain."""


def make_app(
    name: FunctionName,
    endpoints: Mapping[str, Callable[..., Any] | Direct],
    build: Callable[[Container], Function],
    *,
    pages: APIRouter | None = None,
) -> FastAPI:
    """The app of one function.

    Args:
        name: which one; every route of the table that is its own must have an endpoint.
        endpoints: by the route's name in `common.routes`.
        build: makes the function's own part once the container is there.
        pages: routes outside the API (the dashboard's).

    Its container is built from the environment when the app starts, unless a test has set `app.state.given`.
    """
    app = App(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(name, build),
        # It would be asked at every request whether anybody listens.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(observed, function=name)
    app.add_exception_handler(AppError, problem)
    app.add_exception_handler(RequestValidationError, problem)
    app.add_exception_handler(HTTPException, problem)
    app.add_exception_handler(Exception, problem)
    own = {route.name for route in ROUTE.values() if route.function == name}
    if own != set(endpoints):
        msg = f"{name}: the table and the handler differ in {sorted(own ^ set(endpoints))}"
        raise ValueError(msg)
    for route_name, endpoint in endpoints.items():
        _add(app, ROUTE[route_name], endpoint)
    app.router.routes.append(PlainRoute("/", _waking(name), methods=["POST"], name="wake"))
    app.add_api_route("/_/health", _health, methods=["GET"])
    app.add_api_route("/_/ready", _ready, methods=["GET"])
    if pages is not None:
        app.router.routes.extend(pages.routes)
    return app


def _lifespan(name: FunctionName, build: Callable[[Container], Function]) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        given: Container | None = getattr(app.state, "given", None)
        container = given or bootstrap(Settings(function=name))
        if given is None:
            configure_logging()
        serve_metrics(container.settings.metrics_port)
        function = build(container)
        app.state.container = container
        app.state.function = function
        app.state.loop = ClaimLoop(function.turn, container.clock, lambda: container.notifier.publish(HELP[name]))

        def end() -> None:
            app.state.loop.drain()
            function.ending()

        _at_signal(end)
        try:
            yield
        finally:
            await run_in_threadpool(end)
            await run_in_threadpool(function.stop)
            if given is None:
                await run_in_threadpool(container.close)

    return lifespan


def _at_signal(end: Callable[[], object]) -> None:
    """SIGTERM ends the claim loop and whatever waits at once: the server would wait for their requests."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test's server; signals belong to the main thread
    before = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        # Not here: a lock is taken, and the thread that is interrupted may hold it.
        threading.Thread(target=end, daemon=True).start()
        if callable(before):
            before(number, frame)

    if callable(before):  # a server has its handler; without one the default ends the process
        signal.signal(signal.SIGTERM, drain)


HELP: Final[Mapping[FunctionName, tuple[str, ...]]] = {
    "analyze": ("aiw.task.received",),
    "execute": ("aiw.task.queued",),
    "approve": ("aiw.task.manual",),
    "schedule": (),  # alone does maintenance: the next minute is soon enough
    "dashboard": (),
}


# --- wakes ----------------------------------------------------------------------------------------------------------


# What these say is only for requests and streams that wait here: nothing that is claimed here came to be.
TOLD: Final[Mapping[FunctionName, frozenset[str]]] = {
    "analyze": frozenset({"aiw.task.finished", "aiw.task.manual", "aiw.approval.requested"}),
    "dashboard": frozenset({"aiw.task.finished", "aiw.task.manual", "aiw.approval.requested"}),
}
NOTHING_DONE: Final = api.WakeAnswer(claimed=0, done=0, more=False, wake_in_ms=None).model_dump_json()


def _waking(name: FunctionName) -> Callable[[Request], Awaitable[Response]]:
    told = TOLD.get(name, frozenset())

    async def wake(request: Request) -> Response:
        """Look now. The body is ignored: a wake carries no authority and no work; its type only spares a claim."""
        state = request.app.state
        state.function.woken()
        if request.headers.get("ce-type") in told:
            return Response(NOTHING_DONE, media_type="application/json")
        ran = await run_in_threadpool(state.loop.run, state.container.settings.wake_seconds)
        if ran is None:
            return Response(status_code=202)
        return Response(ran.model_dump_json(), media_type="application/json")

    return wake


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> JSONResponse:
    await run_in_threadpool(request.app.state.container.ready)
    return JSONResponse({"status": "ready"})


# --- routes of the table --------------------------------------------------------------------------------------------


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


def _direct(route: Route, endpoint: Direct) -> PlainRoute:
    """A route of the table whose endpoint is `Direct`: the same role, media type and JSON, nothing of FastAPI's."""

    async def admitted(request: StrictRequest) -> Response:
        await _admit(request, route)
        return await endpoint.call(request)

    return PlainRoute(route.path, admitted, methods=[route.method], name=route.name)


class App(FastAPI):
    """FastAPI without two of its layers, which have nothing to do here.

    Telemetry (ours is `observed`), and a limit of bodies (ours answers with a problem).
    """

    def build_middleware_stack(self) -> ASGIApp:
        """See FastAPI: errors, our own middleware, exceptions, FastAPI's exit stack, routes."""
        handlers = {key: handler for key, handler in self.exception_handlers.items() if key is not Exception}
        app: ASGIApp = AsyncExitStackMiddleware(self.router)
        app = ExceptionMiddleware(app, handlers=handlers, debug=False)
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        return ServerErrorMiddleware(app, handler=self.exception_handlers.get(Exception), debug=False)


def _add(app: FastAPI, route: Route, endpoint: Callable[..., Any] | Direct) -> None:
    if isinstance(endpoint, Direct):
        app.router.routes.append(_direct(route, endpoint))
        return
    status, model = route.answers[0]
    app.router.add_api_route(
        route.path,
        endpoint,
        methods=[route.method],
        status_code=status,
        response_model=model,
        name=route.name,
        route_class_override=TableRoute,
    )


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


# --- what endpoints ask for -----------------------------------------------------------------------------------------


async def _container(request: Request) -> Container:
    return cast("Container", request.app.state.container)


async def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


async def _reader_lang(request: Request) -> Lang:
    return reader_lang(request)


def _task_ref(request: Request, id: str) -> UUID:  # noqa: A002 - the API's own name
    """A task's id, or a unique ending of at least 4 hex digits of one in the caller's workspace."""
    try:
        return UUID(id)
    except ValueError:
        ending = id.lower().replace("-", "")
    if len(ending) < ID_ENDING or any(c not in "0123456789abcdef" for c in ending):
        msg = f"{id[:40]!r} is no task id"
        raise NotFound(msg)
    state = request.app.state
    found = cast("Container", state.container).reads.resolve_id(request.state.principal.workspace, ending)
    if not found:
        msg = f"no task ends with {ending}"
        raise NotFound(msg)
    if len(found) > 1:
        msg = f"several tasks end with {ending}: give more of the id"
        raise Conflict(msg)
    return found[0]


Wired = Annotated[Container, Depends(_container)]
Who = Annotated[Principal, Depends(_principal)]
ReaderLang = Annotated[Lang, Depends(_reader_lang)]
TaskRef = Annotated[UUID, Depends(_task_ref)]
