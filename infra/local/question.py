"""A question answered by a child: the parent forks, so it may hold no connection and start no thread of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from infra.local.errors import UpError
from infra.local.process import Start, fork
from infra.local.supervisor import Supervisor

# A pipe holds 64 KB before its writer has to wait for a reader; an answer is a few hundred bytes.
MOST_BYTES = 60_000


class StoppedEarlyError(Exception):
    """A signal asked to stop before everything ran."""


class Question:
    """A child that works on an answer while the parent does something else."""

    def __init__(self, answer: Callable[[], Mapping[str, object]], start: Start, supervisor: Supervisor) -> None:
        """`answer` runs in the child; its UpError, or a wrong setting that it meets, is raised again by `result`."""
        self._supervisor = supervisor
        self._log = start.log
        self._read, write = os.pipe()
        self._pid = fork(
            lambda: os.write(write, json.dumps(_attempt(answer)).encode()[:MOST_BYTES]),
            replace(start, close=(*start.close, self._read)),
        )
        os.close(write)

    def result(self) -> dict[str, object]:
        """Wait for it. UpError if it failed, or if a part fell over meanwhile."""
        while self._supervisor.exit_code(self._pid) is None:
            raise_if_stopped(self._supervisor)
            raise_if_fallen(self._supervisor, self._log.parent)
            self._supervisor.sleep(0.5)
        with os.fdopen(self._read, "rb") as pipe:
            text = pipe.read()
        if not text:
            raise UpError("setup_failed", log=self._log)
        found = json.loads(text)
        if "key" in found:
            raise UpError(found["key"], **found["values"])
        answer: dict[str, object] = found["answer"]
        return answer


def _attempt(answer: Callable[[], Mapping[str, object]]) -> dict[str, object]:
    """In the child: the answer, or why there is none. Anything unforeseen goes to its log, whole, and ends it."""
    from pydantic import ValidationError  # noqa: PLC0415 - only in the child

    from common.config import WrongSettingError  # noqa: PLC0415 - as above

    try:
        return {"answer": dict(answer())}
    except UpError as exc:
        return {"key": exc.key, "values": {name: str(value) for name, value in exc.values.items()}}
    except WrongSettingError as exc:
        return {"key": "bad_setting", "values": {"name": exc.name, "said": exc.said}}
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        shown = name if name.startswith(("ANTHROPIC", "OPENAI")) else f"AIW_{name.upper()}"
        return {"key": "bad_setting", "values": {"name": shown, "said": first["msg"]}}


def raise_if_stopped(supervisor: Supervisor) -> None:
    """StoppedEarlyError if a signal asked to stop."""
    if supervisor.stops:
        raise StoppedEarlyError


def raise_if_fallen(supervisor: Supervisor, logs: Path) -> None:
    """UpError if a part has fallen over: while everything starts, a second try would only hide why."""
    for part in supervisor.fallen():
        log = logs / f"{part.name}.log"
        raise UpError("part_fell", part=part.name, log=log, said=last_words(log))


def last_words(log: Path) -> str:
    """The last line that a part wrote: most often the reason why it ended."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    fatal = [line for line in lines[-20:] if "FATAL" in line or "PANIC" in line]
    return (fatal or [line for line in lines if line.strip()] or ["?"])[-1].strip()[:300]
