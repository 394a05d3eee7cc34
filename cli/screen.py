"""What a person sees: texts in one language, aligned tables, times as "3 min ago", colours on a terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from common.i18n import t

COLOURS: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
STATE_COLOURS: Final = {
    "received": "cyan", "analyzing": "cyan", "queued": "cyan", "running": "cyan",
    "awaiting_approval": "yellow", "manual": "yellow", "succeeded": "green", "cancelled": "dim",
}  # fmt: skip
RISK_COLOURS: Final = {"low": "green", "medium": "yellow", "high": "red", "critical": "red"}
NARROWEST: Final = 40
SHORT_ID: Final = 8
MINUTE, HOUR, DAY = 60, 3600, 86400


class Cell(NamedTuple):
    """One cell of a table."""

    text: str
    colour: str = ""


class Screen:
    """Standard output for one command: a language, and whether it is read by a program."""

    def __init__(self, lang: str, *, as_json: bool = False) -> None:
        """`as_json`: stdout is one JSON value; what is for people is left out."""
        self.lang = lang
        self.as_json = as_json
        self._colours = not as_json and sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    @property
    def width(self) -> int:
        """Columns that a line may fill: the terminal's, 80 where there is none."""
        return max(NARROWEST, shutil.get_terminal_size((80, 24)).columns)

    def say(self, key: str, /, **values: object) -> str:
        """A text of the catalogue."""
        return t(key, self.lang, **values)

    def name(self, kind: str, code: str) -> str:
        """What people call a code (`state.queued`); the code itself where the catalogue has none."""
        key = f"{kind}.{code}"
        try:
            said = self.say(key)
        except KeyError:
            return code
        return code if said == key else said

    def print(self, text: str = "") -> None:
        """A line for people; nothing if a program reads."""
        if not self.as_json:
            print(text)

    def tell(self, key: str, /, **values: object) -> None:
        """A line of the catalogue for people."""
        self.print(self.say(key, **values))

    def note(self, key: str, /, **values: object) -> None:
        """A line beside the answer, on standard error."""
        print(self.say(key, **values), file=sys.stderr)

    def json(self, value: object) -> None:
        """The answer for a program: one value on one line."""
        print(json.dumps(value, ensure_ascii=False), flush=True)

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour, on a terminal."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._colours and colour in COLOURS else text

    def state(self, state: str) -> str:
        """A state's name, coloured."""
        return self.paint(self.name("state", state), STATE_COLOURS.get(state, ""))

    def risk(self, risk: str | None) -> str:
        """A risk's name, coloured."""
        return self.paint(self.name("risk", risk), RISK_COLOURS.get(risk, "")) if risk else "-"

    def ago(self, at: str | None) -> str:
        """A time relative to now: "3 min ago", "in 2 h"."""
        if at is None:
            return "-"
        seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
        key, amount = _span(abs(seconds))
        if key == "now":
            return self.say("cli.time.now")
        span = self.say(f"cli.time.{key}", n=amount)
        return self.say("cli.time.ago" if seconds > 0 else "cli.time.in", span=span)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Columns as wide as their content; the last one takes what is left of the line, and is cut there."""
        body = [[Cell(clean(cell.text, one_line=True), cell.colour) for cell in row] for row in rows]
        texts = [list(heads), *([cell.text for cell in row] for row in body)]
        widths = [max(map(columns, column)) for column in zip(*texts, strict=True)]
        widths[-1] = max(10, self.width - sum(widths[:-1]) - 2 * (len(heads) - 1))
        self._line([Cell(head, "dim") for head in heads], widths)
        for row in body:
            self._line(row, widths)

    def _line(self, cells: Sequence[Cell], widths: Sequence[int]) -> None:
        *front, last = [(cell, cut(cell.text, width), width) for cell, width in zip(cells, widths, strict=True)]
        painted = [self.paint(pad(text, width), cell.colour) for cell, text, width in front]
        self.print("  ".join([*painted, self.paint(last[1], last[0].colour)]).rstrip())

    def paragraph(self, text: str, indent: str = "  ", first: str | None = None) -> None:
        """Text from outside, made harmless, wrapped within the width."""
        for number, line in enumerate(clean(text).splitlines() or [""]):
            lead = first if first is not None and number == 0 else indent
            for wrapped in fold(line, self.width - columns(indent)) or [""]:
                self.print(lead + wrapped)
                lead = indent


def clean(text: str, *, one_line: bool = False) -> str:
    """`text` without what could move the cursor, hide or turn letters: such characters are shown by number."""
    if one_line:
        text = " ".join(text.split())
    return "".join(_visible(text, place) for place in range(len(text)))


def _visible(text: str, place: int) -> str:
    char = text[place]
    if char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or char == "\u200d":
        return char
    return "    " if char == "\t" else f"\\u{ord(char):04x}"


def columns(text: str) -> int:
    """How many columns a terminal gives a text: Korean takes two a letter, marks that combine none."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf", "Cc"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, with "…" where something was left out."""
    if columns(text) <= width:
        return text
    return _head(text, width - 1) + "…"


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    used = 0
    for place, char in enumerate(text):
        used += _columns(char)
        if used > width:
            return text[:place]
    return text


def pad(text: str, width: int) -> str:
    """`text` filled up with blanks to `width` columns."""
    return text + " " * (width - columns(text))


def fold(text: str, width: int) -> list[str]:
    """`text` as lines of at most `width` columns, broken at blanks where there are some."""
    if columns(text) == len(text):
        return textwrap.wrap(text, width, break_on_hyphens=False)
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        while columns(joined) > width:
            if line and columns(word) <= width:
                lines.append(line)
                joined = word
            else:
                head = _head(joined, width)
                lines.append(head)
                joined = joined[len(head) :]
        line = joined
    return [*lines, line]


def short(task_id: str) -> str:
    """An id as people write it: its ending."""
    return task_id.replace("-", "")[-SHORT_ID:]


def _span(seconds: float) -> tuple[str, int]:
    if seconds < 1:
        return "now", 0
    for limit, key, size in ((MINUTE, "seconds", 1), (HOUR, "minutes", MINUTE), (2 * DAY, "hours", HOUR)):
        if seconds < limit:
            return key, int(seconds // size)
    return "days", int(seconds // DAY)
