"""The command line against a stand-in of the server that is made from the table of routes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from cli.__main__ import main
from cli.screen import columns
from common.routes import API, ROUTES, Route

ID = "0192c4e1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"
DIGEST = "v1:sha256:" + "ab" * 32
SINCE = "2026-11-24T07:00:00+00:00"


def task(state: str = "succeeded", **changes: object) -> dict[str, object]:
    """A task as the API shows one."""
    waits = {"awaiting_approval": "approval", "manual": "person", "queued": "worker"}.get(state)
    command = f"./aiw show {ID[-8:]}"
    waiting = {"what": waits, "since": SINCE, "look_again_at": None, "who": "approver", "command": command}
    return {
        "id": ID, "state": state, "waiting_for": waiting if waits else None, "text": "회식 장소 알아봐줘", "inputs": {},
        "kind": "fetch", "risk": "high", "reasons": [{"rule": "r", "step": "s", "floor": "high", "text": "POST"}],
        "priority": 5, "plan": {"number": 1, "source": "typed", "steps": [{"id": "s", "action": "value", "args": {}}]},
        "attempts": 0, "result": {"n": 1} if state == "succeeded" else None, "error": None, "outcome": None,
        "cost_usd": "0.000000", "requested_by": "owner", "created_at": SINCE, "finished_at": None, "tags": [],
        **changes,
    }  # fmt: skip


APPROVAL = {
    "task_id": ID, "digest": DIGEST, "plan": task()["plan"], "summary": ["POST 39,000 KRW to pay.example.com"],
    "risk": "high", "reasons": task()["reasons"], "worst_cost_usd": "0.000000", "requested_by": "owner",
    "expires_at": "2026-11-25T07:00:00+00:00", "required": 1, "decisions": [], "may_decide": True,
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A request as the stand-in got it."""

    route: str
    path: str
    body: Any
    headers: dict[str, str]


@dataclass
class Server:
    """What the stand-in answers by route (the last answer of a list stays), and what it saw."""

    answers: dict[str, list[tuple[int, object]]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def answer(self, route: str, *bodies: object, status: int = 200) -> None:
        """Answer a route with these bodies, one after the other."""
        self.answers[route] = [(status, body) for body in bodies]

    def refuse(self, route: str, status: int, code: str, **more: object) -> None:
        """Answer a route with a problem document."""
        title = code.replace("_", " ")
        problem = {"type": f"/problems/{code}", "title": title, "status": status, "detail": title, **more}
        self.answers[route] = [(status, problem)]

    def next(self, route: str) -> tuple[int, object]:
        """The next answer of a route."""
        left = self.answers[route]
        return left.pop(0) if len(left) > 1 else left[0]


def route_of(method: str, path: str) -> Route:
    """The table's row for a request."""
    for route in ROUTES:
        if route.method == method and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", route.path), path):
            return route
    raise LookupError(f"{method} {path}")


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    """A handler that holds every body to the model which the table names."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/function/"):
                self.reply(200, {"status": "ready"})
                return
            route = route_of(self.command, path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            if route.body is not None:
                TypeAdapter(route.body).validate_json(raw)
            server.seen.append(Seen(route.name, self.path.removeprefix(API), body, dict(self.headers.items())))
            self.reply(*server.next(route.name))

        def reply(self, status: int, body: object) -> None:
            if isinstance(body, str):
                data, media = body.encode(), "text/event-stream"
            else:
                data, media = json.dumps(body).encode() if body is not None else b"", "application/json"
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", "0")
            self.send_header("ETag", '"7"')
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - the base class wants these names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A stand-in that runs, and an environment that names it."""
    found = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(found))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    found.url = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("AIW_URL", found.url)
    monkeypatch.setenv("AIW_TOKEN", "aiw_test")
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("AIW_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    yield found
    http.shutdown()
    http.server_close()


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Standard output, which has to be one JSON value."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; `stdin` is what is typed."""

    def run_it(*words: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode()), "utf-8"))
        code = main(words)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run_it


