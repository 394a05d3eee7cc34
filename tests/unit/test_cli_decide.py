"""The command line: looking and deciding; against a stand-in of the server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from cli.screen import columns
from tests.unit.terminal import APPROVAL, DIGEST, ID, SINCE, Run, Server, run, server, task

__all__ = ["run", "server"]  # fixtures


def test_ls_fits_eighty_columns_in_both_languages(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Korean letters take two columns; no line is wider than the screen, whatever a task's text is."""
    monkeypatch.setenv("COLUMNS", "80")
    evil = "가나다라" * 30 + "\x1b[2J\u202eevil"
    server.answer("list_tasks", {"items": [task(s, text=evil) for s in ("manual", "awaiting_approval")], "next": "abc"})
    for lang in ("en", "ko"):
        ran = run("--lang", lang, "ls", "--state", "manual", "--state", "queued", "-q", "x")
        assert ran.code == 0
        assert max(columns(line) for line in ran.out.splitlines()) <= 80
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out
    assert server.seen[0].path == "/tasks?state=manual&state=queued&q=x&limit=20"


def test_approving_shows_everything_and_asks(server: Server, run: Run) -> None:
    """I4: what is decided is the digest of what was on screen; no, and the end of input, approve nothing."""
    server.answer("get_approval", APPROVAL)
    server.answer("approve", task("queued"))
    for typed in ("n\n", "\n", ""):
        ran = run("approve", ID, stdin=typed)
        assert ran.code == 1
        assert "POST 39,000 KRW" in ran.out
        assert DIGEST in ran.out
    assert {s.route for s in server.seen} == {"get_approval"}
    assert run("approve", ID[-6:], "--note", "ok", stdin="y\n").code == 0
    assert server.seen[-1].body == {"digest": DIGEST, "note": "ok"}
    assert server.seen[-1].path == f"/tasks/{ID[-6:]}/approve"
    ran = run("approve", ID, "--digest", "v1:sha256:00", stdin="y\n")
    assert (ran.code, server.seen[-1].route) == (1, "get_approval")


def test_whoever_may_not_decide_is_told_and_not_asked(server: Server, run: Run) -> None:
    """A question whose yes would be refused is none: what waits is shown, and who can end it."""
    server.answer("get_approval", {**APPROVAL, "may_decide": False})
    ran = run("approve", ID, stdin="y\n")
    assert (ran.code, [s.route for s in server.seen]) == (1, ["get_approval"])
    assert DIGEST in ran.out
    assert ran.err.startswith("aiw: you asked for this yourself")


def test_programs_approve_by_digest_without_a_question(server: Server, run: Run) -> None:
    """`--yes --digest` decides exactly that digest; the server refuses any other."""
    server.answer("approve", task("queued"))
    ran = run("--json", "approve", ID, "--yes", "--digest", DIGEST)
    assert (ran.code, ran.json["state"]) == (0, "queued")
    assert [s.route for s in server.seen] == ["approve"]


@pytest.mark.parametrize(
    ("words", "route", "body"),
    [
        (("cancel", ID, "--note", "no"), "cancel", {"note": "no"}),
        (("retry", ID), "retry", {"note": None}),
        (("reanalyze", ID), "reanalyze", {"note": None}),
        (("resolve", ID, "--note", "hand", "--result", '{"n": 1}'), "resolve", {"note": "hand", "result": {"n": 1}}),
        (("resolve", ID, "--note", "x", "--result", "plain"), "resolve", {"note": "x", "result": "plain"}),
        (("outcome", ID, "pay", "not_done"), "outcome", {"step": "pay", "outcome": "not_done", "note": None}),
    ],
)
def test_decisions_are_sent_as_the_table_has_them(
    server: Server, run: Run, words: tuple[str, ...], route: str, body: object
) -> None:
    """Each decision reaches its route with its body, and prints the task as it is then."""
    server.answer(route, task("queued"))
    ran = run("--json", *words)
    assert (ran.code, ran.json["id"]) == (0, ID)
    [seen] = server.seen
    assert (seen.route, seen.body) == (route, body)
    assert ID[-8:] in run(*words).out


