"""`python -m tests.metered`: try the Claude layer without a key. It says what to set, and at the end what it bills."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.metered.server import Metered


def say(line: str) -> None:
    """At once, also where nobody reads along."""
    print(line, flush=True)  # noqa: T201 - as a program it speaks to its user


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.metered", description=__doc__)
    parser.add_argument("--port", type=int, default=9300, help="0: any free one")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="how long a message takes")
    given = parser.parse_args()
    fake = Metered(port=given.port, seconds=given.seconds)
    say(f"export ANTHROPIC_BASE_URL={fake.url} ANTHROPIC_API_KEY=any  # in another terminal, then: ./aiw up")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in its background deaf to it
    try:
        fake.serve()
    except KeyboardInterrupt:
        say(f"\n{len(fake.rows)} messages, ${fake.nanodollars / 10**9:.6f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
