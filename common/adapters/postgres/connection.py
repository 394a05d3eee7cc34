"""The one door to PostgreSQL: engine, pool, prepared statements, retries, and where driver errors become ours.

Every statement is prepared by name on the raw pg8000 connection, once a connection: SQLAlchemy's dialect would parse
and describe it again at each call, in three round trips (0.2 ms against 0.03). Parameters are text, mostly one JSON
document.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from pg8000.exceptions import DatabaseError, InterfaceError
from sqlalchemy import Dialect, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError, TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from common.adapters.postgres.prepared import Prepared, execute, prepare
from common.adapters.postgres.silence import NO_ANSWER, Silence
from common.adapters.postgres.wire import bounded, cut, cut_if_it_breaks, ran_out
from common.core.errors import SchemaTooNew, SchemaTooOld, StoreUnavailable

T = TypeVar("T")
Call = tuple[str, tuple[str | None, ...]]  # a statement and its parameters
Row = list[Any]  # as pg8000 decodes it; each adapter turns it into a value of ports.py at once

SCHEMA: Final = 5  # the schema that this code was written for: the number of the newest file in migrations/
RETRIED: Final = frozenset({"40P01", "40001"})  # deadlock, serialization failure: nothing was done, so again as a whole
TRIES: Final = 8
# a statement prepared before a migration, or by a session that a pooler has replaced
FORGOTTEN: Final = frozenset({"26000", "0A000"})
# 08 connection, 53 out of resources, 57 shut down or cancelled by a timeout, 55P03 a lock not got in time
UNAVAILABLE_CLASSES: Final = ("08", "53", "57", "55P03", "25P03", "58", "28", "3D")
DATA_CLASSES: Final = ("22", "23")
# Seconds without an answer after which the server counts as gone: twice the longest that a statement waits for a lock,
# and under everything that waits for us (a form's way, 30 s; nginx, 75 s).
LIMIT: Final = 20.0
# jit: compiling a batch's plan takes longer than running it. Timeouts: no lock or client may hold a worker for ever. A
# server that is well says no before the limit is met, so that nobody has to doubt whether it was done.
SESSION: Final = (
    "SET jit = off; SET timezone = 'UTC'; SET statement_timeout = '{statement}ms'; SET lock_timeout = '{lock}ms'; "
    "SET idle_in_transaction_session_timeout = '60s'"
)
STATEMENT_SHARE: Final = 0.75
LOCK_SHARE: Final = 0.5
# How statements are planned. A plan cached while a table was empty reads all of it for ever (measured: 8 runs of 30
# collapsed), so plans are made anew at each call; but planning a hot statement takes longer than running it for one
# task. Hot statements only ever look rows up by key, whatever the tables' size: with every other way switched off, a
# plan that was cached on empty tables is the right one on full ones. A join to the table that is updated is written
# `key = ANY (ARRAY[…])` there: it can be looked up and not merged, so no walk over the whole index competes; and what
# another statement would ask by EXISTS is counted, since an EXISTS may be answered from a hash of the whole table.
OTHER_WAYS: Final = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort", "material", "memoize")
COLD: Final = "; ".join(("SET plan_cache_mode = force_custom_plan", *(f"SET enable_{way} = on" for way in OTHER_WAYS)))
HOT: Final = "; ".join(("SET plan_cache_mode = force_generic_plan", *(f"SET enable_{way} = off" for way in OTHER_WAYS)))


class DataError(Exception):
    """PostgreSQL refused a value or a constraint (classes 22 and 23). Stays inside of these adapters."""

    def __init__(self, sqlstate: str, constraint: str, message: str) -> None:
        """`constraint`: its name, or ''."""
        super().__init__(f"{message} ({sqlstate} {constraint})".strip())
        self.sqlstate = sqlstate
        self.constraint = constraint


def sqlstate(exc: BaseException | None) -> str:
    """The five characters of a PostgreSQL error; '' of any other."""
    fields = exc.args[0] if exc is not None and exc.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def translated(exc: Exception) -> Exception:
    """A driver's error as ours; the caller's `from` keeps the cause. What is not the driver's comes back as it is."""
    code = sqlstate(exc)
    if isinstance(exc, DatabaseError) and code:
        fields: dict[str, str] = exc.args[0]
        if code.startswith(DATA_CLASSES):
            return DataError(code, fields.get("n", ""), fields.get("M", ""))
        if code.startswith(UNAVAILABLE_CLASSES) or code in RETRIED:
            return StoreUnavailable(f"PostgreSQL: {fields.get('M', code)}")
        known: Exception = exc
        return known
    if isinstance(exc, DatabaseError | InterfaceError | OSError | PoolTimeout | SQLAlchemyError):
        return StoreUnavailable(NO_ANSWER)
    return exc


