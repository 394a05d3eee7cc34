"""`./aiw bench`: measure the product and its neighbours on this machine. It starts its own stack and leaves nothing."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from bench.claude import __main__ as claude
from bench.runs import FULL, QUICK, run

MILLION: Final = 1_000_000
INTERRUPTED: Final = 130


def main(words: Sequence[str]) -> int:
    """Run it; 0 whatever the figures are: a busy machine is no failure. The report stands on stdout."""
    if words[:1] == ["claude"]:
        return claude.main(words[1:])
    parser = argparse.ArgumentParser(prog="aiw bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of ours alone, a minute in all")
    parser.add_argument("--million", action="store_true", help="again with 1,000,000 finished tasks in the table")
    parser.add_argument("--finished", type=int, metavar="N", help="as --million, with N")
    parser.add_argument("--peers", metavar="NAMES", help="celery,dramatiq,procrastinate; empty: none")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many of each; the median is shown")
    parser.add_argument("--seconds", type=float, metavar="S", help="about how long a round of load is")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    given = parser.parse_args(words)
    if not Path("/proc/self/smaps_rollup").exists():
        print("bench: CPU time and memory are read from Linux's /proc, which is not here", file=sys.stderr)
        return 1
    length = QUICK if given.quick else FULL
    if given.peers is not None:
        length = replace(length, peers=tuple(name.strip() for name in given.peers.split(",") if name.strip()))
    length = replace(
        length,
        finished=given.finished or (MILLION if given.million else 0),
        rounds=given.rounds or length.rounds,
        seconds=given.seconds or length.seconds,
    )
    # Asked to end, it takes its stack with it: what runs in a session of its own would stay.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        report = run(length)
    except KeyboardInterrupt:
        print("bench: stopped; its stack is gone", file=sys.stderr)
        return INTERRUPTED
    document = json.dumps(report.document(), indent=1)
    if given.out is not None:
        given.out.write_text(document + "\n")
    print(document if given.json else report.text())
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
