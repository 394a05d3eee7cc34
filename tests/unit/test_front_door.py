"""nginx's configuration, made from the table of routes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from common.routes import FUNCTIONS, ROUTES
from infra.nginx.render import FrontDoor, render

DOOR: Final = FrontDoor(port=8000, sockets={name: [Path(f"/run/{name}.sock")] for name in FUNCTIONS}, run=Path("/run"))


def function_for(request: str, text: str) -> str:
    """What nginx's map answers for "METHOD PATH": a literal key first, then the expressions in order."""
    keys: list[tuple[str, str]] = re.findall(r'^        "([^"]+)" (\w+);$', text, re.MULTILINE)
    literal = dict(keys)
    if request in literal:
        return literal[request]
    return next(
        (function for key, function in keys if key.startswith("~") and re.search(key[1:], request)), "dashboard"
    )


def test_every_route_leads_to_its_function() -> None:
    """A route is typed once; the front door cannot disagree with the functions."""
    text = render(DOOR)
    for route in ROUTES:
        path = re.sub(r"\{[^}]+\}", "0199-x.y", route.path)
        assert function_for(f"{route.method} {path}", text) == route.function, route


def test_a_wrong_method_meets_somebody_who_knows_the_path() -> None:
    """The owner of a path answers 405 with Allow; somebody else would say 404."""
    text = render(DOOR)
    assert function_for("PUT /api/v1/tasks/7/approve", text) == "approve"
    assert function_for("DELETE /api/v1/preview", text) == "analyze"
    assert function_for("HEAD /api/v1/actions", text) == "execute"


@pytest.mark.parametrize("path", ["/", "/tasks", "/api/v1/tasks/1/approve/more", "/api/v1/nothing", "/sign-in"])
def test_everything_else_is_the_dashboards(path: str) -> None:
    """Pages, and what is not there."""
    assert function_for(f"GET {path}", render(DOOR)) == "dashboard"


def test_replicas_share_an_upstream() -> None:
    """`--scale execute=2`: both are tried."""
    sockets = {**DOOR.sockets, "execute": [Path("/run/execute.sock"), Path("/run/execute-2.sock")]}
    text = render(FrontDoor(port=8000, sockets=sockets, run=Path("/run")))
    upstream = re.search(r"upstream execute \{(.*?)\}", text, re.DOTALL)
    assert upstream is not None
    assert re.findall(r"unix:(\S+?)\"", upstream[1]) == ["/run/execute.sock", "/run/execute-2.sock"]


def test_a_path_cannot_end_its_string() -> None:
    """A data folder may be called anything."""
    text = render(FrontDoor(port=8000, sockets=DOOR.sockets, run=Path('/ru"n; evil on;\\')))
    assert 'pid "/ru\\"n; evil on;\\\\/nginx.pid";' in text


def test_root_keeps_its_workers() -> None:
    """Sockets under /root are root's; workers that become `nobody` would answer 502."""
    assert "user root;" in render(FrontDoor(port=8000, sockets=DOOR.sockets, run=Path("/run"), as_root=True))
    assert "user root;" not in render(DOOR)