def breaks_connection(exc: Exception) -> bool:
    """Whether the session is gone, or in a state that nobody knows."""
    return not sqlstate(exc) or sqlstate(exc).startswith(("08", "57P", "25P03"))


def url_of(database_url: str) -> URL:
    """The URL for SQLAlchemy: any `postgresql://`, with libpq's `?host=/folder` for a Unix socket."""
    url = make_url(database_url).set(drivername="postgresql+pg8000")
    folder = url.query.get("host")
    if isinstance(folder, str) and folder.startswith("/"):
        port = url.query.get("port") or url.port or 5432
        url = url.difference_update_query(["host", "port"])
        url = url.update_query_dict({"unix_sock": f"{folder}/.s.PGSQL.{port}"})
    return url


class Session:
    """One connection, for as long as a statement or a transaction takes."""

    def __init__(self, raw: Any, memory: dict[str, Any]) -> None:  # noqa: ANN401 - pg8000 has no types
        """`raw`: pg8000's connection (it has no types); `memory`: what it has prepared so far, and how it plans."""
        self._raw = raw
        self._memory = memory
        self._prepared: dict[str, Prepared] = memory.setdefault("prepared", {})

    def run(self, sql: str, *params: str | None) -> list[Row]:
        """Run one statement; `$1`… are text, to be cast in the SQL."""
        return self._run(COLD, [(sql, params)])[0]

    def hot(self, sql: str, *params: str | None) -> list[Row]:
        """The same for a statement that only looks rows up by key: it is planned once."""
        return self._run(HOT, [(sql, params)])[0]

    def hot_together(self, *calls: Call) -> list[list[Row]]:
        """Several such statements after one another, sent at once and committed as one."""
        return self._run(HOT, calls)

    def _run(self, planning: str, calls: Sequence[Call]) -> list[list[Row]]:
        if self._memory.get("planning") != planning:
            self._raw.execute_simple(planning)
            self._memory["planning"] = planning
        return execute(self._raw, [(self._prepared.get(sql) or self._prepare(sql), params) for sql, params in calls])

    def _prepare(self, sql: str) -> Prepared:
        statement = self._prepared[sql] = prepare(self._raw, sql)
        return statement

    def simple(self, sql: str) -> None:
        """Run what takes no parameter and gives no rows: BEGIN, COMMIT, SET."""
        self._raw.execute_simple(sql)


