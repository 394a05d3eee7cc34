"""The Workspace in memory: settings with versions, the policy they add up to, and the pause."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final
from uuid import UUID

from common.adapters.memory.rows import SettingEntry
from common.adapters.memory.store import MemoryStore
from common.core.installation import SETTINGS, policy_from
from common.core.policy import Policy
from common.core.task import Json, State, Task
from common.ports import SettingRow

NAMES: Final = (*SETTINGS, "pause")  # what a policy is read from
RAISES_POLICY: Final = frozenset({"hosts", "functions", "channels"})  # besides `policy` itself


@lru_cache(maxsize=512)
def _policy(stored: str, version: int, members: int) -> Policy:
    """Read once: most histories have the same few."""
    values: dict[str, Json] = json.loads(stored)
    return policy_from(values, version=version, pause=values.pop("pause"), members=members)


class MemoryWorkspace:
    """See `common.ports.Workspace`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store
        self._read_from: object = None  # what was stored when these were read:
        self._policies: dict[UUID, Policy] = {}

    def policy(self, workspace: UUID) -> Policy:
        """See Workspace. It is asked for far more often than anything of it changes."""
        with self.store.commit():
            settings = self.store.settings
            stored = (
                [(entry.version, entry.value) for entry in settings.values()],
                [*settings],
                [*self.store.memberships],
            )
            if stored != self._read_from:
                self._read_from, self._policies = stored, {}
            if workspace not in self._policies:
                self._policies[workspace] = self._policy(workspace)
            return self._policies[workspace]

    def _policy(self, workspace: UUID) -> Policy:
        stored = {name: self._effective(workspace, name) for name in NAMES}
        members = sum(home == workspace for _, home in self.store.memberships)
        return _policy(json.dumps(stored), self.store.policy_version(workspace), members)

    def _effective(self, workspace: UUID, name: str) -> Json:
        own = self.store.settings.get((workspace, name))
        if own is None or own.value is None:
            own = self.store.settings.get((None, name))
        return None if own is None else own.value

    def settings(self, workspace: UUID) -> list[SettingRow]:
        """See Workspace."""
        with self.store.commit():
            rows = []
            for name in sorted({name for owner, name in self.store.settings if owner in {None, workspace}}):
                own = self.store.settings.get((workspace, name))
                inherits = own is None or own.value is None
                if inherits and (None, name) not in self.store.settings:
                    continue
                version = own.version if own is not None and not inherits else 0
                value = self._effective(workspace, name)
                rows.append(SettingRow(name=name, version=version, value=value, inherited=inherits))
            return rows

    def put(self, workspace: UUID, name: str, value: Json, expected: int | None, by: UUID) -> SettingRow | None:  # noqa: ARG002 - no port reads who changed it
        """See Workspace."""
        with self.store.commit():
            own = self.store.settings.setdefault((workspace, name), SettingEntry(0, None))
            if expected is not None and expected != (0 if own.value is None else own.version):
                return None
            own.version += 1
            own.value = value
            if name in RAISES_POLICY:
                self.store.settings[workspace, "policy"].version += 1
            return SettingRow(name=name, version=own.version, value=value, inherited=False)

    def pause(self, workspace: UUID, why: str | None, by: UUID) -> None:
        """See Workspace."""
        with self.store.commit():
            entry = self.store.settings[workspace, "pause"]
            entry.version += 1
            entry.value = None if why is None else {"why": why, "by": self.store.people.get(by, str(by))}

    def workspaces_reassessable(self, limit: int) -> list[Task]:
        """See Workspace."""
        with self.store.commit() as now:
            waiting = [
                row
                for row in self.store.tasks.values()
                if row.state is State.AWAITING_APPROVAL
                and row.plan is not None
                and row.plan.policy_version != self.store.policy_version(row.workspace)
            ]
            return [row.public(now) for row in waiting[:limit]]
