"""People hear that a provider reports more than a request can cost: somebody else answers, or prices are not right."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.i18n import t
from common.ports import Budget, Clock, Workspace

from .budget_news import Tell

LOOK_EVERY: Final = 60.0  # seconds
SPAN: Final = timedelta(hours=1)  # looked back on, and between two words to the same people


@dataclass(slots=True)
class UsageNews:
    """Looks at the last hour's calls, and tells a workspace's channel once an hour. A restart may tell twice."""

    budget: Budget
    workspace: Workspace
    clock: Clock
    tell: Tell
    public_url: str
    _looked: float | None = field(default=None)
    _told: dict[UUID, float] = field(default_factory=dict)

    def turn(self) -> int:
        """How many workspaces were told."""
        now = self.clock.monotonic()
        if self._looked is not None and now - self._looked < LOOK_EVERY:
            return 0
        self._looked = now
        recently = {w for w, at in self._told.items() if now - at < SPAN.total_seconds()}
        told = 0
        for one in self.budget.unbelieved(SPAN):
            if one.workspace in recently:
                continue
            policy = self.workspace.policy(one.workspace)
            url = policy.channels.get(policy.notify or "")
            text = t("announce.usage_unbelieved", one.lang, calls=one.calls, url=self.public_url.rstrip("/"))
            # Without a channel there is nobody to tell; one that does not take it is tried at the next look.
            if url is None or not self.tell(url, text, policy):
                continue
            self._told[one.workspace] = now
            told += 1
        return told