def test_what_a_command_lacks_a_person_is_asked_for(server: Server, run: Run) -> None:
    """I6: the command that a task shows works as it is pasted; what happened has no default, a program is not asked."""
    server.answer("outcome", task("queued"))
    server.answer("resolve", task("succeeded"))
    said = [run("outcome", ID, "pay", typed=typed).code for typed in ("y\n", "\nn\n", "")]
    assert said == [0, 0, 1]
    assert [seen.body["outcome"] for seen in server.seen] == ["done", "not_done"]
    assert run("resolve", ID, typed="booked it\n").code == 0
    assert server.seen[-1].body == {"note": "booked it", "result": None}
    for words in (("outcome", ID, "pay"), ("resolve", ID)):
        assert (run(*words, stdin="y\n").code, run("--json", *words, typed="y\n").code) == (2, 2)
    assert len(server.seen) == 3


def test_reject_names_what_waits(server: Server, run: Run) -> None:
    """Rejecting reads the digest first, unless it is told."""
    server.answer("get_approval", APPROVAL)
    server.answer("reject", task("cancelled"))
    assert run("reject", ID, "--note", "no").code == 0
    assert [s.route for s in server.seen] == ["get_approval", "reject"]
    assert server.seen[-1].body == {"digest": DIGEST, "note": "no"}


def test_why_groups_by_what_is_waited_for(server: Server, run: Run) -> None:
    """What people can end comes first; what moves is left out; the command is shown."""
    found = [task("queued"), task("manual"), task("awaiting_approval"), task("running"), task("manual")]
    server.answer("list_tasks", {"items": found, "next": None})
    ran = run("--json", "why")
    assert [(g["what"], len(g["tasks"])) for g in ran.json["items"]] == [("person", 2), ("approval", 1), ("worker", 1)]
    ran = run("why")
    assert ran.out.index("Waits for a person: 2") < ran.out.index("Waits for an approval: 1")
    assert f"./aiw show {ID[-8:]}" in ran.out
    server.answer("get_task", task("manual", error={"code": "no_recipe", "step": None, "status": None, "detail": None}))
    assert "No recipe fits" in run("why", ID).out


def test_logs_follow_a_task_to_its_end(server: Server, run: Run) -> None:
    """`logs -f` takes the stream up where it broke, one JSON a line, and ends as the task ended."""
    event = {"task_id": ID, "seq": 1, "kind": "submitted", "from_state": None, "to_state": "queued", "at": SINCE,
             "actor": "owner", "text": "Submitted", "detail": None}  # fmt: skip
    last = {**event, "seq": 2, "kind": "cancelled", "to_state": "cancelled"}
    server.answer(
        "task_events",
        f": live\nretry: 1000\n\nid: 1\nevent: event\ndata: {json.dumps(event)}\n\n",
        f"id: 2\ndata: {json.dumps(last)}\n\n",
    )
    ran = run("--json", "logs", "-f", ID)
    assert ran.code == 3
    assert [json.loads(line)["seq"] for line in ran.out.splitlines()] == [1, 2]
    assert "Last-Event-ID" not in server.seen[0].headers
    assert server.seen[1].headers["Last-Event-ID"] == "1"


def test_a_program_is_shown_what_waits_and_asked_nothing(server: Server, run: Run) -> None:
    """`--json approve` prints what waits, digest and all, decides nothing, and says by its exit that it waits."""
    server.answer("get_approval", APPROVAL)
    ran = run("--json", "approve", ID)
    assert (ran.code, ran.json["digest"]) == (3, DIGEST)
    assert [s.route for s in server.seen] == ["get_approval"]
    assert DIGEST in ran.err


def test_since_may_be_a_span_that_counts_back(server: Server, run: Run) -> None:
    """`ls --since 2h` is two hours ago; what is no time sends nothing."""
    server.answer("list_tasks", {"items": [], "next": None})
    run("ls", "--since", "2h")
    since = datetime.fromisoformat(parse_qs(urlsplit(server.seen[-1].path).query)["since"][0])
    assert abs(datetime.now(UTC) - timedelta(hours=2) - since) < timedelta(minutes=1)
    assert run("ls", "--since", "yesterday").code == 2
