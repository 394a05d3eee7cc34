"""The function is the boundary: every route of every function needs a role, but for a short list."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route as StarletteRoute

from common.ports import ROLES
from common.routes import FUNCTIONS, OPEN, ROUTE, ROUTES, Route, methods_of
from tests.unit.desk import Desk, desk

SOME = "019e0000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def started() -> Iterator[Desk]:
    """The five functions."""
    with desk() as it:
        yield it


def filled(path: str) -> str:
    """A route's path with something in its holes."""
    return path.replace("{id}", SOME).replace("{step}", "a").replace("{name}", "hosts")


def served(name: str) -> Iterator[APIRoute | StarletteRoute | Mount]:
    """Every route of a function's app, those of included routers too."""
    left = list(importlib.import_module(f"functions.{name}.handler").app.routes)
    while left:
        route = left.pop()
        inner = getattr(route, "original_router", None)
        if inner is not None:
            left += inner.routes
            continue
        assert isinstance(route, APIRoute | StarletteRoute | Mount), route
        yield route


def test_every_route_of_an_app_is_in_the_table_or_open() -> None:
    """Nothing is served that the table does not know, except what the list of open routes gives a reason for."""
    table = {(r.method, r.path, r.function) for r in ROUTES}
    unknown = []
    for name in FUNCTIONS:
        for route in served(name):
            for method in getattr(route, "methods", None) or {"GET"}:
                path = route.path + ("/{path:path}" if isinstance(route, Mount) else "")
                if (method, path, name) in table or f"{method} {path}" in OPEN or method == "HEAD":
                    continue
                unknown.append(f"{name}: {method} {path}")
    pages = {u for u in unknown if u.startswith("dashboard: ")}
    assert set(unknown) - pages == set()


def test_pages_beyond_the_open_ones_need_a_session(started: Desk) -> None:
    """Whatever page of the dashboard is asked for without a session: sent to sign in, or refused; never shown."""
    for route in served("dashboard"):
        if not isinstance(route, APIRoute) or route.name in ROUTE:
            continue
        for method in (route.methods or set()) - {"HEAD"}:
            if f"{method} {route.path}" in OPEN:
                continue
            answer = started.clients["dashboard"].request(
                method, filled(route.path), follow_redirects=False, headers={"Origin": "http://testserver"}
            )
            assert answer.status_code in {303, 307, 401, 403}, f"{method} {route.path}: {answer.status_code}"
            if answer.status_code in {303, 307}:
                assert "sign-in" in answer.headers["location"]


@pytest.mark.parametrize("route", [r for r in ROUTES if r.role], ids=lambda r: r.name)
def test_a_route_refuses_whoever_has_no_token_or_too_small_a_role(started: Desk, route: Route) -> None:
    """401 without a token; 403 with every role below the table's; neither with it."""
    client = started.clients[route.function]

    def status(headers: dict[str, str]) -> int:
        accept = {"Accept": "application/json"}
        return client.request(route.method, filled(route.path), headers=headers | accept, json={}).status_code

    assert status({}) == 401
    assert status({"Authorization": "Bearer aiw_forged"}) == 401
    needed = ROLES.index(route.role or "viewer")
    for index, role in enumerate(ROLES):
        headers = started.token(role, f"{role} of {route.name}")
        assert (status(headers) == 403) is (index < needed), role


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/tasks", "GET, HEAD, POST"), ("/pause", "DELETE, PUT"), ("/cache/x", "DELETE, GET, HEAD"),
        ("/settings/hosts", "GET, HEAD, PUT"), (f"/tasks/{SOME}/approve", "POST"), ("/preview", "POST"),
    ],
)  # fmt: skip
def test_a_refused_method_is_told_all_that_the_path_has(started: Desk, path: str, methods: str) -> None:
    """Several routes share a path, and several functions: whichever is asked names them all."""
    for name in {r.function for r in ROUTES if filled(r.path).replace("{key}", "x") == f"/api/v1{path}"}:
        said = started.clients[name].patch(f"/api/v1{path}")
        assert (said.status_code, said.headers["Allow"]) == (405, methods), name


def test_a_path_of_no_route_has_no_methods() -> None:
    """A hole is one segment, and never empty."""
    assert methods_of("/api/v1/tasks/a/b/c") == methods_of("/api/v1/people/") == methods_of("/tasks") == ()


def test_the_reasons_for_open_routes_are_all_used() -> None:
    """An entry of the open list that no function serves is a hole waiting for a route."""
    found = {"GET /static/{path:path}"}
    for name in FUNCTIONS:
        for route in served(name):
            found |= {f"{m} {route.path}" for m in getattr(route, "methods", None) or ()}
    assert set(OPEN) <= found
