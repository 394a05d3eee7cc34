"""A sentence with its foreign parts taken out. Pure.

Addresses, quotations, JSON and times become marks, so that nothing inside them is ever read as a word.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn
from urllib.parse import urlsplit

from common.analysis.rules.times import EN_TIME, KO_TIME, WAIT_FIRST, When, when_of
from common.core.task import Json

# One private-use character each: a text that already holds one of them is nobody's ordinary sentence.
URL: Final = "\ue000"
QUOTE: Final = "\ue001"
JSON: Final = "\ue002"
TIME: Final = "\ue003"  # "at 3 pm", "in 10 minutes"
BARE: Final = "\ue005"  # "10분 뒤", "3시" without 에: when something is done, or what it is about
WAIT: Final = "\ue004"  # "wait 10 minutes": only in front of what is to be done then
MARKS: Final = re.compile("[\ue000-\ue00f]")
CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

LONGEST: Final = 4000  # characters; a recipe is a sentence, and patterns must never meet a book

_URL: Final = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%]+", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)
_QUOTES: Final = re.compile(
    r"“([^“”]+)”|‘([^‘’]+)’|「([^「」]+)」|『([^『』]+)』|`([^`]+)`|(?<!\w)\"([^\"]+)\"|(?<!\w)'([^']+)'(?![A-Za-z])"
)
# People put a blank between an address and its particle, so that the address stays clickable: "https://… 를 가져와줘".
_PARTICLE: Final = re.compile(
    rf"([{URL}{QUOTE}{JSON}]) (을|를|이|가|은|는|에|에서|에다|의|와|과|랑|이랑|하고|으로|로|라고|이라고)(?=[ ,]|$)"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """The words that are left, and in order what the marks among them stand for."""

    words: str
    urls: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    bodies: tuple[Json, ...] = ()
    times: tuple[When, ...] = ()

    def only(self, *, urls: int = 0, quotes: int = 0, bodies: int = 0, times: int = 0) -> bool:
        """Whether it holds exactly this many of each."""
        held = (len(self.urls), len(self.quotes), len(self.bodies), len(self.times))
        return held == (urls, quotes, bodies, times)


def sentence_of(text: str) -> Sentence | None:
    """Take a text apart. None for one that no recipe may read: too long, unprintable, or holding what is doubtful."""
    if len(text) > LONGEST or MARKS.search(text) or CONTROL.search(text):
        return None
    rest, bodies = _without_json(text)
    if rest is None:
        return None
    rest, quotes, quoted_urls = _without_quotes(rest)
    rest, urls = _without_urls(rest, quoted_urls)
    if urls is None:
        return None
    words = _PARTICLE.sub(r"\1\2", " ".join(unicodedata.normalize("NFC", rest).split()))
    words, times = _without_times(words)
    return Sentence(words.rstrip(" .!?~。…"), urls, tuple(quotes), tuple(bodies), times)


def _without_json(text: str) -> tuple[str | None, list[Json]]:
    """Objects and arrays, each replaced by a mark. Text None: one that is doubtful (repeated keys, NaN, `$ref`)."""
    found: list[Json] = []
    parts: list[str] = []
    at = 0
    for start in re.finditer(r"(?:^|(?<=[\s'\"`:]))[{\[]", text):
        if start.start() < at:
            continue
        try:
            value, end = _DECODER.raw_decode(text, start.start())
        except RecursionError:
            return None, []
        except ValueError:
            continue  # its braces stay among the words, which no pattern accepts
        before, after = text[at : start.start()], text[end:]
        if before[-1:] in {"'", '"', "`"} and after[:1] == before[-1:]:
            before, end = before[:-1], end + 1
        parts += [before, JSON]
        found.append(value)
        at = end
    return "".join([*parts, text[at:]]), found


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose keys are all different and none a reference: user data must not turn into a plan's wiring."""
    made = dict(pairs)
    if len(made) != len(pairs) or "$ref" in made:
        msg = "doubtful object"
        raise ValueError(msg)
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_constant)


def _without_quotes(text: str) -> tuple[str, list[str], list[str]]:
    """Quotations, each replaced by a mark; a quotation that is one address counts as that address."""
    quotes: list[str] = []
    urls: list[str] = []

    def take(match: re.Match[str]) -> str:
        said = next(group for group in match.groups() if group is not None)
        if _URL.fullmatch(said):
            urls.append(said)
            return f"{URL}{len(urls) - 1}\ue00f"
        quotes.append(said)
        return QUOTE

    return _QUOTES.sub(take, text), quotes, urls


def _without_urls(text: str, quoted: list[str]) -> tuple[str, tuple[str, ...] | None]:
    """Addresses, each replaced by a mark, in order. None if one of them is no plain address."""
    urls: list[str] = []

    def take(match: re.Match[str]) -> str:
        if match.group(1) is not None:
            urls.append(quoted[int(match.group(1))])
            return URL
        url = _trimmed(match.group(0))
        urls.append(url)
        return URL + match.group(0)[len(url) :]

    rest = re.sub(rf"{URL}(\d+)\ue00f|{_URL.pattern}", take, text, flags=re.IGNORECASE)
    return rest, tuple(urls) if all(_plain(url) for url in urls) else None


def _trimmed(url: str) -> str:
    """Without the sentence's own punctuation at its end; a closing bracket stays if it was opened inside."""
    while url[-1] in ".,;:!?" or (url[-1] == ")" and url.count(")") > url.count("(")):
        url = url[:-1]
    return url


def _plain(url: str) -> bool:
    """A host, a valid port, and no user or password: a secret has no place in a plan (I11)."""
    try:
        parts = urlsplit(url)
        return bool(_HOST.fullmatch(parts.hostname or "")) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False


def _without_times(words: str) -> tuple[str, tuple[When, ...]]:
    """Times, each replaced by a mark."""
    times: list[When] = []

    def take(pattern: re.Pattern[str], mark: str, match: re.Match[str]) -> str:
        when = when_of(match)
        if when is None:
            return match.group(0)
        times.append(when)
        return mark if pattern is not KO_TIME or match.group(0).endswith(("에", "있다가")) else BARE

    for pattern, mark in ((WAIT_FIRST, WAIT), (EN_TIME, TIME), (KO_TIME, TIME)):
        words = pattern.sub(partial(take, pattern, mark), words)
    return words, tuple(times)
