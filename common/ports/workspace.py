"""A workspace's settings, its policy and its pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from common.core.policy import Policy
from common.core.task import Json, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """A setting of a workspace (or what it inherits from the installation), as stored."""

    name: str
    version: int  # of the workspace's own row; 0 if it inherits
    value: Json
    inherited: bool


class Workspace(Protocol):
    """Settings, policy and pause."""

    def policy(self, workspace: UUID) -> Policy:
        """The effective settings now."""

    def settings(self, workspace: UUID) -> list[SettingRow]:
        """Every setting by name."""

    def put(self, workspace: UUID, name: str, value: Json, expected: int | None, by: UUID) -> SettingRow | None:
        """Change one; None if `expected` is given and is not the present version. Raises the policy's version."""

    def pause(self, workspace: UUID, why: str | None, by: UUID) -> None:
        """Stop all execution (`why`) or resume it (None). Once it returns, no attempt begins."""

    def workspaces_reassessable(self, limit: int) -> list[Task]:
        """Tasks that wait for an approval under an older policy than the present one."""
