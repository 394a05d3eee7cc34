"""What the process says of itself: a JSON line per wake or request on stderr, and `aiw_*` metrics on a port.

No secret can reach a log line (I11): a fact is an id, a number or a code. A text that does not look like one is
replaced, an exception is named and never quoted, and of other libraries' records only the place is kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
import time
import traceback
from collections import Counter as CountOf
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from types import TracebackType
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.core.after_step import Done, NotDone, Outcome, Unknown
from common.metrics import Metrics
from common.ports import Refusal

Fact = str | int | float | bool | None

log: Final = logging.getLogger("aiw")

# Ids, codes and route templates have no blanks and are short; prose, bodies and addresses with credentials are neither.
_CODE: Final = re.compile(r"[\w.,:/{}*+@-]{0,100}")
# What our own and the provider's secrets begin with, and user:password in an address.
_SECRET: Final = re.compile(r"\b(aiw_|sk-|bearer\b)|://[^/]*@", re.IGNORECASE)
_MASK: Final = "?"


# --- log lines ------------------------------------------------------------------------------------------------------


@contextmanager
def canonical(line: dict[str, Fact]) -> Iterator[dict[str, Fact]]:
    """One line for a wake or a request, however it ends; callers add what they learn.

    `outcome` is `ok`, the code of what was raised, or what the caller wrote there; `ms` is how long it took.
    """
    began = time.perf_counter()
    try:
        yield line
    except BaseException as exc:
        line["outcome"] = code_of(exc)
        raise
    finally:
        line.setdefault("outcome", "ok")
        line["ms"] = round((time.perf_counter() - began) * 1000, 2)
        log.info("", extra={"facts": line})


def note(event: str, level: int = logging.INFO, /, **facts: Fact) -> None:
    """A line of its own for what is neither a wake nor a request: start, stop, a lost connection."""
    log.log(level, "", extra={"facts": {"event": event, **facts}})


def log_stranger(where: str, exc: BaseException) -> None:
    """An error that nobody foresaw was answered: what it was and where it was raised, never what it said (I11)."""
    log.error("", exc_info=exc, extra={"facts": {"event": "unforeseen", "where": where}})


def log_death(thread: str, exc: BaseException) -> None:
    """A thread that must not end has ended; the process follows it."""
    log.critical("", exc_info=exc, extra={"facts": {"event": "thread_died", "thread": thread}})


def code_of(exc: BaseException) -> str:
    """An exception's public code, or its type: never its message, which may hold a secret (I11)."""
    code = getattr(exc, "code", None)
    return code if isinstance(code, str) else type(exc).__name__


class JsonLines(logging.Formatter):
    """A record as one line of JSON, made only of what is known to be harmless."""

    def format(self, record: logging.LogRecord) -> str:
        """Our facts, or the place that a foreign record comes from."""
        line: dict[str, Fact] = {"at": _stamp(record.created), "level": record.levelname.lower()}
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line.update({name: _harmless(value) for name, value in facts.items()})
        else:
            line.update(event="log", logger=record.name, where=f"{record.module}:{record.lineno}")
        if record.exc_info and record.exc_info[1] is not None:
            line.update(error=code_of(record.exc_info[1]), trace=_places(record.exc_info[2]))
        return _JSON.encode(line)


_JSON: Final = json.JSONEncoder(separators=(",", ":"))  # made once: json.dumps with options makes one a call


