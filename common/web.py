"""The factory of every function's app: routes from the one table, roles, strict bodies, wakes, problem+json."""

from __future__ import annotations

import asyncio
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import FrameType
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from common import api
from common.claim_loop import ClaimLoop, Turn
from common.config import Settings
from common.core.errors import (
    AppError,
    Conflict,
    NotFound,
)
from common.core.task import Lang
from common.head import headed
from common.ports import Principal
from common.problems import problem, reader_lang
from common.routes import ROUTE, FunctionName, Route
from common.table_route import Direct, PlainRoute, TableRoute, direct, shortened
from common.telemetry import configure_logging, observed, serve_metrics
from common.wake_kinds import TOLD
from common.wiring import Container, bootstrap

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


class App(FastAPI):
    """FastAPI's app; before its own middlewares every request is counted, and the plain routes are served."""

    function: FunctionName

    def build_middleware_stack(self) -> ASGIApp:
        """See Starlette: called once, at the first request."""
        return observed(shortened(headed(super().build_middleware_stack()), self.router.routes), self.function)


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
    app.function = name
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
        app.state.looks = {}
        app.state.loop = ClaimLoop(function.turn, container.clock, lambda: container.notifier.publish(HELP[name]))

        # One claim loop a process, so one thread that is always warm.
        app.state.claims = ThreadPoolExecutor(1, "claims")

        def end() -> None:
            app.state.loop.drain()
            function.ending()

        _at_signal(end)
        try:
            yield
        finally:
            await run_in_threadpool(end)
            await run_in_threadpool(function.stop)
            app.state.claims.shutdown(wait=False)
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


NOTHING_DONE: Final = api.WakeAnswer(claimed=0, done=0, more=False, wake_in_ms=None).model_dump_json()


def _waking(name: FunctionName) -> Callable[[Request], Awaitable[Response]]:
    told = TOLD.get(name, frozenset())

    async def wake(request: Request) -> Response:
        """Look now. The body is ignored: a wake carries no authority and no work; its type only spares a claim."""
        state = request.app.state
        state.function.woken()
        if request.headers.get("ce-type") in told:
            return Response(NOTHING_DONE, media_type="application/json")
        if state.loop.joined():
            return Response(status_code=202)
        budget = state.container.settings.wake_seconds
        ran = await asyncio.get_running_loop().run_in_executor(state.claims, state.loop.run, budget)
        if ran is None:
            return Response(status_code=202)
        return Response(ran.model_dump_json(), media_type="application/json")

    return wake


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> JSONResponse:
    await run_in_threadpool(request.app.state.container.ready)
    return JSONResponse({"status": "ready"})


def _add(app: FastAPI, route: Route, endpoint: Callable[..., Any] | Direct) -> None:
    if isinstance(endpoint, Direct):
        app.router.routes.append(direct(route, endpoint))
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


# --- what endpoints ask for -----------------------------------------------------------------------------------------


async def _container(request: Request) -> Container:
    return cast("Container", request.app.state.container)


async def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


async def _reader_lang(request: Request) -> Lang:
    return reader_lang(request)


async def _task_ref(request: Request, id: str) -> UUID:  # noqa: A002 - the API's own name
    """A task's id, or a unique ending of at least 4 hex digits of one in the caller's workspace."""
    try:
        return UUID(id)
    except ValueError:
        ending = id.lower().replace("-", "")
    if len(ending) < ID_ENDING or any(c not in "0123456789abcdef" for c in ending):
        msg = f"{id[:40]!r} is no task id"
        raise NotFound(msg)
    reads = cast("Container", request.app.state.container).reads
    found = await run_in_threadpool(reads.resolve_id, request.state.principal.workspace, ending)
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
