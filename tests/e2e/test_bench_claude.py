"""`./aiw bench claude`, a small one: a real stack, a fake provider, and two books that must say the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_ledger_of_a_real_stack_is_the_provider_s_bill() -> None:
    """I7: over nginx, PostgreSQL and Valkey; a call a task is not needed, and repeats cost nothing."""
    command = [sys.executable, "-m", "bench", "claude", "--tasks", "40", "--only", "in real time", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [way] = json.loads(done.stdout)["ways"]
    assert way["booked"] == way["nanodollars"] > 0
    assert way["tasks"] == 40
    assert way["calls"] < 24
