"""The laptop's minute timer, in place of cron-connector: wakes `schedule` at the start of every minute."""

from __future__ import annotations

import logging
import time
import urllib.error
import urllib.request
from typing import Final

MINUTE: Final = 60.0
# A wake runs for as long as its time budget; the next one joins it.
ANSWER_SECONDS: Final = 55.0
log = logging.getLogger(__name__)


def until_next_minute(now: float) -> float:
    """Seconds from `now` (Unix time) to the next full minute, more than 0."""
    return MINUTE - now % MINUTE


def run(url: str) -> None:
    """POST to `url` every minute, for ever. A wake that fails is lost, and the next one does its work."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # A proxy of the user's is not for this machine's own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        time.sleep(until_next_minute(time.time()))
        request = urllib.request.Request(url, data=b"", headers={"X-Topic": "cron-function"}, method="POST")  # noqa: S310 - our own http address
        try:
            with opener.open(request, timeout=ANSWER_SECONDS) as answer:
                answer.read()
        except (urllib.error.URLError, OSError) as exc:
            log.info("schedule was not woken: %s", exc)
