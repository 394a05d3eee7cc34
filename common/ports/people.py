"""Who may do what: people, memberships and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, get_args
from uuid import UUID

Role = Literal["viewer", "operator", "approver", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)  # each does all that the ones before it do
MAY_SUBMIT: Final = ROLES[ROLES.index("operator") :]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person in one workspace, with one role, by one token."""

    person: UUID
    person_name: str
    workspace: UUID
    role: Role
    kind: Literal["api", "session"]
    token_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of the workspace."""

    id: UUID
    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token as listed: never its secret."""

    id: str  # the first 16 hex digits of its hash
    kind: Literal["api", "session", "sign_in_code"]
    person_name: str
    role: Role
    expires_at: datetime | None
    created_at: datetime


class People(Protocol):
    """Who may do what: people, memberships and tokens (only hashes of their secrets)."""

    def principal(self, token_sha256: str) -> Principal | None:
        """Whose valid api or session token this is."""

    def people(self, workspace: UUID) -> list[Person]:
        """Members, by name."""

    def add_person(self, workspace: UUID, name: str, role: Role) -> Person:
        """A new person with a membership."""

    def remove_person(self, workspace: UUID, person: UUID) -> bool:
        """End the membership and every token of it. False if there is none; Conflict if it is the last admin's."""

    def tokens(self, workspace: UUID) -> list[TokenRow]:
        """Valid tokens."""

    def issue(
        self,
        workspace: UUID,
        person: UUID,
        kind: Literal["api", "session", "sign_in_code"],
        token_sha256: str,
        expires_in: timedelta | None,
        role: Role | None = None,
        issued_by: UUID | None = None,
    ) -> TokenRow:
        """Store a token's hash. `role`: at most the person's own (None: that). NotFound if the person is no member.

        `issued_by`: who gives it to the person (None: this installation's owner).
        """

    def revoke(self, workspace: UUID, token_id: str) -> bool:
        """End a token by its id or its full hash. False if there is none."""

    def redeem(self, code_sha256: str, session_sha256: str, expires_in: timedelta) -> Principal | None:
        """Turn a sign-in code into a session, once: of two at the same time one gets None.

        Whoever issued the code has issued the session.
        """
