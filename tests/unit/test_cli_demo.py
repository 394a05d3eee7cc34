"""The demo's target counts honestly, and a story believes nothing that it has not compared."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cli.client import Client, Options
from cli.demo_stack import DemoStack
from cli.demo_story import Story
from cli.demo_target import PRICE, CountingTarget
from cli.screen import Screen


@pytest.fixture
def target() -> Iterator[CountingTarget]:
    """A target that listens."""
    found = CountingTarget()
    yield found
    found.close()


def ask(host: str, path: str, key: str = "", method: str = "POST", body: object = None) -> int:
    """The status of one request."""
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {"Idempotency-Key": key} if key else {}
    connection.request(method, path, json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_key_is_done_once_where_keys_are_known(target: CountingTarget) -> None:
    """The same key again is counted as a request, not as an effect; elsewhere it is a second effect."""
    for _ in range(3):
        assert ask(target.idempotent, "/charge", "k1") == 201
    assert ask(target.idempotent, "/charge", "k2") == 201
    assert (target.requests("/charge"), target.effects("/charge")) == (4, [1, 1])
    for _ in range(2):
        ask(target.strict, "/pay", "k1")
    assert target.effects("/pay") == [2]


def test_flaky_fails_twice_and_then_acts_once(target: CountingTarget) -> None:
    """503, 503, then done."""
    assert [ask(target.idempotent, "/flaky", "k") for _ in range(3)] == [503, 503, 201]
    assert target.effects("/flaky") == [1]


def test_what_is_held_has_arrived_and_is_not_answered(target: CountingTarget) -> None:
    """The demo kills a worker between a request and its answer: the target counts before it answers."""
    target.hold()
    statuses: list[int] = []
    asking = threading.Thread(target=lambda: statuses.append(ask(target.strict, "/held/happened")))
    asking.start()
    assert target.wait_until(lambda t: t.requests("/held/happened") == 1, 5)
    assert statuses == []
    target.release()
    asking.join(5)
    assert statuses == [201]
    assert [ask(target.strict, "/held/lost") for _ in range(2)] == [500, 201]
    assert target.effects("/held/lost") == [1]


def test_the_price_and_the_announcements(target: CountingTarget) -> None:
    """A page to fetch, and a channel that remembers what it was told."""
    connection = http.client.HTTPConnection(target.strict, timeout=10)
    connection.request("GET", "/price")
    assert json.load(connection.getresponse())["price"] == PRICE
    connection.close()
    ask(target.strict, "/hook", body={"text": "look at 17"})
    assert target.told() == ["look at 17"]


def test_a_sentence_that_is_not_so_is_marked(capsys: pytest.CaptureFixture[str], target: CountingTarget) -> None:
    """The demo can fail: what was found differs from what was said."""
    options = Options(data=Path("/nonexistent"), port=0, json=False, lang="en")
    story = Story(Client(options), Screen("en"), cast(DemoStack, None), target)
    story.check("price_low", ("succeeded", "low"), ("manual", "low"))
    story.check("price_once", 0, target.requests("/price"))
    assert [check.well for check in story.checks] == [False, True]
    out = capsys.readouterr().out
    assert "✗" in out
    assert "found ('manual', 'low')" in out
