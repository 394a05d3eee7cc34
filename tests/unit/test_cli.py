"""The command line: handing in, usage, refusals, operating; against a stand-in of the server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.terminal import DIGEST, ID, SINCE, Run, Server, run, server, task

__all__ = ["run", "server"]  # fixtures


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


def test_a_command_that_is_nearly_one_is_named(run: Run) -> None:
    """A typing error is answered with what may have been meant, in one sentence that ends."""
    assert run("sbmit", "x").err == "aiw: there is no command 'sbmit'. Did you mean submit? See ./aiw --help\n"
    assert "No such file or directory. See" in run("submit", "--plan", "/nothing").err


def test_recipes_need_no_server(run: Run) -> None:
    """What is understood without a key is shown in either language, and as JSON."""
    assert "https://api.example.com/prices" in run("recipes").out
    assert {"name", "sentence", "example"} == set(run("--json", "--lang", "ko", "recipes").json[0])


@pytest.mark.parametrize(
    "words",
    [
        ("submit",), ("submit", "text", "--plan", "-"), ("show",), ("show", "not-hex!"), ("lss",), ("ls", "--stat"),
        ("ls", "--limit", "1000"), ("submit", "x", "--not-before", "2026-11-24T07:00:00"),
        ("submit", "x", "--input", "k"),
        ("approve", ID, "--yes"), ("outcome", ID, "s", "perhaps"), ("--port", "0", "ls"),
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


def test_what_a_value_must_be_is_said_in_the_readers_language(run: Run) -> None:
    """Where click has an English sentence, the catalogue has the one that is shown."""
    said = run("--lang", "ko", "people", "add", "x", "--role", "king").err
    assert said == (
        "aiw: '--role': 다음 가운데 하나여야 합니다: viewer, operator, approver, admin. ./aiw people add --help 참고\n"
    )
    assert "1부터 200까지의 정수여야 합니다" in run("--lang", "ko", "ls", "--limit", "1000").err
    assert "a whole number from 0 to 9" in run("submit", "x", "--priority", "high").err


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
