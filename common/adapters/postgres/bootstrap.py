"""The first start of an installation: a workspace, a person who may do everything, the settings of the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.adapters.postgres.connection import Database, Session
from common.adapters.postgres.documents import foreign
from common.adapters.postgres.people import PostgresPeople
from common.auth import code_hash, new_code, new_secret, sha256_of
from common.config import Settings, WrongSettingError
from common.core.errors import Conflict, Invalid
from common.core.installation import check_announced, parse_setting
from common.core.task import Json

WORKSPACE: Final = "main"
PERSON: Final = "admin"
CODE_LASTS: Final = timedelta(minutes=10)
VARIABLES: Final = {"policy": "AIW_AUTORUN", "time_zone": "AIW_TZ"}  # where the setting has another name
BOOTSTRAP_LOCK: Final = "1634301697"  # one first start at a time in a database

FIRST_ADMIN: Final = """
SELECT m.workspace, m.person FROM memberships m WHERE m.role = 'admin' ORDER BY m.workspace, m.person LIMIT 1"""

SET_INSTALLATION: Final = """
WITH written AS (
    INSERT INTO settings AS s (workspace, name, version, value) VALUES (NULL, $1, 1, $2::json)
    ON CONFLICT (workspace, name) DO UPDATE SET version = s.version + 1, value = excluded.value
    RETURNING workspace, name, version, value
) INSERT INTO setting_versions (workspace, name, version, value)
SELECT workspace, name, version, value FROM written RETURNING version"""

MAKE: Final = """
WITH w AS (INSERT INTO workspaces (name) VALUES ($1) RETURNING id), p AS (
    INSERT INTO people (name) VALUES ($2) RETURNING id
), m AS (INSERT INTO memberships (person, workspace, role) SELECT p.id, w.id, 'admin' FROM p, w), k AS (
    INSERT INTO tokens (hash, kind, person, workspace, role) SELECT $3, 'api', p.id, w.id, 'admin' FROM p, w
) SELECT w.id, p.id FROM w, p"""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """Who there is. `admin_token`: the secret, only from the start that made it."""

    admin_token: str | None
    workspace: UUID
    person: UUID


def first_start(database_url: str, settings: Settings, keep: Callable[[str], None] = lambda _: None) -> FirstStart:
    """Make the first workspace, admin and token, and store the environment's settings; later: say who they are.

    Safe when several start at once.

    Args:
        database_url: the owner's.
        settings: the environment's values.
        keep: puts the token's secret where it lasts, before the commit: an admin whose secret nobody has is no admin.

    Raises:
        WrongSettingError: a value of the environment cannot be read.
    """
    values = _settings_of(settings)
    secret = new_secret()

    def work(session: Session) -> FirstStart:
        session.run(f"SELECT pg_advisory_xact_lock({BOOTSTRAP_LOCK})")
        known = session.run(FIRST_ADMIN)
        if known:
            return FirstStart(None, known[0][0], known[0][1])
        [[workspace, person]] = session.run(MAKE, WORKSPACE, PERSON, sha256_of(secret))
        for name, value in values.items():
            session.run(SET_INSTALLATION, name, foreign(value))
        keep(secret)
        return FirstStart(secret, workspace, person)

    database = Database(database_url, pool_size=1)
    try:
        return database.transact(work)
    finally:
        database.close()


def sign_in_code(database_url: str) -> str:
    """A code with which the first admin signs in, once, within ten minutes. Conflict if there is no admin."""
    database = Database(database_url, pool_size=1)
    try:
        rows = database.run(FIRST_ADMIN)
        if not rows:
            detail = "there is no admin yet: ./aiw up makes one"
            raise Conflict(detail)
        code = new_code()
        PostgresPeople(database).issue(rows[0][0], rows[0][1], "sign_in_code", code_hash(code), CODE_LASTS)
        return code
    finally:
        database.close()


def _settings_of(settings: Settings) -> dict[str, Json]:
    # unset: on while there is one person (null); what the environment says out loud holds
    alone = settings.self_approval if "self_approval" in settings.model_fields_set else None
    given: dict[str, Json] = {
        "policy": {"autorun": settings.autorun.value, "self_approval": alone},
        "hosts": settings.hosts,
        "functions": settings.functions,
        "channels": settings.channels,
        "notify": settings.notify,
        "budget_usd": settings.budget_usd,
        "time_zone": settings.tz,
    }
    values = {name: _read(name, value) for name, value in given.items()}
    try:
        check_announced(values["channels"], values["notify"], changed="notify")
    except Invalid as exc:
        raise WrongSettingError("AIW_NOTIFY", f"{exc.errors[0].detail}; list it in AIW_CHANNELS") from exc
    return values


def _read(name: str, value: Json) -> Json:
    try:
        return parse_setting(name, value)
    except Invalid as exc:
        fault = exc.errors[0]
        said = f"{fault.detail} ({fault.hint})" if fault.hint else fault.detail
        raise WrongSettingError(VARIABLES.get(name, f"AIW_{name.upper()}"), said) from exc