class Database:
    """A pool of connections to one database, all under one role. Opens nothing until it is first used. Thread-safe."""

    def __init__(self, url: str, role: str | None = None, pool_size: int = 8, limit: float = LIMIT) -> None:
        """Nothing is opened yet.

        Args:
            url: the database's.
            role: SET ROLE after connecting; None: whoever the URL names.
            pool_size: more callers wait.
            limit: seconds without an answer after which a call fails as if its connection had broken.
        """
        self._url = url
        self._role = role
        self._pool_size = pool_size
        self._limit = limit
        self._silence = Silence(limit)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def run(self, sql: str, *params: str | None) -> list[Row]:
        """One statement, one commit. Sent again whole after a deadlock."""
        return self._retried(lambda session: session.run(sql, *params))

    def hot(self, sql: str, *params: str | None) -> list[Row]:
        """As `run`, for a statement that only looks rows up by key: it is planned once."""
        return self._retried(lambda session: session.hot(sql, *params))

    def hot_together(self, *calls: Call) -> list[list[Row]]:
        """Several hot statements, one commit and one round trip; the rows of each."""
        return self._retried(lambda session: session.hot_together(*calls))

    def transact(self, work: Callable[[Session], T]) -> T:
        """Several statements, one commit; any error rolls all of it back. Run again whole after a deadlock."""

        def wrapped(session: Session) -> T:
            session.simple("BEGIN")
            try:
                result = work(session)
            except Exception as exc:
                if not (_is_drivers(exc) and breaks_connection(exc)):
                    session.simple("ROLLBACK")
                raise
            session.simple("COMMIT")
            return result

        return self._retried(wrapped)

    def ready(self) -> None:
        """Check the schema: SchemaTooOld or SchemaTooNew if it is not this code's; StoreUnavailable: no answer."""
        [[known]] = self.run("SELECT to_regclass('public.meta') IS NOT NULL")
        rows = self.run("SELECT schema_version, min_code FROM meta") if known else []
        version, min_code = rows[0] if rows else (0, 0)
        if version < SCHEMA:
            detail = f"the database has schema {version:04d}, this code needs {SCHEMA:04d}: ./aiw migrate"
            raise SchemaTooOld(detail)
        if min_code > SCHEMA:
            detail = f"the database has schema {version:04d}, which this code ({SCHEMA:04d}) does not know: upgrade it"
            raise SchemaTooNew(detail)

    def close(self) -> None:
        """Close what is idle; what is in use closes when it is given back. The next use opens anew."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _retried(self, work: Callable[[Session], T]) -> T:
        for attempt in range(TRIES):
            try:
                with self._session() as session:
                    return work(session)
            except Exception as exc:
                last = attempt == TRIES - 1
                if last or sqlstate(exc) not in RETRIED | FORGOTTEN:
                    ours = translated(exc)
                    if ours is exc:
                        raise
                    raise ours from exc
                time.sleep(0.002 * 2**attempt)  # the other side of a deadlock is through within milliseconds
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _session(self) -> Iterator[Session]:
        engine = self._opened()
        connection: PoolProxiedConnection = engine.raw_connection()
        try:
            yield Session(connection.dbapi_connection, connection.info)
        except Exception as exc:
            if _is_drivers(exc) and (breaks_connection(exc) or sqlstate(exc) in FORGOTTEN):
                if breaks_connection(exc):
                    cut(connection.dbapi_connection)
                    self._lost(engine, hangs=ran_out(exc))  # before whoever waits for this place makes a connection
                connection.invalidate()
            raise
        except BaseException:  # interrupted in the middle of an answer: nobody may read the rest of it
            connection.invalidate()
            raise
        finally:
            connection.close()

    def _lost(self, engine: Engine, *, hangs: bool) -> None:
        """The server went away: whatever else the pool holds is broken too. The first one to notice says so."""
        with self._lock:
            if self._engine is not engine:
                return
            self._engine = None
            if hangs:
                self._silence.begins()
        engine.dispose()

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                url = url_of(self._url)
                # Else pg8000 asks for TLS on a Unix socket too, and reads the system's certificates each time: 2 MB.
                options: dict[str, Any] = {"ssl_context": False} if "unix_sock" in url.query else {}
                self._engine = create_engine(
                    url,
                    poolclass=QueuePool,
                    pool_size=self._pool_size,
                    max_overflow=0,
                    pool_timeout=self._limit,
                    pool_use_lifo=True,  # the least used ones may be closed by whoever sits in between
                    connect_args=options,
                )
                event.listen(self._engine, "do_connect", self._connect)
                # closing a connection that is broken already fails, and would be logged with a traceback each time
                logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
            return self._engine

    def _connect(self, dialect: Dialect, _record: object, _args: object, options: dict[str, Any]) -> Any:  # noqa: ANN401 - pg8000 has no types
        """A new connection, ready for statements. StoreUnavailable at once while the server hangs."""
        patience = self._silence.patience()
        role = f'; SET ROLE "{self._role}"' if self._role else ""
        try:
            raw: Any = dialect.connect(**options, timeout=patience)
            with cut_if_it_breaks(raw):
                raw.execute_simple(_session_settings(self._limit) + role)
                bounded(raw, self._limit)
        except Exception as exc:
            if ran_out(exc):
                self._silence.begins()
            raise
        self._silence.ends()
        return raw


def _session_settings(limit: float) -> str:
    return SESSION.format(statement=round(limit * STATEMENT_SHARE * 1000), lock=round(limit * LOCK_SHARE * 1000))


def _is_drivers(exc: BaseException) -> bool:
    return isinstance(exc, DatabaseError | InterfaceError | OSError | SQLAlchemyError)
