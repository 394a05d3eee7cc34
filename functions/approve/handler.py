"""approve: decisions, everything a person does to a waiting task, and telling people that one waits."""

from __future__ import annotations

from mangum import Mangum

from common.claim_loop import Turn
from common.web import Function, make_app
from common.wiring import Container

from .announce import AT_ONCE, Announcer
from .approvals import approve, get_approval, reject
from .budget_news import BudgetNews
from .manual import outcome, reanalyze, resolve, retry
from .usage_news import UsageNews


class Approve(Function):
    """What the process runs besides its endpoints."""

    def __init__(self, container: Container) -> None:
        """Nothing is started."""
        self._announcer = Announcer(
            container.approvals,
            container.workspace,
            container.catalogue,
            container.http,
            container.settings.public_url,
        )
        self._news = BudgetNews(
            container.budget,
            container.workspace,
            container.clock,
            self._announcer.tell,
            container.settings.public_url,
            container.quote.one_call,
        )

        self._usage_news = UsageNews(
            container.budget,
            container.workspace,
            container.clock,
            self._announcer.tell,
            container.settings.public_url,
        )

    def turn(self) -> Turn:
        """See common.web.Function. One that could not be told is not claimed again in this loop."""
        self._news.turn()
        self._usage_news.turn()
        found, told = self._announcer.turn()
        return Turn(claimed=told, done=told, full=found == AT_ONCE and told > 0, wake_in_ms=None)


app = make_app(
    "approve",
    {
        "get_approval": get_approval,
        "approve": approve,
        "reject": reject,
        "retry": retry,
        "reanalyze": reanalyze,
        "resolve": resolve,
        "outcome": outcome,
    },
    Approve,
)
handler = Mangum(app)
