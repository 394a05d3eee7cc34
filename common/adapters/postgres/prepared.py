"""A statement that is prepared by name: one message there, one back.

pg8000's own `execute_named` has the server answer after Bind, after Execute and after Sync: three times both sides are
woken, where one statement for one task is mostly that (measured: a third of such a statement's time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack, unpack
from typing import Any, Final

from pg8000.core import COMMAND_COMPLETE, READY_FOR_QUERY, Context
from pg8000.exceptions import InterfaceError

_EXECUTE: Final = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"  # the unnamed portal, all rows
_SYNC: Final = b"S\x00\x00\x00\x04"  # commit, and say that you are ready
_NULL: Final = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What pg8000 knows of a prepared statement, untyped as pg8000 is."""

    sql: str
    name: bytes
    columns: Any
    functions: Any


Call = tuple[Prepared, Sequence[str | None]]  # a statement and its parameters


def prepare(raw: Any, sql: str) -> Prepared:  # noqa: ANN401 - pg8000 has no types
    """Prepare it on pg8000's connection `raw`. DatabaseError, InterfaceError."""
    return Prepared(sql, *raw.prepare_statement(sql, ()))


def execute(raw: Any, calls: Sequence[Call]) -> list[list[list[Any]]]:  # noqa: ANN401 - as above
    """Run them in order, all in one transaction and one commit; the rows of each.

    Parameters and columns are text, as pg8000 has them. DatabaseError, InterfaceError, OSError: nothing was done.
    """
    if raw._sock is None:  # noqa: SLF001 - pg8000 shows its stream in no other way
        raise InterfaceError("connection is closed")
    stream = raw._sock  # noqa: SLF001 - as above
    stream.write(b"".join((*(_bound(statement, params) for statement, params in calls), _SYNC)))
    stream.flush()
    answers = [Context(call.sql, columns=call.columns, input_funcs=call.functions) for call, _ in calls]
    place, code = 0, b""
    while code != READY_FOR_QUERY:
        code, size = unpack(">ci", _read(stream, 5))
        raw.message_types[code](_read(stream, size - 4), answers[place])
        if code == COMMAND_COMPLETE and place < len(answers) - 1:
            place += 1
    for answer in answers:
        if answer.error is not None:
            raise answer.error
    return [answer.rows or [] for answer in answers]


def _bound(statement: Prepared, params: Sequence[str | None]) -> bytes:
    """Bind and Execute."""
    values = [None if value is None else value.encode() for value in params]
    sized = (_NULL if value is None else pack(">i", len(value)) + value for value in values)
    bind = b"".join((b"\x00", statement.name, b"\x00\x00", pack(">H", len(values)), *sized, b"\x00\x00"))
    return b"".join((b"B", pack(">i", len(bind) + 4), bind, _EXECUTE))


def _read(stream: Any, size: int) -> bytes:  # noqa: ANN401 - as above
    data: bytes = stream.read(size)
    if len(data) < size:
        raise InterfaceError("network error")
    return data