def _stamp(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _harmless(value: object) -> Fact:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if _CODE.fullmatch(text) and not _SECRET.search(text) else _MASK


def _places(trace: TracebackType | None) -> str:
    """Where it was raised, innermost last: files, lines and functions, no source text and no values."""
    frames = traceback.extract_tb(trace)[-8:]
    return " > ".join(
        f"{f.filename.rsplit('/', 2)[-2]}/{f.filename.rsplit('/', 1)[-1]}:{f.lineno} {f.name}" for f in frames
    )


def configure_logging(level: int = logging.INFO) -> None:
    """JSON lines on stderr, for us and every library. Once a process; again does nothing new."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(level)


# --- metrics --------------------------------------------------------------------------------------------------------


@cache
def metrics() -> Metrics:
    """This process's metrics: built at the first use, so after a fork."""
    return Metrics(CollectorRegistry())


def serve_metrics(port: int) -> None:
    """Serve them at `http://…:port/metrics`; 0: not at all. Starts a thread, so only after a fork."""
    if port > 0:
        start_http_server(port, registry=metrics().registry)


def count_transitions(kinds: Iterable[str]) -> None:
    """Transitions were applied: the kind of each."""
    metrics().transitions(CountOf(kinds))


def count_turn(claimed: int, seconds: float) -> None:
    """A claim was worked off."""
    metrics().claim(claimed, seconds)


def count_attempt(outcome: Outcome) -> None:
    """An attempt ended."""
    metrics().attempt(_OUTCOMES[type(outcome)])


def count_checks(tasks: int, different: int) -> None:
    """So many tasks were read a second time, and so many of them differently (I12)."""
    metrics().checks(tasks, different)


def count_refusal(why: Refusal) -> None:
    """The gate let an attempt not begin."""
    metrics().refused(why.value)


_OUTCOMES: Final = {Done: "done", NotDone: "not_done", Unknown: "unknown"}


# --- requests -------------------------------------------------------------------------------------------------------

_QUIET: Final = frozenset({"/_/health", "/_/ready"})  # asked every few seconds: counted, and a line only if they fail


def observed(app: ASGIApp, function: str) -> ASGIApp:
    """The middleware that counts every request and writes its one line. `ms`: until the first byte of the answer."""

    async def observe(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        began = time.perf_counter()
        status, answered = 0, began

        async def sending(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
            await send(message)

        cause: BaseException | None = None
        try:
            await app(scope, receive, sending)
        except BaseException as exc:
            cause = exc
            raise
        finally:
            if status == 0:
                status = _FAILED if isinstance(cause, Exception) else _NO_ANSWER
                answered = time.perf_counter()
            _account(function, scope, status, answered - began, cause)

    return observe


_FAILED: Final = 500
_NO_ANSWER: Final = 499  # the client went away first
_JOINED: Final = 202


class _Lines(threading.local):
    """Lines of requests that ended in one turn of the loop, written together: each write lets another thread in."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._lines: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, line: str) -> None:
        """Write it before the loop turns to what arrives next."""
        loop = asyncio.get_running_loop()
        if not self._lines or self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        sys.stderr.write(text)


_REQUEST_LINES: Final = _Lines()


def _account(function: str, scope: Scope, status: int, seconds: float, cause: BaseException | None) -> None:
    route = getattr(scope.get("route"), "path", "none")
    counted = metrics()
    counted.request(function, route, status, seconds)
    if route == "/" and scope["method"] == "POST":
        counted.wake(function, "joined" if status == _JOINED else "ran" if status < _JOINED else "failed")
    if status < _FAILED:
        if route not in _QUIET and log.isEnabledFor(logging.INFO):
            _request_line(function, scope["method"], route, status, seconds)
        return
    facts: dict[str, Fact] = {
        "event": "request", "function": function, "method": scope["method"], "route": route, "status": status,
        "ms": round(seconds * 1000, 2),
    }  # fmt: skip
    log.error("", exc_info=cause, extra={"facts": facts})


def _request_line(function: str, method: str, route: str, status: int, seconds: float) -> None:
    """Written without logging's machinery: all in it is out of fixed sets, and it costs 4 us instead of 43."""
    verb = method if method.isalpha() else _MASK
    _REQUEST_LINES.add(
        f'{{"at":"{_stamp(time.time())}","level":"info","event":"request","function":"{function}","method":"{verb}",'
        f'"route":"{route}","status":{status},"ms":{seconds * 1000:.2f}}}\n'
    )
