"""The People in memory: who may do what, by hashed tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from common.adapters.memory.rows import TokenEntry, TokenKind
from common.adapters.memory.store import MemoryStore
from common.core.errors import Conflict, NotFound
from common.ports import ROLES, Person, Principal, Role, TokenRow

ID_DIGITS: Final = 16


class MemoryPeople:
    """See `common.ports.People`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

    def principal(self, token_sha256: str) -> Principal | None:
        """See People."""
        with self.store.commit() as now:
            token = self.store.tokens.get(token_sha256)
            return None if token is None or not token.valid(now) else self._principal(token)

    def _principal(self, token: TokenEntry) -> Principal | None:
        own = self.store.memberships.get((token.person, token.workspace))
        if token.kind == "sign_in_code" or own is None:
            return None
        return Principal(
            person=token.person,
            person_name=self.store.people[token.person],
            workspace=token.workspace,
            role=min(token.role, own, key=ROLES.index),  # a token lends at most what its person still has
            kind=token.kind,
            token_sha256=token.sha256,
        )

    def people(self, workspace: UUID) -> list[Person]:
        """See People."""
        with self.store.commit():
            members = [(p, role) for (p, w), role in self.store.memberships.items() if w == workspace]
            found = [Person(id=p, name=self.store.people[p], role=role) for p, role in members]
            return sorted(found, key=lambda person: person.name)

    def add_person(self, workspace: UUID, name: str, role: Role) -> Person:
        """See People."""
        with self.store.commit():
            person = self.store.new_id()
            self.store.people[person] = name
            self.store.memberships[person, workspace] = role
            return Person(id=person, name=name, role=role)

    def remove_person(self, workspace: UUID, person: UUID) -> bool:
        """See People."""
        with self.store.commit() as now:
            role = self.store.memberships.get((person, workspace))
            if role is None:
                return False
            admins = [p for (p, w), r in self.store.memberships.items() if w == workspace and r == "admin"]
            if admins == [person]:
                msg = "the last admin stays; make somebody else admin first"
                raise Conflict(msg)
            del self.store.memberships[person, workspace]
            for token in self.store.tokens.values():
                if (token.person, token.workspace) == (person, workspace) and token.revoked_at is None:
                    token.revoked_at = now
            return True

    def tokens(self, workspace: UUID) -> list[TokenRow]:
        """See People."""
        with self.store.commit() as now:
            mine = [t for t in self.store.tokens.values() if t.workspace == workspace and t.valid(now)]
            return [self._row(token) for token in mine]

    def issue(
        self,
        workspace: UUID,
        person: UUID,
        kind: TokenKind,
        token_sha256: str,
        expires_in: timedelta | None,
        role: Role | None = None,
        issued_by: UUID | None = None,
    ) -> TokenRow:
        """See People."""
        with self.store.commit() as now:
            own = self.store.memberships.get((person, workspace))
            if own is None:
                raise NotFound
            wanted = own if role is None else min(role, own, key=ROLES.index)
            token = TokenEntry(
                sha256=token_sha256,
                kind=kind,
                person=person,
                workspace=workspace,
                role=wanted,
                expires_at=None if expires_in is None else now + expires_in,
                created_at=now,
                issued_by=issued_by,
            )
            self.store.tokens[token_sha256] = token
            return self._row(token)

    def revoke(self, workspace: UUID, token_id: str) -> bool:
        """See People."""
        with self.store.commit() as now:
            for token in self.store.tokens.values():
                if token.workspace != workspace or len(token_id) < ID_DIGITS or not token.sha256.startswith(token_id):
                    continue
                if token.revoked_at is None:
                    token.revoked_at = now
                    return True
            return False

    def redeem(self, code_sha256: str, session_sha256: str, expires_in: timedelta) -> Principal | None:
        """See People."""
        with self.store.commit() as now:
            code = self.store.tokens.get(code_sha256)
            if code is None or code.kind != "sign_in_code" or not code.valid(now):
                return None
            if (code.person, code.workspace) not in self.store.memberships:
                return None
            code.revoked_at = now
            session = TokenEntry(
                sha256=session_sha256,
                kind="session",
                person=code.person,
                workspace=code.workspace,
                role=code.role,
                expires_at=now + expires_in,
                created_at=now,
                issued_by=code.issued_by,
            )
            self.store.tokens[session_sha256] = session
            return self._principal(session)

    def _row(self, token: TokenEntry) -> TokenRow:
        return TokenRow(
            id=token.sha256[:ID_DIGITS],
            kind=token.kind,
            person_name=self.store.people[token.person],
            role=token.role,
            expires_at=token.expires_at,
            created_at=token.created_at,
        )
