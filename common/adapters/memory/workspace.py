"""The Workspace in memory: settings with versions, the policy they add up to, and the pause."""

from __future__ import annotations

from typing import Any, Final, cast
from uuid import UUID

from common.adapters.memory.store import MemoryStore, SettingEntry
from common.core.policy import Function, Host, Pause, Policy
from common.core.task import Json, State, Task
from common.ports import SettingRow

RAISES_POLICY: Final = frozenset({"hosts", "functions", "channels"})  # besides `policy` itself
ALWAYS: Final = frozenset({"policy", "pause"})  # rows that the gate locks: updated, never inserted


class MemoryWorkspace:
    """See `common.ports.Workspace`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

    def policy(self, workspace: UUID) -> Policy:
        """See Workspace."""
        with self.store.commit():
            values = {name: self._effective(workspace, name) for name in self._names(workspace)}
            rules = cast(dict[str, Any], values.get("policy") or {})
            pause = values.get("pause")
            hosts = cast(list[Any], values.get("hosts") or [])
            functions = cast(dict[str, Any], values.get("functions") or {})
            given = {name: values[name] for name in ("channels", "notify", "time_zone") if values.get(name) is not None}
            return Policy(
                version=self.store.policy_version(workspace),
                hosts=tuple(Host.model_validate(host) for host in hosts),
                functions={name: Function.model_validate(f) for name, f in functions.items()},
                pause=None if pause is None else Pause.model_validate(pause),
                **rules,
                **cast(dict[str, Any], given),
            )

    def _names(self, workspace: UUID) -> list[str]:
        return sorted({name for owner, name in self.store.settings if owner in {None, workspace}})

    def _effective(self, workspace: UUID, name: str) -> Json:
        own, installation = self.store.settings.get((workspace, name)), self.store.settings.get((None, name))
        if name == "pause":  # either stops
            return next((e.value for e in (own, installation) if e is not None and e.value is not None), None)
        if name == "policy":  # by field: what the workspace does not say, it inherits
            layers = [cast(dict[str, Json], e.value) for e in (installation, own) if e is not None and e.value]
            return {key: value for layer in layers for key, value in layer.items()}
        found = own or installation
        return None if found is None else found.value

    def settings(self, workspace: UUID) -> list[SettingRow]:
        """See Workspace."""
        with self.store.commit():
            return [self._row(workspace, name) for name in self._names(workspace)]

    def _row(self, workspace: UUID, name: str) -> SettingRow:
        own = self.store.settings.get((workspace, name))
        value = self._effective(workspace, name)
        return SettingRow(name=name, version=own.version if own else 0, value=value, inherited=own is None)

    def put(self, workspace: UUID, name: str, value: Json, expected: int | None, by: UUID) -> SettingRow | None:
        """See Workspace."""
        with self.store.commit():
            own = self.store.settings.get((workspace, name))
            if expected is not None and expected != (own.version if own else 0):
                return None
            if own is None:
                self.store.settings[workspace, name] = SettingEntry(1, value)
            else:
                own.version += 1
                own.value = value
            if name in RAISES_POLICY:
                self.store.settings[workspace, "policy"].version += 1
            return self._row(workspace, name)

    def pause(self, workspace: UUID, why: str | None, by: UUID) -> None:
        """See Workspace."""
        with self.store.commit():
            entry = self.store.settings[workspace, "pause"]
            entry.version += 1
            entry.value = None if why is None else {"why": why, "by": self.store.people.get(by, "")}

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
