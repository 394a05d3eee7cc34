"""The hostile model over real PostgreSQL, wired as an installation: what is stored, what begins, what is remembered."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from common.config import Settings
from common.ports import Role
from common.wiring import Container, bootstrap
from tests.hostile import DELETE, EVIL, FETCH, OTHER, answer, each, items, own_page, said, step
from tests.metered.asked import Asked
from tests.metered.server import Metered
from tests.paid_desk import KEY, QUIET
from tests.postgres import Place
from tests.unit.desk import FarSide, Told, over

TABLES = (
    "tasks",
    "task_events",
    "plans",
    "approvals",
    "step_attempts",
    "calls",
    "call_tasks",
    "analysis_cache",
    "settings",
)


@dataclass
class Stand:
    """An installation whose provider is the fake; nothing leaves it but to the far side."""

    place: Place
    fake: Metered
    far: FarSide
    container: Container
    analyze: TestClient
    execute: TestClient

    def operator(self, name: str, role: Role = "operator") -> dict[str, str]:
        """Headers of a person in a workspace of that name, which is made if need be."""
        rows = self.place.owner.run("SELECT id FROM workspaces WHERE name = $1", name)
        made = rows or self.place.owner.run("INSERT INTO workspaces (name) VALUES ($1) RETURNING id", name)
        home = UUID(str(made[0][0]))
        person = self.container.people.add_person(home, f"{role} of {name}", role)
        token = f"aiw_{name}_{role}"
        self.container.people.issue(home, person.id, "api", hashlib.sha256(token.encode()).hexdigest(), None)
        return {"Authorization": f"Bearer {token}"}

    def hand_in(self, headers: dict[str, str], *texts: str) -> None:
        """Submit, read, and let everything run that may."""
        answered = self.analyze.post("/api/v1/tasks", json=[{"text": text} for text in texts], headers=headers)
        assert answered.status_code == 201, answered.text
        for client in (self.analyze, self.execute):
            assert client.post("/").status_code == 200

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """As the owner sees them."""
        return [tuple(row) for row in self.place.owner.run(sql)]

    def until(self, sql: str, count: int) -> None:
        """Effects run on after the wake was answered: wait until that many are left."""
        until = time.monotonic() + 10
        while self.rows(sql) != [(count,)]:
            assert time.monotonic() < until, self.rows(sql)
            time.sleep(0.02)

    def assert_books_hold(self) -> None:
        """I7: every call is settled, and the ledger is the bill."""
        [(unsettled, booked)] = self.rows(
            "SELECT count(*) FILTER (WHERE state <> 'settled'), coalesce(sum(cost), 0)::bigint FROM calls"
        )
        assert unsettled == 0
        assert int(str(booked)) == self.fake.nanodollars


@pytest.fixture
def stand(postgres_database: Place) -> Iterator[Stand]:
    """`analyze` and `execute` as `aiw_app` over a database of their own; answers are remembered."""
    with Metered() as fake, ExitStack() as stack:
        settings = Settings(
            database_url=SecretStr(postgres_database.url),
            database_role="aiw_app",
            anthropic_api_key=SecretStr(KEY),
            anthropic_base_url=fake.url,
            public_url="http://testserver",
            **{**QUIET, "cache": True},
        )
        far = FarSide()
        container = replace(bootstrap(settings), http=far, notifier=Told())
        stack.callback(container.close)
        clients = [stack.enter_context(TestClient(over(name, container, stack))) for name in ("analyze", "execute")]
        yield Stand(postgres_database, fake, far, container, *clients)


def test_nothing_begins_before_consent(stand: Stand) -> None:
    """I4, I5: always low, added steps and foreign hosts: each waits for a person, and no attempt has a row."""
    home = stand.operator("home")
    read = step(name="page", url="https://a.example/x")
    for number, steps in enumerate(
        (
            [step(method="DELETE", url="https://shop.example/orders/7")],
            [read, step(name="more", method="POST", url=EVIL, json={"$ref": "steps.page.text"})],
            [step(url=EVIL)],
        )
    ):
        stand.fake.account.says = each(*steps)
        stand.hand_in(home, f"{DELETE if number == 0 else FETCH}, please, for customer {number}")
    assert stand.rows("SELECT DISTINCT state FROM tasks") == [("awaiting_approval",)]
    assert stand.rows("SELECT count(*) FROM step_attempts") == [(0,)]
    assert stand.far.seen == []
    stand.assert_books_hold()


def test_what_cannot_be_stored_costs_its_neighbours_nothing(stand: Stand) -> None:
    """I12: a NUL and half a character in one item of a pack; the other is read, run and stored."""

    def says(asked: Asked) -> str:
        args = '{"value": "\\ud800\\u0000"}'
        return said(
            *(
                answer(item["nonce"], {**step("value"), "args": args}, kind="\x00", summary="\ud800\x00")
                if item["text"] == FETCH
                else own_page(item)
                for item in items(asked)
            )
        ).replace("\ud800", "\\ud800")

    stand.fake.account.says = says
    stand.hand_in(stand.operator("home"), FETCH, OTHER)
    stand.until("SELECT count(*) FROM tasks WHERE state = 'running'", 0)
    assert sorted(stand.rows("SELECT text, state FROM tasks")) == [(FETCH, "manual"), (OTHER, "succeeded")]
    stand.assert_books_hold()


LEAKS: list[Callable[[Asked], str]] = [
    lambda asked: said(*(answer(item["nonce"], step("value", value=KEY)) for item in items(asked))),
    lambda asked: said(
        *(answer(item["nonce"], step("value", value=1), summary=KEY, kind=KEY) for item in items(asked))
    ),
    lambda asked: said(*(answer(item["nonce"], step("value", value=1), **{KEY: KEY}) for item in items(asked))),
]


@pytest.mark.parametrize("says", LEAKS)
def test_a_key_is_in_no_table(stand: Stand, says: Callable[[Asked], str]) -> None:
    """I11: whatever it was said in."""
    stand.fake.account.says = says
    stand.hand_in(stand.operator("home"), FETCH)
    assert stand.rows("SELECT state FROM tasks") == [("manual",)]
    for table in TABLES:
        assert KEY not in repr(stand.rows(f"SELECT row_to_json(t)::text FROM {table} t"))  # noqa: S608 - a constant
    stand.assert_books_hold()


def test_a_call_holds_one_workspace(stand: Stand) -> None:
    """I12: tasks of two that come together are asked about apart, and neither's answer is used for the other."""
    stand.fake.account.says = lambda asked: said(*map(own_page, items(asked)))
    homes = [stand.operator("home"), stand.operator("neighbour")]
    for headers in homes:
        body = [{"text": FETCH}, {"text": OTHER}]
        assert stand.analyze.post("/api/v1/tasks", json=body, headers=headers).status_code == 201
    assert stand.analyze.post("/").status_code == 200
    found = stand.rows(
        "SELECT c.id, count(DISTINCT t.workspace), bool_and(t.workspace = c.workspace) FROM calls c "
        "JOIN call_tasks ct ON ct.call_id = c.id JOIN tasks t ON t.id = ct.task_id GROUP BY 1"
    )
    assert len(found) == 2
    assert all((workspaces, own) == (1, True) for _, workspaces, own in found)
    assert stand.rows("SELECT DISTINCT state, count(*) FROM tasks GROUP BY 1") == [("queued", 4)]
    stand.assert_books_hold()


def test_what_is_remembered_permits_nothing(stand: Stand) -> None:
    """I10: the same text again costs no call, and asks for consent again, each under its own digest."""
    home = stand.operator("home")
    stand.fake.account.says = each(step(method="DELETE", url="https://shop.example/orders/7"))
    for _ in range(3):
        stand.hand_in(home, DELETE)
    assert stand.rows("SELECT state, count(*) FROM tasks GROUP BY 1") == [("awaiting_approval", 3)]
    assert stand.rows("SELECT count(*) FROM plans WHERE source = 'cached' AND needs_approval") == [(2,)]
    assert stand.rows("SELECT count(DISTINCT digest) FROM approvals") == [(3,)]
    assert len(stand.fake.rows) == 1
    assert stand.far.seen == []
    stand.assert_books_hold()
