"""What an error says besides its title, in the reader's language: found by the English sentence that the code raises.

An error is raised far from whoever reads it, and often shown to several: it carries a sentence, not a key. What has no
translation stays English.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from common.i18n import LANGUAGES, catalogue, t

PREFIXES: Final = ("detail.", "refuse.")
PLACE: Final = re.compile(r"\\\{(\w+)\\\}")
WORDS: Final = {"state": "state.", "role": "role.", "needed": "role."}
LENGTH_MAX: Final = 500  # longer ones quote something foreign, and are not searched


def said(text: str, lang: str) -> str:
    """`text` in `lang`, where the catalogues know it; a pointer before it (`#/plan/steps/0: …`) stays in front."""
    if lang == "en" or not text or len(text) > LENGTH_MAX:
        return text
    whole = _found(text, lang)
    if whole is not None:
        return whole
    pointer, colon, rest = text.partition(": ")
    told = _found(rest, lang) if colon and not any(char.isspace() for char in pointer) else None
    return text if told is None else f"{pointer}: {told}"


def _found(text: str, lang: str) -> str | None:
    for pattern, key in _patterns():
        match = pattern.fullmatch(text)
        if match:
            return t(key, lang, **{name: _word(name, value, lang) for name, value in match.groupdict().items()})
    return None


def _word(name: str, value: str, lang: str) -> str:
    """A value that is itself a word of ours: a state, a role."""
    if name == "choices":  # pydantic's list of them, which is English
        return value.replace("' or '", "', '")
    key = f"{WORDS.get(name, '')}{value}"
    return catalogue(lang).get(key, value)


def recipe_named(name: str, lang: str) -> str:
    """A recipe's name in `lang`: it was kept in the language of whoever asked."""
    key = _recipes().get(name)
    return name if key is None else t(key, lang)


@lru_cache
def _recipes() -> dict[str, str]:
    """The key of every recipe's name, by what it is called in any language."""
    named = [item for lang in LANGUAGES for item in catalogue(lang).items()]
    return {text: key for key, text in named if key.startswith("rules.") and key.endswith(".name")}


@lru_cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Every sentence as a pattern; what says most by itself is tried first."""
    known = {key: text for key, text in catalogue("en").items() if key.startswith(PREFIXES)}
    in_order = sorted(known, key=lambda key: -len(re.sub(r"\{\w+\}", "", known[key])))
    return tuple((re.compile(PLACE.sub(r"(?P<\1>.+)", re.escape(known[key])), re.DOTALL), key) for key in in_order)
