"""HEAD through the front door: each function's routes and the pages, and a stream that does not hang."""

from __future__ import annotations

import pytest

from common.routes import ROUTES
from tests.stack import Product


@pytest.mark.parametrize("path", ["/", "/sign-in", "/_/health", *sorted({r.path for r in ROUTES if r.method == "GET"})])
def test_nginx_hands_it_to_whoever_has_get(product: Product, path: str) -> None:
    """The status and media type are GET's, and there is no body behind them."""
    task = product.api("GET", "/tasks")["items"] or [{"id": "01936e5c-7b3a-7c41-9a55-0f3de1a2b3c4"}]
    path = path.replace("{id}", task[0]["id"]).replace("{step}", "s").replace("{name}", "hosts")
    got, head = product.ask("GET", path), product.ask("HEAD", path)
    assert (head.status, head.media, head.raw) == (got.status, got.media, b"")


def test_a_stream_is_answered_at_once(product: Product) -> None:
    """Its headers come without its first event being waited for."""
    plan = {"steps": [{"id": "w", "action": "wait", "args": {"seconds": 60}}]}
    task = product.api("POST", "/tasks", {"plan": plan})["id"]
    said = product.ask("HEAD", f"/api/v1/tasks/{task}/events", headers={"Accept": "text/event-stream"})
    assert (said.status, said.media, said.raw) == (200, "text/event-stream", b"")
    product.api("POST", f"/tasks/{task}/cancel", {})
