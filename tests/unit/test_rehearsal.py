"""What is done before the functions are forked leaves nothing open behind, and nothing that belongs to one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

# In a process of its own: what it freezes and imports would stay with the tests.
REHEARSED: Final = """
import gc, os, sys, threading
from pathlib import Path
from infra.local.folder import open_folder
from infra.local.rehearsal import rehearse
from infra.local.stack import Stack, import_all

gc.disable()
folder = open_folder(Path(sys.argv[1]))
stack = Stack(folder, 8000, {}, None, "postgresql+pg8000://aiw@/aiw?unix_sock=/nowhere", "unix:///nowhere", True)
import_all()
known, environment, descriptors = len(sys.modules), dict(os.environ), os.listdir("/dev/fd")
rehearse(stack)
assert threading.active_count() == 1, threading.enumerate()
assert os.listdir("/dev/fd") == descriptors
assert dict(os.environ) == environment
assert gc.get_freeze_count() > 100_000
from common.telemetry import metrics
assert metrics.cache_info().currsize == 0
print(len(sys.modules) - known)
"""


def test_a_rehearsal_opens_nothing_and_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    """No thread, no descriptor, no metrics that children would share; and every module was there before it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIW_", "ANTHROPIC_"))}
    done = subprocess.run(
        [sys.executable, "-P", "-c", REHEARSED, str(tmp_path / "data")],
        env={**clean, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 0, "modules that every function imports by itself: see infra.local.stack"
