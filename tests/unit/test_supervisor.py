"""The supervisor without a server: who is told apart from whom, how often it tries again, what the screen says."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local import folder as folders
from infra.local.errors import UpError
from infra.local.folder import open_folder, socket_folder, take
from infra.local.logs import trim
from infra.local.nginx import free_port
from infra.local.part import LONGEST_DELAY, Part, Stage
from infra.local.process import Identity, identity, members
from infra.local.screen import Screen, width
from infra.local.stack import replicas
from infra.local.supervisor import Supervisor
from infra.local.timer import KNOCK, knock, until_next_minute


def test_a_reused_process_id_is_nobody_we_know() -> None:
    """A signal meant for a part of an earlier run never meets a stranger."""
    ours = identity(os.getpid())
    assert ours is not None
    assert ours.is_alive()
    stranger = Identity(os.getpid(), "1")
    assert not stranger.is_alive()
    assert members(stranger) == []
    stranger.send(signal.SIGKILL)


def test_an_orphan_is_found_by_its_leader() -> None:
    """nginx's worker outlives a killed master, and keeps its port."""
    code = "import os, time; os.setsid(); pid = os.fork(); print(pid or '', flush=True); time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdout is not None
        orphan = int(leader.stdout.readline().strip() or leader.stdout.readline())
        known = identity(leader.pid)
        assert known is not None
        assert {process.pid for process in members(known)} == {leader.pid, orphan}
        leader.kill()
        leader.wait()
        assert [process.pid for process in members(known)] == [orphan]
        os.kill(orphan, signal.SIGKILL)


def test_a_part_that_keeps_falling_is_tried_more_and_more_seldom() -> None:
    """Backoff doubles up to its cap, and a part that ran for a minute starts over."""
    part = Part("x", Stage.DOORS, launch=lambda: 0)
    delays = [part.fell(now=1.0) for _ in range(12)]
    assert delays[:3] == [0.2, 0.4, 0.8]
    assert delays[-1] == LONGEST_DELAY
    part.started = 100.0
    assert part.fell(now=161.0) == 0.2


def test_a_data_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """A second `up` is refused, naming the process."""
    folder = open_folder(tmp_path / "data")
    lock = take(folder)
    with pytest.raises(UpError) as refused:
        take(folder)
    assert (refused.value.key, refused.value.values["pid"]) == ("in_use", str(os.getpid()))
    os.close(lock)
    os.close(take(folder))


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    """I11: 0600 in a folder of 0700, and made once."""
    folder = open_folder(tmp_path / "data")
    key = folder.secret("signing.key")
    assert key is not None
    assert len(bytes.fromhex(key)) == 32
    assert (folder.secrets / "signing.key").stat().st_mode & 0o777 == 0o600
    assert folder.secrets.stat().st_mode & 0o777 == 0o700
    assert open_folder(tmp_path / "data").secret("signing.key") == key


def test_a_long_path_gets_short_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path has 107 bytes; the data folder's may have more."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert socket_folder(Path("/var/lib/aiw/data")) == Path("/var/lib/aiw/data/run")
    short = socket_folder(Path("/home") / ("x" * 100))
    assert short.parent == tmp_path
    short.chmod(0o755)
    with pytest.raises(UpError, match="not_private"):
        socket_folder(Path("/home") / ("x" * 100))


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL on a full disk is no start."""
    monkeypatch.setattr(folders, "NEEDED_AT_FIRST", 1 << 60)
    with pytest.raises(UpError, match="disk_full"):
        open_folder(tmp_path / "data")


def test_a_taken_port_is_refused_with_a_free_one() -> None:
    """Port 0 is any."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UpError) as refused:
            free_port(port)
    assert refused.value.key == "port_taken"
    assert free_port(int(str(refused.value.values["other"])))
    assert free_port(0)


def test_logs_stay_short_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer keeps its descriptor: the file is emptied under it, and its old content is kept once."""
    monkeypatch.setattr("infra.local.logs.LONGEST_LOG", 10)
    with (tmp_path / "execute.log").open("a") as writer:
        writer.write("a long line of a log\n")
        writer.flush()
        trim(tmp_path)
        writer.write("next\n")
    assert (tmp_path / "execute.log").read_text() == "next\n"
    assert (tmp_path / "execute.log.1").read_text() == "a long line of a log\n"


def test_the_screen_lines_up_and_programs_get_json() -> None:
    """Hangul takes two columns; a program gets one JSON value a line, and nothing else."""
    assert width("한글 ab") == 7
    for lang in ("en", "ko"):
        out = io.StringIO()
        Screen(lang, out=out).done(1, "packages", 18.0, count=55)
        assert width(out.getvalue().strip()) in range(66, 74)
    out = io.StringIO()
    screen = Screen("ko", as_json=True, out=out)
    screen.say("how_to_stop")
    screen.tell("fell", part="execute", how="SIGKILL", seconds=0.2)
    assert json.loads(out.getvalue()) == {"event": "fell", "part": "execute", "how": "SIGKILL", "seconds": 0.2}


def test_a_terminal_that_has_gone_stops_nothing() -> None:
    """What must still be drained is drained."""
    out = io.StringIO()
    out.close()
    Screen("en", out=out).say("how_to_stop")


def test_replicas_have_names() -> None:
    """The first is called as its function."""
    assert replicas("execute", {"execute": 3}) == ["execute", "execute-2", "execute-3"]
    assert replicas("analyze", {"execute": 3}) == ["analyze"]


def test_the_timer_keeps_to_the_minute() -> None:
    """It does not drift by what a minute's work takes."""
    assert until_next_minute(120.0) == 60.0
    assert until_next_minute(179.5) == 0.5


def test_whoever_listens_is_woken_and_nobody_waits_for_an_answer(tmp_path: Path) -> None:
    """A replica that was given up is passed over; what is sent is a wake with an empty body."""
    shut, door = tmp_path / "schedule.sock", tmp_path / "schedule-2.sock"
    assert knock([shut, door]) is False
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(shut))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door))
        listener.listen(1)
        assert knock([shut, door]) is True
        came, _ = listener.accept()
        with came:
            assert came.recv(1000) == KNOCK
            assert came.recv(1000) == b""


def test_the_supervisor_does_its_work_of_a_minute_and_sleeps_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start of the minute, once; a signal ends it."""
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in stopping}
    minutes: list[float] = []

    def minute() -> None:
        minutes.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("infra.local.supervisor.until_next_minute", lambda _: 0.05 if not minutes else 60.0)
    began = time.monotonic()
    supervisor = Supervisor(Screen("en", as_json=True, out=io.StringIO()), changed=lambda: None, minute=minute)
    try:
        supervisor.run()
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        for descriptor in supervisor.descriptors:
            os.close(descriptor)
    assert len(minutes) == 1
    assert 0.05 <= minutes[0] - began < 5