def test_submit_sends_only_what_was_given(server: Server, run: Run) -> None:
    """The server's defaults hold: nothing is sent that was not asked for, but a key that makes sending again safe."""
    server.answer("submit", task("received"), status=201)
    ran = run("--json", "submit", "hello", "--input", "n=3", "--input", "s=a b", "--tag", "x", "--priority", "9")
    assert ran.code == 0
    assert ran.json["id"] == ID
    [seen] = server.seen
    assert seen.body == {"text": "hello", "lang": "en", "inputs": {"n": 3, "s": "a b"}, "tags": ["x"], "priority": 9}
    assert seen.headers["Idempotency-Key"]
    assert seen.headers["Authorization"] == "Bearer aiw_test"


def test_submit_can_say_that_there_is_time(server: Server, run: Run) -> None:
    """`--economy` sends the field."""
    server.answer("submit", task("received"), status=201)
    assert run("submit", "hello", "--economy").code == 0
    [seen] = server.seen
    assert seen.body == {"text": "hello", "lang": "en", "economy": True}


def test_submit_wait_ends_with_three_where_a_person_is_needed(server: Server, run: Run) -> None:
    """A program sees by the exit code that a task did not succeed."""
    server.answer("submit", task("received"), status=201)
    server.answer("get_task", task("running"), task("awaiting_approval"))
    ran = run("submit", "hello", "--wait")
    assert ran.code == 3
    assert "Needs approval" in ran.out
    assert [s.route for s in server.seen] == ["submit", "get_task", "get_task"]
    server.answer("submit", task("succeeded"), status=201)
    assert run("submit", "hello", "--wait").code == 0


