"""Messages in the reader's language: flat catalogues beside this file, none in code."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "ko")
_FOLDER: Final = Path(__file__).parent


def t(key: str, lang: str, /, **values: object) -> str:
    """The message `key` in `lang`, with `values` in its places. English where that has none; at worst the key."""
    text = catalogue(lang).get(key) or catalogue("en").get(key) or key
    return text.format_map(values)


def failure_said(code: str, lang: str) -> str:
    """What went wrong, in words; what has none is named by its code."""
    key = f"failure.{code}"
    return t(key, lang) if key in catalogue("en") else t("failure.other", lang, code=code)


@lru_cache
def catalogue(lang: str) -> dict[str, str]:
    """All messages of a language: `LANG.toml` and every `PART.LANG.toml`, merged. Empty for one that nobody wrote."""
    merged: dict[str, str] = {}
    for path in sorted(_FOLDER.glob(f"*{lang}.toml")):
        if path.name == f"{lang}.toml" or path.name.endswith(f".{lang}.toml"):
            merged |= tomllib.loads(path.read_text("utf-8"))
    return merged
