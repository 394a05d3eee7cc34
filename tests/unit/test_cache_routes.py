"""Remembered answers through the API and the command line: an admin looks, and forgets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from common.core.task import Json
from common.ports import Learned, Use
from tests.unit.desk import Desk, desk as make_desk
from tests.unit.terminal import Run, Server, run, server

__all__ = ["run", "server"]  # fixtures

DOCUMENT: dict[str, Json] = {
    "kind": "fetch_page",
    "summary": "Fetches it.",
    "risk": "low",
    "confidence": 0.9,
    "priority": 5,
    "steps": [{"id": "page", "action": "http.request", "args": {"url": "https://example.com/"}}],
}


def key_of(name: str) -> str:
    """A key."""
    return hashlib.sha256(name.encode()).hexdigest()


def learned(name: str) -> Learned:
    """An answer."""
    return Learned(
        key=key_of(name), request=name, prompt_version="analysis.2", model="small", answer=DOCUMENT, cost=130_000
    )


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Three remembered answers here, one next door."""
    with make_desk() as made:
        for name in ("a", "b", "c"):
            made.container.answers.store(made.workspace, [learned(name)])
        made.container.answers.count([Use(workspace=made.workspace, key=key_of("b"), hits=3, checks=1)])
        made.container.answers.store(made.store.add_workspace("next door"), [learned("d")])
        made.container.front.put(made.workspace, [learned("b")])
        yield made


def test_answers_are_listed_page_by_page(desk: Desk) -> None:
    """Last used first, each on one page, with what it saved; another workspace's are on none."""
    admin, client = desk.token("admin"), desk.clients["dashboard"]
    first = client.get("/api/v1/cache?limit=2", headers=admin).json()
    rest = client.get("/api/v1/cache", params={"limit": 2, "cursor": first["next"]}, headers=admin).json()
    assert [item["request"] for item in first["items"] + rest["items"]] == ["b", "c", "a"]
    assert rest["next"] is None
    entry = first["items"][0]
    assert (entry["hits"], entry["checks"], entry["cost_usd"], entry["saved_usd"]) == (3, 1, "0.000130", "0.000390")
    assert (entry["kind"], entry["model"], entry["prompt_version"]) == ("fetch_page", "small", "analysis.2")
    assert client.get("/api/v1/cache?cursor=nonsense", headers=admin).status_code == 422


def test_one_is_shown_by_the_beginning_of_its_key(desk: Desk) -> None:
    """With what was answered; a key of another workspace is not there."""
    admin, client = desk.token("admin"), desk.clients["dashboard"]
    found = client.get(f"/api/v1/cache/{key_of('b')[:8]}", headers=admin).json()
    assert found["key"] == key_of("b")
    assert found["plan"] == {"number": 1, "steps": DOCUMENT["steps"], "source": "cached"}
    assert (found["summary"], found["risk"], found["confidence"], found["priority"]) == ("Fetches it.", "low", 0.9, 5)
    for absent in (key_of("d"), key_of("x"), key_of("b")[:7], "zzzzzzzz", "%25%25%25%25%25%25%25%25"):
        assert client.get(f"/api/v1/cache/{absent}", headers=admin).status_code == 404


def test_what_is_dropped_is_gone_on_both_sides(desk: Desk) -> None:
    """One, then all; another workspace's stay."""
    admin, client = desk.token("admin"), desk.clients["dashboard"]
    assert client.delete(f"/api/v1/cache/{key_of('b')}", headers=admin).json() == {"dropped": 1, "fast": True}
    assert desk.container.front.recall(desk.workspace, [key_of("b")], "analysis.2") == {}
    assert client.delete(f"/api/v1/cache/{key_of('b')}", headers=admin).status_code == 404
    assert client.delete("/api/v1/cache", headers=admin).json() == {"dropped": 2, "fast": True}
    assert client.get("/api/v1/cache", headers=admin).json() == {"items": [], "next": None}
    assert client.delete(f"/api/v1/cache/{key_of('d')}", headers=admin).status_code == 404


def test_only_an_admin_may(desk: Desk) -> None:
    """The texts of all requests are in it."""
    approver, client = desk.token("approver"), desk.clients["dashboard"]
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", f"/{key_of('a')}"), ("DELETE", f"/{key_of('a')}")):
        assert client.request(method, f"/api/v1/cache{path}", headers=approver).status_code == 403


# --- the command line -----------------------------------------------------------------------------------------------

ENTRY = {
    "key": key_of("a"), "request": "fetch\x1b[31m it", "kind": "fetch_page", "model": "small strong",
    "prompt_version": "analysis.2", "cost_usd": "0.000130", "saved_usd": "0.001300", "hits": 10, "checks": 1,
    "created_at": "2026-11-01T07:00:00+00:00", "last_used_at": "2026-11-24T07:00:00+00:00",
}  # fmt: skip
VIEW = {
    **ENTRY, "summary": "Fetches it.", "risk": "low", "confidence": 0.9, "priority": 5,
    "plan": {"number": 1, "steps": DOCUMENT["steps"], "source": "cached"},
}  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_commands_say_it_in_both_languages(server: Server, run: Run, lang: str) -> None:
    """A table, one answer, what was forgotten; what came from outside is made harmless."""
    server.answer("list_cache", {"items": [ENTRY], "next": "abc"})
    server.answer("get_cached", VIEW)
    server.answer("drop_cached", {"dropped": 1, "fast": True})
    server.answer("drop_cache", {"dropped": 7, "fast": False})
    listed = run("--lang", lang, "cache", "ls")
    assert key_of("a")[:12] in listed.out
    assert "$0.0013" in listed.out
    assert "\x1b[31m" not in listed.out
    assert "--cursor abc" in listed.err + listed.out
    shown = run("--lang", lang, "cache", "show", key_of("a")[:8].upper()).out
    assert "https://example.com/" in shown
    assert "Fetches it." in shown
    assert "0.90" in shown
    assert "1" in run("--lang", lang, "cache", "drop", key_of("a")).out
    assert "Redis" in run("--lang", lang, "cache", "drop", "--all").out
    assert [seen.path for seen in server.seen][1:] == [f"/cache/{key_of('a')[:8]}", f"/cache/{key_of('a')}", "/cache"]


def test_with_json_there_is_json_and_nothing_else(server: Server, run: Run) -> None:
    """As the API answers."""
    server.answer("list_cache", {"items": [ENTRY], "next": None})
    server.answer("get_cached", VIEW)
    server.answer("drop_cache", {"dropped": 7, "fast": True})
    assert json.loads(run("--json", "cache", "ls").out) == {"items": [ENTRY], "next": None}
    assert json.loads(run("cache", "show", key_of("a"), "--json").out) == VIEW
    assert json.loads(run("--json", "cache", "drop", "--all").out) == {"dropped": 7, "fast": True}


@pytest.mark.parametrize("words", [["show", "../tasks"], ["show", "12345"], ["drop"], ["drop", "--all", "0" * 64]])
def test_what_is_no_key_reaches_no_server(server: Server, run: Run, words: list[str]) -> None:
    """Nothing but hex digits becomes part of a path; all is only forgotten when all is said."""
    assert run("cache", *words).code == 2
    assert server.seen == []
