"""An approver hears of it: what waits for approval or for a person goes to the configured channel, once it is there.

A crash may announce twice; a link in an announcement only shows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.core.policy import Policy
from common.core.task import Lang, State
from common.i18n import failure_said, t
from common.ports import Approvals, Http, HttpFailure, HttpRequest, Notice, Workspace

AT_ONCE: Final = 20  # announcements of one turn: a flood is told in several turns, and each is one short request
SECONDS: Final = 10.0
ACCEPTED: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Announcer:
    """Tells channels what waits."""

    approvals: Approvals
    workspace: Workspace
    catalogue: Catalogue
    http: Http
    public_url: str

    def turn(self) -> tuple[int, int]:
        """Announce what nobody has been told of: how many there were, and how many were told."""
        notices = self.approvals.unannounced(AT_ONCE)
        told: list[tuple[UUID, int]] = []
        for workspace, group in _by_workspace(notices).items():
            policy = self.workspace.policy(workspace)
            url = policy.channels.get(policy.notify or "")
            told += [(n.task.id, n.task.event_seq) for n in group if url is None or self._tell(n, url, policy)]
        self.approvals.announced(told)
        return len(notices), len(told)

    def _tell(self, notice: Notice, url: str, policy: Policy) -> bool:
        return self.tell(url, message(notice, self.catalogue, self.public_url, notice.task.request.lang), policy)

    def tell(self, url: str, text: str, policy: Policy) -> bool:
        """Send a text to a channel; whether it was taken."""
        body = json.dumps({"text": text}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        request = HttpRequest(method="POST", url=url, headers=headers, body=body, timeout=SECONDS, from_settings=True)
        try:
            return self.http.send(request, policy).status in ACCEPTED
        except HttpFailure:
            return False  # it stays unannounced: maintenance wakes this function again within a minute


def _by_workspace(notices: Sequence[Notice]) -> dict[UUID, list[Notice]]:
    groups: dict[UUID, list[Notice]] = defaultdict(list)
    for notice in notices:
        groups[notice.task.workspace].append(notice)
    return groups


def message(notice: Notice, catalogue: Catalogue, public_url: str, lang: Lang) -> str:
    """Who asked, what would be sent where (code's sentences, never a model's), and a link that only shows."""
    task = notice.task
    asked = task.request.text or (task.kind or "")
    lines = [t(f"announce.{task.state.value}", lang, who=notice.requested_by_name, what=asked[:200])]
    if task.plan is not None:
        lines += [f"{n}. {catalogue.sentence(step, lang)}" for n, step in enumerate(task.plan.steps, 1)]
    if task.state is State.AWAITING_APPROVAL and task.plan is not None:
        lines.append(t("announce.risk", lang, risk=t(f"risk.{task.plan.risk.value}", lang)))
    elif task.failure is not None:
        lines.append(failure_said(task.failure.code, lang))
    lines.append(f"{public_url.rstrip('/')}/tasks/{task.id}")
    return "\n".join(lines)
