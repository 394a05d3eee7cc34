"""A process that does nothing but analyse, as `analyze` does when it is woken: for tests that want several of them."""

from __future__ import annotations

import sys
import time

from common.config import Settings
from common.wiring import bootstrap
from functions.analyze.handler import Analyze


def main() -> None:
    """Turn after turn, until it is killed."""
    function = Analyze(bootstrap(Settings()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        if not function.turn().claimed:
            time.sleep(0.02)


if __name__ == "__main__":
    main()
