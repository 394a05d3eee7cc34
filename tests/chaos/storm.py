"""A stack of its own with short leases, load on it, and the means to kill any part of it at a chosen moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import pg8000.exceptions
import redis

from cli.demo_target import CountingTarget
from infra.local.process import identity
from tests.chaos.load import Load, Sent
from tests.stack import Product

# A part that is killed often comes back later each time.
BACK: Final = 60.0
# A lease is 10 s, an attempt 3 s and 5 more, a backoff a few; the rest is for a busy machine.
SETTLED_WITHIN: Final = 90.0
SETTLED: Final = frozenset({"succeeded", "cancelled", "manual"})
DOWN: Final = (OSError, pg8000.exceptions.Error, ValueError, KeyError)


class Storm:
    """What is killed, who loads it, and who counts."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.target = CountingTarget()
        self.target.release()
        self.product = Product()
        self.load = Load(self.product, self.target)
        self.kills: dict[str, int] = {}

    def start(self) -> None:
        """`./aiw up`, also after its supervisor was killed."""
        hosts = f"{self.target.idempotent};idempotent, {self.target.strict}"
        self.product.stack.start({"AIW_HOSTS": hosts})

    def close(self) -> None:
        """End everything."""
        self.target.release()
        self.load.close()
        self.product.stop()
        self.target.close()

    # --- killing ----------------------------------------------------------------------------------------------------

    def kill(self, part: str) -> int:
        """SIGKILL a part as soon as it runs; returns its process id."""
        pid = self.until(lambda: self._running(part), f"{part} does not run", BACK)
        os.kill(pid, signal.SIGKILL)
        self.kills[part] = self.kills.get(part, 0) + 1
        return int(pid)

    def kill_and_wait(self, *parts: str) -> None:
        """SIGKILL parts at once, and wait until the supervisor has started all of them again."""
        killed = {part: self.kill(part) for part in parts}
        self.until(
            lambda: all(self._running(part) not in {None, pid} for part, pid in killed.items()),
            f"of {parts} not all are back",
            BACK,
        )

    def kill_supervisor(self) -> None:
        """SIGKILL `./aiw up` itself."""
        os.kill(self.product.server["pid"], signal.SIGKILL)
        process = self.product.stack._process
        assert process is not None
        process.wait(10)
        self.kills["up"] = self.kills.get("up", 0) + 1

    def _running(self, part: str) -> int | None:
        with suppress(*DOWN):
            found = self.product.server["parts"][part]
            process = identity(found["pid"])
            if process is not None and process.started == found["started"]:
                return int(found["pid"])
        return None

    # --- the moment -------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, statement: str, **values: object) -> Iterator[None]:
        """Hold a lock of the database's owner meanwhile, so that a statement of the product's stops in its middle."""
        owner = self.product.database()
        try:
            owner.run("BEGIN")
            owner.run(statement, **values)
            yield
        finally:
            owner.run("ROLLBACK")
            owner.close()

    def blocked(self, text: str) -> list[int]:
        """Wait until statements that hold `text` wait for a lock; their backends."""
        sql = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid() "
            "AND query LIKE :text"
        )
        found = self.until(lambda: self.product.rows(sql, text=f"%{text}%"), f"nothing waits in {text!r}", 20)
        return [int(row[0]) for row in found]

    def end(self, backends: Sequence[int]) -> None:
        """Roll back what these backends do: what their dead client would have sent is lost with it."""
        for pid in backends:
            self.product.rows("SELECT pg_terminate_backend(CAST(:pid AS int))", pid=pid)

    def wipe_valkey(self) -> None:
        """FLUSHALL: every wake, every group, every entry is gone."""
        client = redis.Redis.from_url(str(self.product.server["redis_url"]))
        client.flushall()
        client.close()

    # --- how it went ------------------------------------------------------------------------------------------------

    def until(self, look: Callable[[], Any], what: str, seconds: float) -> Any:  # noqa: ANN401 - whatever is found
        """What `look` finds, once it finds something; AssertionError `what` after `seconds`."""
        until = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < until, f"{what} after {seconds} s"
            time.sleep(0.05)
        return found

    def states(self, tasks: Sequence[Sent]) -> dict[str, str]:
        """The states of tasks by id, as the database has them; {} while it is down."""
        ids = [task.id for task in tasks]
        with suppress(*DOWN):
            found = self.product.rows("SELECT id, state FROM tasks WHERE id = ANY(CAST(:ids AS uuid[]))", ids=ids)
            return {str(task): str(state) for task, state in found}
        return {}

    def has_all(self, tasks: Sequence[Sent]) -> bool:
        """Whether the database, once it answers, has every one of these."""
        return len(self.until(lambda: self.states(tasks), "the database does not answer", BACK)) == len(tasks)

    def settle(self, tasks: Sequence[Sent]) -> dict[str, str]:
        """Wait until all have ended or wait for a person: their states. The minute timer's work is done each second."""
        until = time.monotonic() + SETTLED_WITHIN
        while True:
            states = self.states(tasks)
            open_ = [task for task in tasks if states.get(task.id) not in SETTLED]
            if not open_:
                return states
            assert time.monotonic() < until, [(task, states.get(task.id)) for task in open_[:20]]
            self.load.approve_waiting()
            self.product.stack.wake("schedule")
            time.sleep(1)

    def well(self) -> None:
        """It goes on by itself: a fresh task of each kind that needs nobody ends."""
        fresh = [self.load.send("value"), self.load.send("text")]
        states = self.settle(fresh)
        assert set(states.values()) == {"succeeded"}
