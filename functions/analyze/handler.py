"""analyze: takes tasks in, and reads them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Final

from mangum import Mangum

from common.claim_loop import Turn
from common.table_route import Direct
from common.waits import Waits
from common.web import Function, make_app
from common.wiring import Container

from .analysis import Analyst, Means
from .economy import economy
from .group_commit import GroupCommit
from .intake import Intake
from .preview import preview
from .submit import submit

# A committer thread beside a busy event loop waits for the GIL: 5 ms, by default, is longer than its commit (measured).
SWITCH_SECONDS: Final = 0.0002


class Analyze(Function):
    """What the process runs besides its endpoints."""

    def __init__(self, container: Container) -> None:
        """Starts the committer."""
        sys.setswitchinterval(SWITCH_SECONDS)
        settings = container.settings
        self._draining = False
        self._pool = ThreadPoolExecutor(settings.analyses_at_once, "analysis")
        commit = GroupCommit(container.queue, container.notifier)
        self.intake = Intake(commit, Waits(container.reads), container.workspace, container.clock)
        means = Means(
            queue=container.queue,
            workspace=container.workspace,
            analyzer=container.analyzer,
            budget=container.budget,
            catalogue=container.catalogue,
            clock=container.clock,
            notifier=container.notifier,
            worker=container.worker,
            lease=timedelta(seconds=settings.lease_seconds),
            claim_tasks=settings.claim_tasks,
            at_once=settings.analyses_at_once,
            pack_tasks=settings.pack_tasks,
            linger=timedelta(seconds=settings.pack_linger),
            beside=timedelta(seconds=settings.wake_seconds),
            one_call=container.quote.one_call,
            batches=container.batched is not None,
        )
        self._analyst = Analyst(means, self._pool, lambda: self._draining)
        self._economy = economy(container, lambda: self._draining)

    def turn(self) -> Turn:
        """See common.web.Function."""
        turn = self._analyst.turn()
        if self._economy is None:
            return turn
        beside = self._economy.turn().wake_in_ms
        times = [ms for ms in (turn.wake_in_ms, beside) if ms is not None]
        return replace(turn, wake_in_ms=min(times, default=None))

    def woken(self) -> None:
        """See common.web.Function."""
        self.intake.waits.woken()

    def ending(self) -> None:
        """See common.web.Function."""
        self._draining = True
        self.intake.waits.end()

    def stop(self) -> None:
        """See common.web.Function."""
        self.intake.commit.stop()
        if self._economy is not None:
            self._economy.stop()
        self._pool.shutdown(wait=True)


app = make_app("analyze", {"submit": Direct(submit), "preview": preview}, Analyze)
handler = Mangum(app)
