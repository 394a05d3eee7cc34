"""The command line against a running stack: as a person and as a program would use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.client import Options
from cli.demo_stack import DemoStack
from cli.demo_target import CountingTarget
from tests.unit.terminal import Ran, Run

ROOT = Path(__file__).resolve().parents[2]
VALUE = json.dumps({"steps": [{"id": "v", "action": "value", "args": {"value": {"n": 7}}}]})


@pytest.fixture(scope="module")
def target() -> Iterator[CountingTarget]:
    """A far side that counts."""
    found = CountingTarget()
    yield found
    found.close()


@pytest.fixture(scope="module")
def stack(target: CountingTarget) -> Iterator[DemoStack]:
    """A whole stack of its own."""
    found = DemoStack(Options(data=Path(), port=0, json=False, lang="en"))
    try:
        found.start({"AIW_HOSTS": f"{target.idempotent};idempotent, {target.strict}"})
        yield found
    finally:
        found.stop()


def environment(**more: str) -> dict[str, str]:
    """An environment without a server of the caller's own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIW_")}
    return {**clean, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "COLUMNS": "80", **more}


def command(stack: DemoStack, *words: str) -> list[str]:
    """A command line that names this stack."""
    return [sys.executable, "-P", "-m", "cli", "--data", str(stack.options.data), *words]


