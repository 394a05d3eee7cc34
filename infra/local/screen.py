"""What `./aiw up` shows while it starts, runs and stops: sentences for people, or a JSON value a line for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import dataclass, field
from typing import Final, TextIO

from common.i18n import t

STEPS: Final = 4
# Where the seconds stand: wide enough for the longest step, narrow enough for a terminal of 80.
COLUMN: Final = 62


@dataclass(slots=True)
class Screen:
    """Lines on stdout. A terminal that has gone away stops nothing: the stack must still be drained."""

    lang: str
    as_json: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    _open: bool = False

    def say(self, key: str, **values: object) -> None:
        """A sentence of the catalogue (`up.KEY`), for people only."""
        if not self.as_json:
            self._write(t(f"up.{key}", self.lang, **values) + "\n")

    def begin(self, step: int, key: str, **values: object) -> None:
        """Say which step is at work. Only a terminal shows it: it is overwritten when the step is done."""
        if not self.as_json and self.out.isatty():
            self._write(f"[{step}/{STEPS}] {t(f'up.{key}', self.lang, **values)} …")
            self._open = True

    def done(self, step: int, key: str, seconds: float | None = None, **values: object) -> None:
        """A step is done, and how long it took."""
        if self.as_json:
            took = {} if seconds is None else {"seconds": round(seconds, 3)}
            self.event("step", step=step, name=key, **took)
            return
        line = f"[{step}/{STEPS}] {t(f'up.{key}', self.lang, **values)}"
        if seconds is not None:
            line += f" {'.' * max(3, COLUMN - width(line))} {t('up.seconds', self.lang, seconds=seconds)}"
        self._write(line + "\n")

    def event(self, event: str, **values: object) -> None:
        """A line for programs only."""
        if self.as_json:
            self._write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")

    def tell(self, event: str, **values: object) -> None:
        """Something that both want to know: an event for programs, its sentence for people."""
        self.event(event, **values)
        self.say(event, **values)

    def _write(self, text: str) -> None:
        clear, self._open = ("\r\033[K" if self._open else ""), False
        try:
            self.out.write(clear + text)
            self.out.flush()
        except (OSError, ValueError):
            # Nobody reads any more (the terminal was closed): what happens goes on, unseen.
            self.out = sys.stderr


def width(text: str) -> int:
    """How many columns of a terminal it takes: Hangul takes two each."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
