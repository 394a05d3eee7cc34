"""Bringing a database to this code's schema: safe when several replicas start at once, and when it is there already."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from pg8000.exceptions import DatabaseError, InterfaceError
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from common.adapters.postgres.connection import LIMIT, SCHEMA, sqlstate, translated, url_of
from common.adapters.postgres.wire import bounded
from common.core.errors import SchemaTooNew, StoreUnavailable, Unfit

ADVISORY_LOCK: Final = 0x61697700  # "aiw": one migration at a time in a database
TRIES: Final = 30  # times 2 s of lock_timeout: a minute of waiting for readers to finish
# A migration's statement may rewrite a large table, and another migration may be waited for. Only a server that has
# stopped for ever is silent for so long.
PATIENCE: Final = 3600.0
LOCK_NOT_AVAILABLE: Final = "55P03"
NOT_ALLOWED: Final = "42501"

# Roles belong to the whole server: another database's migration may be making them at this moment.
ROLES: Final = """
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['aiw_app', 'aiw_approve'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- the other one made it
        END;
        BEGIN
            IF NOT pg_has_role(current_user, wanted, 'SET') THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN  -- another installation's owner made it
            RAISE EXCEPTION 'the role % was made by another: let a superuser, or who made it, run GRANT aiw_app, '
                'aiw_approve TO % WITH ADMIN OPTION', wanted, quote_ident(current_user) USING ERRCODE = '42501';
        END;
    END LOOP;
END $$
"""


def migrate(database_url: str) -> str:
    """Bring the database to this code's schema and return its version ("0001"). Does nothing if it is there.

    SchemaTooNew if the database is ahead of this code; StoreUnavailable if it does not answer, or stays locked; Unfit
    if the owner may not do what a migration does, such as take a role that another installation has made.
    """
    engine = create_engine(url_of(database_url), poolclass=NullPool, connect_args={"timeout": LIMIT})
    try:
        for _ in range(TRIES):
            try:
                with engine.connect() as connection:
                    _upgrade_under_lock(connection)  # closing the session lets go of its locks
            except (DBAPIError, DatabaseError, InterfaceError) as exc:
                cause = exc.orig if isinstance(exc, DBAPIError) else exc
                if sqlstate(cause) == NOT_ALLOWED and isinstance(cause, DatabaseError):
                    raise Unfit(f"PostgreSQL: {cause.args[0].get('M', '')}") from exc
                if sqlstate(cause) != LOCK_NOT_AVAILABLE:
                    raise translated(cause if isinstance(cause, Exception) else exc) from exc
                time.sleep(0.2)
            else:
                return f"{SCHEMA:04d}"
    finally:
        engine.dispose()
    detail = "another session holds locks that the migration needs; try again when it has ended"
    raise StoreUnavailable(detail)


def _upgrade_under_lock(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    bounded(raw, PATIENCE)
    raw.autocommit = True
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    # a lock queue in front of a migration stops everybody: rather give up after 2 s, let them pass, and try again
    connection.execute(text("SET lock_timeout = '2s'"))
    [known] = connection.execute(text("SELECT to_regclass('public.meta') IS NOT NULL")).one()
    version, min_code = connection.execute(text("SELECT schema_version, min_code FROM meta")).one() if known else (0, 0)
    if min_code > SCHEMA:
        detail = f"the database has schema {version:04d}, this code knows {SCHEMA:04d}: run the newer version"
        raise SchemaTooNew(detail)
    if version >= SCHEMA:
        return
    connection.execute(text(ROLES))
    raw.execute_simple("BEGIN")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    raw.execute_simple("COMMIT")
    # These stay small, and the planner takes a table it knows nothing of for 1,850 rows. The others grow: of an
    # empty one it would believe that it stays empty, and cache plans that read all of it.
    raw.execute_simple("ANALYZE workspaces, people, memberships, settings")
