"""`./aiw bench claude`: what reading a thousand tasks costs, with each lever and with all, against the metered fake."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.claude import report
from bench.claude.run import Measured, measure, say
from bench.claude.ways import WAYS
from bench.claude.workload import TASKS, workload

INTERRUPTED: Final = 130


def main(words: Sequence[str]) -> int:
    """Run it; 1 if a goal was missed: dollars do not depend on how busy the machine is."""
    parser = argparse.ArgumentParser(prog="aiw bench claude", description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS, metavar="N", help="goals are for 1,000")
    parser.add_argument("--only", metavar="TEXT", help="the ways whose name holds it")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    given = parser.parse_args(words)
    # Asked to end, it takes its stack with it: what runs in a session of its own would stay.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    work = workload(given.tasks)
    measured: list[Measured] = []
    for way in WAYS:
        if given.only is None or given.only in way.name:
            one = measure(way, work)
            say(f"{way.name}: {one.calls} calls, ${one.usd:.4f}, {one.seconds:.0f} s {dict(one.reasons)}")
            measured.append(one)
    if not measured:
        parser.error(f"no way is called like {given.only!r}")
    if given.out is not None:
        given.out.write_text(report.document(measured) + "\n")
    print(report.document(measured) if given.json else report.table(measured))
    return 1 if given.tasks == TASKS and report.missed(measured) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
