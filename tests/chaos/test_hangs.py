"""PostgreSQL hangs under load for longer than the limit, and goes on: not dead, so nobody restarts it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pytest

from common.adapters.postgres.connection import LIMIT
from common.adapters.postgres.silence import TRY
from common.core.errors import StoreUnavailable
from common.i18n import t
from tests.chaos.load import Sent
from tests.chaos.storm import Storm
from tests.hanging import hanging
from tests.stack import API, Said

BUSY: Final = 3.0  # seconds that a loaded machine may add
LONGER: Final = 5.0  # seconds that it hangs beyond the limit
PLAN: Final = b'{"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": 1}}]}, "tags": ["hung"]}'


@dataclass(frozen=True)
class Asked:
    """An answer, and how long it took."""

    said: Said
    seconds: float


@dataclass(frozen=True)
class Hung:
    """What people and programs were told meanwhile, and the tasks whose effects happened meanwhile."""

    first: dict[str, Asked]
    later: dict[str, Asked]
    held: list[Sent]
    before: list[Sent]
    processes: dict[str, int]


def asked(ask: Callable[[], Said]) -> Asked:
    """Ask, and look at the clock."""
    began = time.monotonic()
    return Asked(ask(), round(time.monotonic() - began, 1))


def ask_all(storm: Storm) -> dict[str, Asked]:
    """A page in Korean, a list, a request that changes something, and one per function that reads: all at once."""
    ask = storm.product.ask
    korean = {"Accept-Language": "ko"}
    cookie = {"Cookie": f"aiw={storm.product.token}", "Accept": "text/html", **korean}
    requests: dict[str, Callable[[], Said]] = {
        "page": lambda: ask("GET", "/", headers=cookie),
        "list": lambda: ask("GET", f"{API}/tasks", headers=korean),
        "submit": lambda: ask("POST", f"{API}/tasks", PLAN),
        "approve": lambda: ask("GET", f"{API}/tasks/{storm.load.sent()[0].id}/approval"),
    }
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = {name: pool.submit(asked, request) for name, request in requests.items()}
    return {name: answer.result() for name, answer in answers.items()}


@pytest.fixture(scope="module")
def hung(storm: Storm) -> Hung:
    """Effects are under way when it stops, and end while it is stopped."""
    storm.settle([storm.load.send("value")])
    storm.target.hold()
    held = [storm.load.send("strict", held=True), storm.load.send("idempotent", held=True)]
    for task in held:
        storm.load.approve(task.id)
    assert storm.target.wait_until(lambda target: all(target.requests(task.path) == 1 for task in held), 20)
    before = storm.load.sent()
    processes = {name: part["pid"] for name, part in storm.product.server["parts"].items()}
    with hanging(storm.product.data / "postgres"):
        began = time.monotonic()
        storm.target.release()
        first = ask_all(storm)
        later = ask_all(storm)  # the first ones have met the limit
        time.sleep(max(0.0, began + LIMIT + LONGER - time.monotonic()))
    return Hung(first, later, held, before, processes)


@pytest.mark.parametrize("what", ["page", "list", "submit", "approve"])
def test_who_asks_is_told_within_the_limit(hung: Hung, what: str) -> None:
    """Also who asks again; several requests with one token wait for one look at it."""
    assert hung.first[what].said.status == hung.later[what].said.status == 503
    assert max(hung.first[what].seconds, hung.later[what].seconds) < LIMIT + BUSY


def test_who_asks_once_it_is_known_is_told_at_once(hung: Hung) -> None:
    """Or after one short try."""
    assert hung.later["page"].seconds < TRY + BUSY


def test_a_person_reads_it_in_their_language(hung: Hung) -> None:
    """A page for a browser, a problem for a program."""
    page, listed = hung.first["page"].said, hung.first["list"].said
    assert (page.media, listed.media) == ("text/html", "application/problem+json")
    told = t(f"problem.{StoreUnavailable.code}", "ko")
    assert told in page.raw.decode()
    assert (listed.json["type"], listed.json["title"]) == ("/problems/store_unavailable", told)
    assert int(page.headers["Refresh"]) > 0


def test_it_goes_on_without_a_restart_and_every_task_ends(storm: Storm, hung: Hung) -> None:
    """I1, I9: what was acknowledged before, during and after is there, and ends or waits for a person."""
    storm.well()
    assert storm.has_all(hung.before)
    states = storm.settle(storm.load.sent())
    assert storm.load.faults == []
    kinds = {task.id: task.kind for task in storm.load.sent()}
    assert {kinds[task] for task, state in states.items() if state != "succeeded"} <= {"strict"}
    assert {name: part["pid"] for name, part in storm.product.server["parts"].items()} == hung.processes


def test_no_effect_is_repeated_blindly(storm: Storm, hung: Hung) -> None:
    """I6: done while nobody could write it down: written down later, or unknown; one request of what has no key."""
    states = storm.settle(hung.held)
    strict, idempotent = hung.held
    assert states[strict.id] in {"succeeded", "manual"}
    assert storm.target.requests(strict.path) == 1
    assert states[idempotent.id] == "succeeded"
    assert storm.target.effects(idempotent.path) == [1]


def test_what_was_not_acknowledged_is_stored_at_most_once(storm: Storm, hung: Hung) -> None:
    """I1: in doubt, and no more than that: each of the two requests that got a 503 left one task or none."""
    assert hung.first["submit"].said.status == 503
    stored = storm.product.rows("SELECT count(*) FROM tasks WHERE 'hung' = ANY(tags)")
    assert stored[0][0] <= 2
