"""The demo, as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_sentence_of_the_demo_is_so() -> None:
    """I4, I6: nine scenes on a stack of their own, each sentence checked; nothing is left behind, nothing was paid."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIW_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli", "--json", "--lang", "ko", "demo", "--exit"],
        env={**clean, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert [check for check in found["checks"] if not check["well"]] == []
    assert (done.returncode, found["well"], len(found["checks"]) > 25) == (0, True, True)
    assert not Path(found["data"]).parent.exists()