def test_a_plan_comes_from_a_file_or_standard_input(server: Server, run: Run, tmp_path: Path) -> None:
    """`--plan` takes JSON, and says so where it is none."""
    server.answer("submit", task("queued"), status=201)
    plan = tmp_path / "plan.json"
    plan.write_text('{"steps": [{"id": "a", "action": "value", "args": {"value": 1}}]}')
    assert run("submit", "--plan", str(plan)).code == 0
    assert server.seen[0].body["plan"]["steps"][0]["id"] == "a"
    plan.write_text("{steps")
    ran = run("submit", "--plan", str(plan))
    assert (ran.code, ran.out) == (2, "")
    assert "not JSON" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("submit",), ("submit", "text", "--plan", "-"), ("show",), ("show", "not-hex!"), ("lss",), ("ls", "--stat"),
        ("ls", "--limit", "1000"), ("submit", "x", "--not-before", "2026-11-24T07:00:00"),
        ("submit", "x", "--input", "k"),
        ("approve", ID, "--yes"), ("--json", "approve", ID), ("outcome", ID, "s", "perhaps"), ("--port", "0", "ls"),
        ("people",), ("token", "add", "--expires-in", "soon"), ("people", "add", "x", "--role", "king"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_two(server: Server, run: Run, words: tuple[str, ...]) -> None:
    """A command line that does not fit sends nothing, and says in one line what is wrong and where to read more."""
    for lang in ("en", "ko"):
        ran = run("--lang", lang, *words)
        assert (ran.code, ran.out, server.seen) == (2, "", [])
        assert ran.err.startswith("aiw: ")
        assert len(ran.err.splitlines()) == 1
        assert "--help" in ran.err


def test_a_refusal_is_one_line_with_its_mend_in_either_language(server: Server, run: Run) -> None:
    """Exit 1; standard error says what and the mend; with --json standard output is the problem itself."""
    errors = [{"pointer": "#/plan/steps/0/args/url", "detail": "not an address", "hint": "https://…"}]
    server.refuse("submit", 422, "invalid", errors=errors)
    ran = run("submit", "x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "aiw: The content does not fit: #/plan/steps/0/args/url: not an address (https://…)\n"
    server.refuse("approve", 409, "stale_digest", digest=DIGEST)
    ran = run("--json", "--lang", "ko", "approve", ID, "--yes", "--digest", "v1:sha256:00")
    assert ran.code == 1
    assert ran.json["digest"] == DIGEST
    assert "./aiw approve" in ran.err
    assert "기다리는" in ran.err


def test_nothing_that_runs_is_sixty_nine(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not running, a token missing, an address that is none, a port where nobody answers: 69, and how to start."""
    monkeypatch.delenv("AIW_URL", raising=False)
    assert run("--data", str(tmp_path), "ls").code == 69
    monkeypatch.setenv("AIW_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("AIW_TOKEN", raising=False)
    assert run("ls").code == 69
    monkeypatch.setenv("AIW_TOKEN", "aiw_x")
    ran = run("--json", "ls")
    assert ran.code == 69
    assert "./aiw up" in ran.err
    assert ran.json["title"]
    monkeypatch.setenv("AIW_URL", "ftp://example.com:99999")
    assert run("ls").code == 69


def test_the_data_folder_names_the_server(
    server: Server, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--data` beats the environment, and the token there is used."""
    monkeypatch.setenv("AIW_URL", "http://127.0.0.1:1")
    (tmp_path / "run").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "run" / "server.json").write_text(json.dumps({"url": server.url}))
    (tmp_path / "secrets" / "admin.token").write_text("aiw_local\n")
    server.answer("list_tasks", {"items": [], "next": None})
    assert run("--data", str(tmp_path), "ls").code == 0
    assert server.seen[0].headers["Authorization"] == "Bearer aiw_local"


def test_a_busy_moment_is_waited_out(server: Server, run: Run) -> None:
    """503 with Retry-After: what may be sent again is, and what may not is not."""
    busy = {"type": "/problems/unavailable", "title": "busy", "status": 503, "detail": "busy"}
    server.answers["submit"] = [(503, busy), (201, task("queued"))]
    assert run("submit", "x").code == 0
    assert server.seen[0].headers["Idempotency-Key"] == server.seen[1].headers["Idempotency-Key"]
    server.answers["cancel"] = [(503, busy), (200, task("cancelled"))]
    ran = run("cancel", ID)
    assert (ran.code, [s.route for s in server.seen]) == (69, ["submit", "submit", "cancel"])


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


def test_settings_are_changed_under_the_version_that_was_read(server: Server, run: Run) -> None:
    """`If-Match` carries what GET said; a value is JSON where it reads as JSON, else text."""
    setting = {"name": "autorun", "version": 7, "value": "low", "inherited": False}
    server.answer("list_settings", {"items": [setting, setting], "next": None})
    server.answer("get_setting", setting)
    server.answer("put_setting", setting)
    assert run("settings").code == 0
    assert run("settings", "autorun", "medium").code == 0
    assert server.seen[-1].headers["If-Match"] == '"7"'
    assert server.seen[-1].body == {"value": "medium"}
    assert run("settings", "hosts", '[{"name": "a"}]').code == 0
    assert server.seen[-1].body == {"value": [{"name": "a"}]}


def test_people_and_tokens(server: Server, run: Run) -> None:
    """People are named by name or id's ending; a token's secret is all of standard output, so that it can be piped."""
    person = {"id": ID, "name": "지민", "role": "approver"}
    token = {"id": "ab" * 8, "kind": "api", "person": "지민", "role": "viewer", "expires_at": None, "created_at": SINCE}
    server.answer("list_people", {"items": [person], "next": None})
    server.answer("add_person", person, status=201)
    server.answer("remove_person", None, status=204)
    server.answer("list_tokens", {"items": [token], "next": None})
    server.answer("add_token", {**token, "secret": "aiw_secret"}, status=201)
    server.answer("revoke_token", None, status=204)
    server.answer("sign_in_code", {"code": "7F3K-QM2P", "url": "http://x/in/7F3K-QM2P", "expires_in": 600}, status=201)
    assert "지민" in run("people", "ls").out
    assert run("people", "add", "지민", "--role", "approver").code == 0
    assert run("people", "rm", "지민").code == 0
    assert server.seen[-1].path == f"/people/{ID}"
    assert run("people", "rm", "nobody").code == 1
    assert "token" in run("token", "ls").out
    ran = run("token", "add", "--person", ID[-4:], "--role", "viewer", "--expires-in", "90d")
    assert ran.out == "aiw_secret\n"
    assert server.seen[-1].body == {"person": ID, "role": "viewer", "expires_in": 90 * 86400}
    assert run("token", "rm", "AB" * 8).code == 0
    assert "http://x/in/7F3K-QM2P" in run("login").out


def test_pause_and_resume(server: Server, run: Run) -> None:
    """Both say how it is afterwards."""
    server.answer("pause", {"paused": True, "why": "audit"})
    server.answer("resume", {"paused": False, "why": None})
    assert "audit" in run("pause", "audit").out
    assert run("--json", "resume").json == {"paused": False, "why": None}


def test_the_key_is_a_private_file_and_is_never_shown(run: Run, tmp_path: Path) -> None:
    """I11: the key goes from standard input to a file only its owner reads, and to nowhere else."""
    secret = "sk-ant-" + "x" * 40
    ran = run("--data", str(tmp_path), "key", stdin=secret + "\n")
    path = tmp_path / "secrets" / "anthropic.key"
    assert (ran.code, path.read_text(), path.stat().st_mode & 0o777) == (0, secret + "\n", 0o600)
    assert secret not in ran.out + ran.err
    for wrong in ("", "two words", "line\nline", "키" * 10, "x" * 600):
        assert run("--data", str(tmp_path), "key", stdin=wrong).code == 1
    assert path.read_text() == secret + "\n"
    assert run("--data", str(tmp_path), "key", "--provider", "openai", stdin="sk-1\n").code == 0
    assert (tmp_path / "secrets" / "openai.key").read_text() == "sk-1\n"
    assert path.read_text() == secret + "\n"
    assert run("--data", str(tmp_path), "key", "--remove").code == 0
    assert not path.exists()
    assert run("--data", str(tmp_path / "none"), "key", stdin=secret).code == 1


def test_doctor_says_what_to_mend(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Well: 0; something is not: 1 and the mend; nothing answers: 69."""
    server.answer("queue", {"depth": [], "leases": {}, "paused": False})
    server.answer("openapi", {"info": {"version": "1"}})
    ran = run("--json", "doctor")
    assert (ran.code, ran.json["well"]) == (0, True)
    server.answer("queue", {"depth": [], "leases": {}, "paused": True})
    ran = run("doctor")
    assert ran.code == 1
    assert "./aiw resume" in ran.out
    monkeypatch.setenv("AIW_URL", "http://127.0.0.1:1")
    assert run("doctor").code == 69


def test_help_speaks_both_languages_and_names_every_command(run: Run) -> None:
    """`--help` everywhere, without importing a command; no key of the catalogue shows through."""
    for lang, word in (("en", "Usage"), ("ko", "사용법")):
        ran = run("--lang", lang, "--help")
        assert ran.code == 0
        assert word in ran.out
        assert "cli." not in ran.out
        names = "submit ls show logs why approve reject cancel retry reanalyze resolve outcome pause resume login key"
        for name in names.split():
            helped = run("--lang", lang, name, "--help")
            assert (helped.code, "cli." in helped.out, word in helped.out) == (0, False, True), name


def test_a_fault_of_ours_is_still_one_line(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback ever, whatever the server answers."""
    monkeypatch.delenv("AIW_DEBUG", raising=False)
    bodies: list[object] = [[], {"items": [{"id": 3}]}, "<html>"]
    for body in bodies:
        server.answer("list_tasks", body)
        ran = run("ls")
        assert ran.code in {1, 69}
        assert len(ran.err.splitlines()) == 1
        assert "Traceback" not in ran.err


def test_nothing_heavy_is_imported_for_an_answer() -> None:
    """An answer comes in under 0.3 s because nothing that takes long to import is; no clock is asked."""
    program = "import sys, cli.__main__ as m; m.main(['--data', '/nonexistent', 'ls']); import cli.why, cli.decide"
    program += "; print([n for n in ('pydantic', 'httpx2', 'sqlalchemy', 'fastapi', 'asyncio') if n in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
