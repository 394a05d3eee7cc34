"""schedule: woken each minute; alone does maintenance."""

from __future__ import annotations

from datetime import timedelta

from mangum import Mangum

from common.claim_loop import Turn
from common.web import Function, make_app
from common.wiring import Container

from .maintenance import Maintenance
from .retention import Retention


class Schedule(Function):
    """What the process runs besides its wake."""

    def __init__(self, container: Container) -> None:
        """Nothing is started."""
        self._maintenance = Maintenance(
            queue=container.queue,
            approvals=container.approvals,
            workspace=container.workspace,
            budget=container.budget,
            retention=Retention(
                queue=container.queue,
                answers=container.answers,
                costs=container.costs,
                answers_kept=timedelta(days=container.settings.cache_days),
                calls_kept=timedelta(days=container.settings.ledger_days),
            ),
            notifier=container.notifier,
            catalogue=container.catalogue,
            clock=container.clock,
            limits=lambda: container.limits,
        )

    def turn(self) -> Turn:
        """See common.web.Function. Work that could not be moved is the next minute's."""
        found, done, more = self._maintenance.turn()
        return Turn(claimed=min(found, done), done=done, full=more, wake_in_ms=None)


app = make_app("schedule", {}, Schedule)
handler = Mangum(app)