@pytest.fixture
def run(stack: DemoStack) -> Run:
    """Run one command; its standard error never holds a traceback."""

    def run_it(*words: str, stdin: str = "", **env: str) -> Ran:
        line = [sys.executable, "-P", "-m", "cli", *words] if env else command(stack, *words)
        done = subprocess.run(
            line, input=stdin, env=environment(**env), capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_it


def post(url: str) -> str:
    """A plan of one POST."""
    args = {"method": "POST", "url": url, "json": {"amount": 39000}}
    return json.dumps({"steps": [{"id": "send", "action": "http.request", "args": args}]})


def test_a_task_from_submission_to_its_result(run: Run) -> None:
    """Submit, wait, look by a shortened id, follow its history to the end."""
    ran = run("--json", "submit", "--plan", "-", "--wait", "--tag", "e2e", stdin=VALUE)
    assert (ran.code, ran.json["state"], ran.json["result"]) == (0, "succeeded", {"n": 7})
    task = ran.json["id"]
    assert run("--json", "show", task[-6:]).json["id"] == task
    followed = run("--json", "logs", "-f", task)
    assert followed.code == 0
    assert [json.loads(line)["kind"] for line in followed.out.splitlines()][-1] == "succeeded"
    assert task[-8:] in run("ls", "--tag", "e2e").out
    assert "succeeded" in run("--lang", "en", "logs", task).out.lower()


def test_the_same_key_hands_in_one_task(run: Run) -> None:
    """I1: what was acknowledged is there; sent again, it is the same task."""
    first = run("--json", "submit", "--plan", "-", "--key", "once", stdin=VALUE).json["id"]
    assert run("--json", "submit", "--plan", "-", "--key", "once", stdin=VALUE).json["id"] == first
    other = VALUE.replace("7", "8")
    assert run("submit", "--plan", "-", "--key", "once", stdin=other).code == 1


def test_nothing_is_sent_before_yes_and_one_thing_after(run: Run, target: CountingTarget) -> None:
    """I4: waiting ends with 3; no and a stale digest send nothing; yes sends it once."""
    url = f"http://{target.strict}/cli"
    ran = run("--json", "submit", "--plan", "-", "--wait", stdin=post(url))
    assert (ran.code, ran.json["state"]) == (3, "awaiting_approval")
    task = ran.json["id"]
    seen = run("approve", task, stdin="n\n")
    assert seen.code == 1
    assert url in seen.out
    assert "v1:sha256:" in seen.out
    assert run("approve", task, "--yes", "--digest", "v1:sha256:" + "0" * 64).code == 1
    assert target.requests("/cli") == 0
    ran = run("approve", task, "--wait", stdin="y\n")
    assert (ran.code, target.requests("/cli")) == (0, 1)


def test_a_rejected_task_is_cancelled_and_says_so(run: Run, target: CountingTarget) -> None:
    """Reject ends it; a program that waits for it gets 3."""
    task = run("--json", "submit", "--plan", "-", stdin=post(f"http://{target.strict}/no")).json["id"]
    assert run("--json", "reject", task, "--note", "no").json["state"] == "cancelled"
    assert run("show", task, "--wait").code == 3
    assert run("cancel", task).code == 1
    assert target.requests("/no") == 0


def test_pause_holds_and_why_says_so(run: Run) -> None:
    """While all is paused a task waits, `why` names the pause, and resume lets it go."""
    try:
        assert run("pause", "test").code == 0
        task = run("--json", "submit", "--plan", "-", stdin=VALUE).json["id"]
        groups = {group["what"]: [t["id"] for t in group["tasks"]] for group in run("--json", "why").json["items"]}
        assert task in groups["paused"]
        assert "resume" in run("why", task).out
        assert run("doctor").code == 1
    finally:
        assert run("resume").code == 0
    assert run("show", task, "--wait").code == 0


def test_a_person_closes_what_no_recipe_knows(run: Run) -> None:
    """To a person with 3, and from there by hand."""
    ran = run("--json", "--lang", "ko", "submit", "회식 장소 알아봐줘", "--wait")
    assert (ran.code, ran.json["state"]) == (3, "manual")
    task = ran.json["id"]
    assert "레시피" in run("--lang", "ko", "why", task).out
    ran = run("--json", "resolve", task, "--note", "booked", "--result", '{"place": "x"}')
    assert (ran.code, ran.json["state"]) == (0, "succeeded")


def test_a_delayed_task_waits_by_name(run: Run) -> None:
    """`--not-before` takes a span; the task says what it waits for; cancel ends it."""
    task = run("--json", "submit", "--plan", "-", "--not-before", "1h", stdin=VALUE).json["id"]
    assert run("--json", "show", task).json["waiting_for"]["what"] == "delay"
    assert run("--json", "cancel", task, "--note", "enough").json["state"] == "cancelled"


def test_a_viewer_sees_and_may_not_act(run: Run, stack: DemoStack) -> None:
    """A token of lesser role reads by AIW_URL and AIW_TOKEN, is refused the rest, and is void once revoked."""
    assert run("people", "add", "뷰어", "--role", "viewer").code == 0
    made = run("--json", "token", "add", "--person", "뷰어", "--expires-in", "1h").json
    env = {"AIW_URL": f"http://127.0.0.1:{stack.options.port}", "AIW_TOKEN": made["secret"]}
    assert run("ls", **env).code == 0
    refused = run("submit", "x", **env)
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    assert run("token", "rm", made["id"]).code == 0
    # Reads believe a token for a few seconds more (common/auth.py).
    until = time.monotonic() + 15
    while run("ls", **env).code == 0:
        assert time.monotonic() < until
        time.sleep(0.5)
    assert run("ls", **env).code == 1
    assert run("people", "rm", "뷰어").code == 0


def test_settings_are_versioned(run: Run) -> None:
    """A setting is read, changed and read again; nonsense is refused with a pointer."""
    assert run("settings", "time_zone", "Asia/Seoul").code == 0
    ran = run("--json", "settings", "time_zone")
    assert (ran.json["value"], ran.json["inherited"]) == ("Asia/Seoul", False)
    assert run("settings", "time_zone", "Nowhere/Else").code == 1
    assert run("--json", "settings").json["items"]


def test_a_well_installation_is_found_well(run: Run) -> None:
    """`doctor` finds nothing to mend; `login` gives a link; `recipes` and `migrate` need no more than they say."""
    ran = run("doctor")
    assert (ran.code, "✗" in ran.out) == (0, False)
    assert "/in/" in run("login").out
    assert len(run("--json", "recipes").json) >= 8
    assert run("--json", "migrate").json["schema"]


def test_ctrl_c_is_130_and_a_closed_pipe_is_no_fault(stack: DemoStack, run: Run) -> None:
    """What a person does with a running command: Ctrl-C, or `| head`."""
    task = run("--json", "submit", "--plan", "-", "--not-before", "1h", stdin=VALUE).json["id"]
    line = command(stack, "--json", "logs", "-f", task)
    # A shell's background job has SIGINT ignored, and so has what it starts: this one is asked as at a terminal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    following = subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["kind"] == "submitted"
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=20)
    assert (following.returncode, "Traceback" in err) == (130, False)
    head = f"{' '.join(command(stack, 'logs'))} | head -1"
    done = subprocess.run(head, shell=True, env=environment(), capture_output=True, text=True, check=False)  # noqa: S602 - a pipe is what is tested
    assert done.stderr == ""
