"""An Idempotency-Key's second request is answered as the first was, whatever has changed since."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.desk import Desk, desk

PLAN = {"steps": [{"id": "a", "action": "value", "args": {"value": 1}}]}
ROUTE = "/api/v1/tasks"


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions over memory."""
    with desk() as it:
        yield it


def test_what_was_stored_is_answered_though_it_would_be_refused_by_now(at: Desk) -> None:
    """A repetition after the deadline finds its task; another body under the key is a conflict, without one refused."""
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    body = {"plan": PLAN, "deadline": soon.isoformat()}
    headers = at.token("operator")
    keyed = headers | {"Idempotency-Key": "k"}
    client = at.clients["analyze"]
    first = client.post(ROUTE, json=body, headers=keyed)
    time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.01)
    again = client.post(ROUTE, json=body, headers=keyed)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert client.post(ROUTE, json=[body], headers=keyed).status_code == 409
    assert client.post(ROUTE, json=body, headers=headers).status_code == 422
    assert client.post(ROUTE, json=body, headers=headers | {"Idempotency-Key": "new"}).status_code == 422


@pytest.mark.parametrize("declared", ["abc", "-1", "9" * 5000])
def test_a_strange_length_is_no_error_of_ours(at: Desk, declared: str) -> None:
    """Behind a server that looks at it less strictly than ours, the body itself is counted."""
    headers = at.token("operator") | {"Content-Length": declared, "Content-Type": "application/json"}
    answer = at.clients["analyze"].post(ROUTE, content=b"{}", headers=headers)
    assert answer.status_code in {413, 422}
