"""Bring the database up to date before anything uses it, and ask it what the screen shows. Both run in a child."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from infra.local.errors import UpError
from infra.local.question import last_words

if TYPE_CHECKING:
    from infra.local.postgres import Cluster

# After a crash PostgreSQL reads its log first, and that takes as long as there is log.
SECONDS_TO_START: Final = 120.0
NANODOLLARS: Final = 1_000_000_000


def prepare(cluster: Cluster | None, database_url: str, keep: Callable[[str], None]) -> dict[str, object]:
    """Wait for the server, make the database, migrate, make the first rows. UpError if that cannot be.

    `cluster`: ours, None if the server is the user's own. `keep` writes the first admin's token where it lasts.
    Returns `schema`, `postgres` (its version) and `seconds`.
    """
    from common.adapters.postgres import bootstrap, migrations  # noqa: PLC0415 - only in the child: half a second, 30 MB
    from common.analysis.money.prices import check_models  # noqa: PLC0415 - as above
    from common.config import Settings  # noqa: PLC0415 - as above
    from common.core.errors import SchemaTooNew, Unavailable  # noqa: PLC0415 - as above

    began = time.monotonic()
    if cluster is not None:
        _make_database(cluster)
    settings = Settings()
    check_models(settings)
    try:
        schema = migrations.migrate(database_url)
        bootstrap.first_start(database_url, settings, keep)
    except SchemaTooNew as exc:
        raise UpError("newer_data", said=exc) from exc
    except Unavailable as exc:
        raise UpError("no_database", said=exc) from exc
    return {
        "schema": schema,
        "postgres": _server_version(database_url),
        "seconds": time.monotonic() - began,
    }


def about(database_url: str, token: str) -> dict[str, object]:
    """What the screen's last lines show: `code` (to sign in, once), `limit` and `spent` (dollars; absent: unknown)."""
    from common.adapters.postgres import bootstrap  # noqa: PLC0415 - as above
    from common.config import Settings  # noqa: PLC0415 - as above
    from common.wiring import bootstrap as wire  # noqa: PLC0415 - as above

    found: dict[str, object] = {"code": bootstrap.sign_in_code(database_url)}
    container = wire(Settings())
    try:
        principal = container.people.principal(hashlib.sha256(token.encode()).hexdigest())
        if principal is not None:
            month = container.budget.month(principal.workspace)
            found |= {"limit": f"{month.cap / NANODOLLARS:g}", "spent": f"{month.spent / NANODOLLARS:.2f}"}
    finally:
        container.close()
    return found


def _make_database(cluster: Cluster) -> None:
    """Wait until the cluster takes connections, and make our database in it if it has none."""
    import sqlalchemy  # noqa: PLC0415 - as above

    from infra.local.postgres import DATABASE  # noqa: PLC0415 - as above

    parent = os.getppid()
    url = cluster.url_of("postgres")
    # A server that hangs is no reason to wait for ever: a time without an answer is a try that failed.
    engine = sqlalchemy.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=sqlalchemy.NullPool,
        connect_args={"timeout": SECONDS_TO_START},
    )
    until = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            with engine.connect() as connection:
                is_there = sqlalchemy.text("SELECT 1 FROM pg_database WHERE datname = :name")
                if not connection.scalar(is_there, {"name": DATABASE}):
                    connection.execute(sqlalchemy.text(f"CREATE DATABASE {DATABASE}"))
                return
        except (sqlalchemy.exc.DBAPIError, OSError) as exc:
            if time.monotonic() > until or os.getppid() != parent:
                raise UpError("postgres_down", log=cluster.log, said=last_words(cluster.log)) from exc
            time.sleep(0.02)


def _server_version(database_url: str) -> str:
    """The server's own version, e.g. 18.6."""
    import sqlalchemy  # noqa: PLC0415 - as above

    from common.adapters.postgres.connection import url_of  # noqa: PLC0415 - as above

    engine = sqlalchemy.create_engine(url_of(database_url), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        return str(connection.scalar(sqlalchemy.text("SHOW server_version"))).partition(" ")[0]
