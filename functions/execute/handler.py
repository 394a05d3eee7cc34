"""execute: runs the steps of queued tasks, and shows what actions there are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Query
from mangum import Mangum

from common import api
from common.claim_loop import Turn
from common.page import page_from
from common.web import Function, ReaderLang, Wired, make_app
from common.wiring import Container

from .context import Means
from .recorder import Recorder
from .run import Runner

WAKE: Final = ("aiw.task.queued",)


class Execute(Function):
    """What the process runs besides its endpoints."""

    def __init__(self, container: Container) -> None:
        """Starts the recorder."""
        settings = container.settings
        lease = timedelta(seconds=settings.lease_seconds)
        means = Means(
            queue=container.queue,
            workspace=container.workspace,
            catalogue=container.catalogue,
            http=container.http,
            clock=container.clock,
            model=container.analyzer,
            limits=lambda: container.limits,
            worker=container.worker,
            lease=lease,
            claim_tasks=settings.claim_tasks,
            effect_threads=settings.effect_threads,
            result_bytes=settings.result_bytes,
        )
        self._drain_seconds = settings.drain_seconds
        self._pool = ThreadPoolExecutor(settings.effect_threads, "effect")
        recorder = Recorder(container.queue, container.notifier, lease.total_seconds() / 3, self._renew)
        self._runner = Runner(means, self._pool, recorder, lambda: container.notifier.publish(WAKE))

    def _renew(self) -> None:
        self._runner.renew()

    def turn(self) -> Turn:
        """See common.web.Function."""
        return self._runner.turn()

    def stop(self) -> None:
        """See common.web.Function."""
        self._runner.stop(self._drain_seconds)
        self._pool.shutdown(wait=False)


def actions(query: Annotated[api.PageQuery, Query()], wired: Wired, lang: ReaderLang) -> api.ActionList:
    """The catalogue, in the reader's language."""
    page, following = page_from(wired.catalogue.describe(lang), query, lambda action: action.name)
    return api.ActionList(items=page, next=following)


app = make_app("execute", {"actions": actions}, Execute)
handler = Mangum(app)
