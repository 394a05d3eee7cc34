"""What models are told, as versioned files: `NAME.VERSION.txt`. A changed text is a new file; a test holds hashes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
ANALYSIS: Final = "analysis.2"
GENERATE: Final = "generate.1"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and the version that is recorded with every call."""

    version: str
    text: str

    def filled(self, **values: str) -> str:
        """With `{{name}}` replaced by values: double braces, since the text shows JSON."""
        text = self.text
        for name, value in values.items():
            text = text.replace("{{" + name + "}}", value)
        return text


@lru_cache
def prompt(version: str) -> Prompt:
    """The prompt of a version, read once."""
    return Prompt(version, (_FOLDER / f"{version}.txt").read_text("utf-8"))
