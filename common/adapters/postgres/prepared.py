"""A statement that is prepared by name: one message there, one back.

pg8000's own `execute_named` has the server answer after Bind, after Execute and after Sync: three times both sides are
woken, where one statement for one task is mostly that (measured: a third of such a statement's time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any, Final

from pg8000.core import Context
from pg8000.exceptions import InterfaceError

# Execute the unnamed portal, all rows; then Sync: commit, and say that you are ready.
_EXECUTE_AND_SYNC: Final = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04"
_NULL: Final = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What pg8000 knows of a prepared statement, untyped as pg8000 is."""

    sql: str
    name: bytes
    columns: Any
    functions: Any


def prepare(raw: Any, sql: str) -> Prepared:  # noqa: ANN401 - pg8000 has no types
    """Prepare it on pg8000's connection `raw`. DatabaseError, InterfaceError."""
    return Prepared(sql, *raw.prepare_statement(sql, ()))


def execute(raw: Any, statement: Prepared, params: Sequence[str | None]) -> list[list[Any]]:  # noqa: ANN401 - as above
    """Its rows; parameters and columns are text, as pg8000 has them. DatabaseError, InterfaceError, OSError."""
    values = [None if value is None else value.encode() for value in params]
    sized = (_NULL if value is None else pack(">i", len(value)) + value for value in values)
    bind = b"".join((b"\x00", statement.name, b"\x00\x00", pack(">H", len(values)), *sized, b"\x00\x00"))
    if raw._sock is None:  # noqa: SLF001 - pg8000 shows its stream in no other way
        raise InterfaceError("connection is closed")
    raw._sock.write(b"".join((b"B", pack(">i", len(bind) + 4), bind, _EXECUTE_AND_SYNC)))  # noqa: SLF001 - as above
    raw._sock.flush()  # noqa: SLF001 - as above
    context = Context(statement.sql, columns=statement.columns, input_funcs=statement.functions)
    raw.handle_messages(context)
    return context.rows if context.rows is not None else []
