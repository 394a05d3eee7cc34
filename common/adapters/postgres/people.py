"""People, memberships and tokens: who may do what. Of secrets only hashes are here."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from common.adapters.postgres.connection import Database, Row, Session
from common.core.errors import Conflict, NotFound
from common.ports import ROLES, Person, Principal, Role, TokenRow

IN_ORDER: Final = ", ".join(f"'{role}'" for role in ROLES)
LEAST: Final = f"(ARRAY[{IN_ORDER}])[least({{}}, {{}})]"
RANK: Final = f"array_position(ARRAY[{IN_ORDER}], {{}})"
# a token lends at most what its person's membership still gives
EFFECTIVE: Final = LEAST.format(RANK.format("k.role"), RANK.format("m.role"))
VALID: Final = "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())"

PRINCIPAL: Final = f"""
SELECT p.id, p.name, k.workspace, {EFFECTIVE}, k.kind, k.hash
FROM tokens k JOIN memberships m ON m.workspace = k.workspace AND m.person = k.person JOIN people p ON p.id = k.person
WHERE k.hash = $1 AND k.kind IN ('api', 'session') AND {VALID}"""

PEOPLE: Final = """
SELECT p.id, p.name, m.role FROM memberships m JOIN people p ON p.id = m.person WHERE m.workspace = $1::uuid
ORDER BY p.name, p.id"""

ADD_PERSON: Final = """
WITH made AS (INSERT INTO people (name) VALUES ($2) RETURNING id, name), joined AS (
    INSERT INTO memberships (person, workspace, role) SELECT id, $1::uuid, $3 FROM made RETURNING person, role
) SELECT made.id, made.name, joined.role FROM made JOIN joined ON joined.person = made.id"""

TOKENS: Final = f"""
SELECT k.hash, k.kind, p.name, {EFFECTIVE}, k.expires_at, k.created_at
FROM tokens k JOIN memberships m ON m.workspace = k.workspace AND m.person = k.person JOIN people p ON p.id = k.person
WHERE k.workspace = $1::uuid AND {VALID} ORDER BY k.created_at, k.hash"""

ISSUE: Final = f"""
WITH k AS (
    INSERT INTO tokens (hash, kind, person, workspace, role, expires_at, issued_by)
    SELECT $4, $3, m.person, m.workspace,
        {LEAST.format(RANK.format("coalesce($6::text, m.role)"), RANK.format("m.role"))},
        clock_timestamp() + $5::float8 * interval '1 s', $7::uuid
    FROM memberships m WHERE m.workspace = $1::uuid AND m.person = $2::uuid
    RETURNING hash, kind, person, role, expires_at, created_at
) SELECT k.hash, k.kind, p.name, k.role, k.expires_at, k.created_at FROM k JOIN people p ON p.id = k.person"""

REVOKE: Final = """
UPDATE tokens SET revoked_at = clock_timestamp()
WHERE workspace = $1::uuid AND revoked_at IS NULL AND hash LIKE $2 || '%' RETURNING hash"""

# One statement: of two that redeem a code together the second waits for the row, sees it revoked, and gets nothing.
REDEEM: Final = f"""
WITH spent AS (
    UPDATE tokens k SET revoked_at = clock_timestamp() WHERE k.hash = $1 AND k.kind = 'sign_in_code' AND {VALID}
    RETURNING k.person, k.workspace, k.role, k.issued_by
), made AS (
    INSERT INTO tokens (hash, kind, person, workspace, role, expires_at, issued_by)
    SELECT $2, 'session', s.person, s.workspace, s.role, clock_timestamp() + $3::float8 * interval '1 s', s.issued_by
    FROM spent s JOIN memberships m ON m.person = s.person AND m.workspace = s.workspace
    RETURNING hash, kind, person, workspace, role
)
SELECT p.id, p.name, k.workspace, {EFFECTIVE}, k.kind, k.hash
FROM made k JOIN memberships m ON m.workspace = k.workspace AND m.person = k.person JOIN people p ON p.id = k.person"""


class PostgresPeople:
    """`ports.People`."""

    def __init__(self, database: Database) -> None:
        """`database`: as any role but `aiw_approve`, which only reads these tables."""
        self._database = database

    def principal(self, token_sha256: str) -> Principal | None:
        """See ports.People."""
        rows = self._database.hot(PRINCIPAL, token_sha256)
        return _principal(rows[0]) if rows else None

    def people(self, workspace: UUID) -> list[Person]:
        """See ports.People."""
        return [_person(row) for row in self._database.run(PEOPLE, str(workspace))]

    def add_person(self, workspace: UUID, name: str, role: Role) -> Person:
        """See ports.People."""
        [row] = self._database.run(ADD_PERSON, str(workspace), name, role)
        return _person(row)

    def remove_person(self, workspace: UUID, person: UUID) -> bool:
        """See ports.People."""
        return self._database.transact(lambda session: _remove(session, str(workspace), str(person)))

    def tokens(self, workspace: UUID) -> list[TokenRow]:
        """See ports.People."""
        return [_token(row) for row in self._database.run(TOKENS, str(workspace))]

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
        """See ports.People."""
        lasts = None if expires_in is None else str(expires_in.total_seconds())
        issuer = None if issued_by is None else str(issued_by)
        rows = self._database.run(ISSUE, str(workspace), str(person), kind, token_sha256, lasts, role, issuer)
        if not rows:
            detail = "that person is no member of this workspace"
            raise NotFound(detail)
        return _token(rows[0])

    def revoke(self, workspace: UUID, token_id: str) -> bool:
        """See ports.People."""
        # an id is at least 16 hex digits: a shorter beginning could name several, and a % all of them
        if len(token_id) < 16 or not set(token_id) <= set("0123456789abcdef"):  # noqa: PLR2004 - said above
            return False
        return bool(self._database.run(REVOKE, str(workspace), token_id))

    def redeem(self, code_sha256: str, session_sha256: str, expires_in: timedelta) -> Principal | None:
        """See ports.People."""
        rows = self._database.run(REDEEM, code_sha256, session_sha256, str(expires_in.total_seconds()))
        return _principal(rows[0]) if rows else None


def _remove(session: Session, workspace: str, person: str) -> bool:
    # every admin's row, in one order: of two that remove each other the second finds itself the last
    admins = session.run(
        "SELECT person FROM memberships WHERE workspace = $1::uuid AND role = 'admin' ORDER BY person FOR UPDATE",
        workspace,
    )
    if [str(row[0]) for row in admins] == [person]:
        detail = "this is the last admin: make somebody else an admin first"
        raise Conflict(detail)
    gone = session.run(
        "DELETE FROM memberships WHERE workspace = $1::uuid AND person = $2::uuid RETURNING person", workspace, person
    )
    session.run(
        "UPDATE tokens SET revoked_at = clock_timestamp() "
        "WHERE workspace = $1::uuid AND person = $2::uuid AND revoked_at IS NULL RETURNING 1",
        workspace,
        person,
    )
    return bool(gone)


def _principal(row: Row) -> Principal:
    person, name, workspace, role, kind, token = row
    return Principal(person=person, person_name=name, workspace=workspace, role=role, kind=kind, token_sha256=token)


def _person(row: Row) -> Person:
    return Person(id=row[0], name=row[1], role=row[2])


def _token(row: Row) -> TokenRow:
    token, kind, name, role, expires_at, created_at = row
    return TokenRow(id=token[:16], kind=kind, person_name=name, role=role, expires_at=expires_at, created_at=created_at)
