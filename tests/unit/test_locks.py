"""The locks are in step with pyproject.toml, and a lock that is not is noticed."""

from __future__ import annotations

from cli import locks
from cli.check import ROOT

LOCK = """\
click==8.1.7 \\
    --hash=sha256:aa
uvicorn[standard]==0.34 ; sys_platform != 'win32' \\
    --hash=sha256:bb
"""


def test_the_locks_are_in_step() -> None:
    """What is installed is what pyproject asks for, by hash, and the same in all three."""
    assert locks.faults(ROOT) == []


def test_a_lock_is_read_with_extras_and_markers() -> None:
    """Names as one spelling, versions without what follows."""
    assert locks.read_lock(LOCK) == {"click": "8.1.7", "uvicorn": "0.34"}


def test_a_package_that_the_lock_lacks_is_named() -> None:
    """So is one whose version does not fit any more."""
    [missing, old] = locks.unmet(["redis>=5", "Click>=9"], locks.read_lock(LOCK))
    assert "redis>=5" in missing
    assert "Click>=9, and here it is 8.1.7" in old


def test_a_package_without_a_hash_is_named() -> None:
    """It would be installed whatever its content is."""
    assert locks.without_hash(LOCK + "redis==5.2\n") == ["redis"]


def test_a_drifted_venv_is_named() -> None:
    """Tests that ran with other versions than the locked ones prove little."""
    [fault] = locks.drifted({"click": "0.1", "no-such-package": "1"})
    assert "click" in fault
