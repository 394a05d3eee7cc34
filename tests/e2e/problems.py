"""What a refused request has to look like, and short ways to requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from tests.stack import API, Product, Said

PROBLEM: Final = "application/problem+json"
TASKS: Final = f"{API}/tasks"
NOBODY: Final = "01936e5c-7b3a-7c41-9a55-0f3de1a2b3c4"


@pytest.fixture
def untouched(product: Product) -> Iterator[Product]:
    """The product; afterwards not one row is more or less."""
    before = product.counts()
    yield product
    assert product.counts() == before


def check(said: Said, status: int, *pointers: str) -> None:
    """The answer is a problem with this status, and points at exactly these places, in any order."""
    assert (said.status, said.media) == (status, PROBLEM), said.raw[:500]
    body = said.json
    assert body["status"] == status
    assert body["type"].startswith("/problems/")
    assert body["title"]
    assert body["detail"]
    found = {error["pointer"] for error in body.get("errors", [])}
    assert found == set(pointers)
    assert all(error["detail"] for error in body.get("errors", []))


def step(action: str = "value", id: str = "s", **args: object) -> dict[str, Any]:  # noqa: A002 - the API's own name
    """A step."""
    return {"id": id, "action": action, "args": args or {"value": 1}}


def plan(*steps: Mapping[str, Any]) -> dict[str, Any]:
    """A request with a typed plan."""
    return {"plan": {"steps": list(steps) or [step()]}}


def get(**args: object) -> dict[str, Any]:
    """A step that fetches."""
    return step("http.request", id="get", **({"url": "https://api.example.com/"} | args))


def as_text(**more: object) -> dict[str, Any]:
    """A request in plain language."""
    return {"text": "fetch https://api.example.com/", **more}
