"""Whose a token is: remembered for a moment, and looked up once however many requests ask at once."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from starlette.requests import Request

from common.adapters.memory.people import MemoryPeople
from common.adapters.memory.store import MemoryStore
from common.adapters.system_clock import SystemClock
from common.auth import Doorkeeper, sha256_of
from common.core.errors import Unauthenticated
from common.ports import Principal
from common.table_route import authenticate

SOMEBODY = Principal(
    person=UUID(int=1),
    person_name="Kim",
    workspace=UUID(int=2),
    role="operator",
    kind="api",
    token_sha256=sha256_of("known"),
)
AT_ONCE = 30


class Slow(MemoryPeople):
    """Knows one token, answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        super().__init__(MemoryStore(lambda: datetime.now(UTC)))
        self.asked = 0
        self.may_answer = threading.Event()

    def principal(self, token_sha256: str) -> Principal | None:
        """See ports.People."""
        self.asked += 1
        self.may_answer.wait(5)
        return SOMEBODY if token_sha256 == SOMEBODY.token_sha256 else None


def at_once(people: Slow, secret: str, *, fresh: bool = False) -> list[Principal | BaseException]:
    """What thirty requests with one token learn that come while it is looked up."""
    state = SimpleNamespace(container=SimpleNamespace(doorkeeper=Doorkeeper(people, SystemClock())), looks={})
    headers = [(b"authorization", f"Bearer {secret}".encode())]

    async def ask() -> list[Principal | BaseException]:
        def request() -> Request:
            return Request({"type": "http", "headers": headers, "app": SimpleNamespace(state=state)})

        asking = [asyncio.create_task(authenticate(request(), fresh=fresh)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.05)
        people.may_answer.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert state.looks == {}
        return answers

    return asyncio.run(ask())


def test_a_token_is_looked_up_once_for_all_that_ask_at_once() -> None:
    """Each of thirty requests learns whose it is, by one look."""
    people = Slow()
    assert at_once(people, "known") == [SOMEBODY] * AT_ONCE
    assert people.asked == 1


def test_nobodys_token_is_refused_for_all_that_ask_at_once() -> None:
    """One look, thirty refusals."""
    people = Slow()
    assert all(isinstance(answer, Unauthenticated) for answer in at_once(people, "unknown"))
    assert people.asked == 1


def test_what_changes_something_looks_for_itself() -> None:
    """A look that began before a token was revoked is not believed by a request that came after it."""
    people = Slow()
    at_once(people, "known", fresh=True)
    assert people.asked == AT_ONCE


def test_the_look_goes_on_if_the_first_to_ask_leaves() -> None:
    """Whoever waits with it is not let down by a client that went away."""
    people = Slow()
    state = SimpleNamespace(container=SimpleNamespace(doorkeeper=Doorkeeper(people, SystemClock())), looks={})
    scope = {"type": "http", "headers": [(b"authorization", b"Bearer known")], "app": SimpleNamespace(state=state)}

    async def ask() -> Principal:
        first, second = (asyncio.create_task(authenticate(Request(dict(scope)))) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        people.may_answer.set()
        return await second

    assert asyncio.run(ask()) == SOMEBODY
    assert people.asked == 1
