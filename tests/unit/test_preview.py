"""Previews ask a model while somebody waits: however many there are, tasks are taken in beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from common.ports import Answer, NotAnswered, Question
from common.wiring import Container, Thinker
from functions.analyze.intake import PREVIEWS
from tests.unit.desk import Reader, desk


@dataclass
class Slow(Reader):
    """A model that answers when it is let."""

    under_way: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """In a while."""
        with self.lock:
            self.under_way += 1
        assert self.go_on.wait(20)
        return super().analyze(questions)


def test_previews_never_take_the_threads_that_texts_are_taken_in_by() -> None:
    """More of them than threads, and a slow provider: a text is stored at once, the next preview comes again later."""
    slow = Slow()

    def thinks(_: Container) -> Thinker:
        return slow

    with desk(thinks) as at, ThreadPoolExecutor(60) as people:
        client, operator = at.clients["analyze"], at.token("operator")

        def ask(number: int) -> int:
            return client.post("/api/v1/preview", json={"text": f"weigh offer {number}"}, headers=operator).status_code

        asked = [people.submit(ask, number) for number in range(60)]
        until = time.monotonic() + 20
        while sum(one.done() for one in asked) < 60 - PREVIEWS and time.monotonic() < until:
            time.sleep(0.01)
        assert slow.under_way == PREVIEWS
        refused = client.post("/api/v1/preview", json={"text": "and another"}, headers=operator)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert client.post("/api/v1/tasks", json={"text": "weigh it"}, headers=operator).status_code == 201
        slow.go_on.set()
        assert sorted(one.result(20) for one in asked) == [200] * PREVIEWS + [429] * (60 - PREVIEWS)
        assert ask(61) == 200
