"""What may be remembered. Pure.

An answer serves others only if all that it says of the world stands in the request itself: a date, number, host,
address or id from anywhere else was true once, or for somebody. When in doubt it is asked again: that costs a cent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from common.analysis.cache.secret_words import looks_secret
from common.analysis.history import why_failed
from common.analysis.short_texts import remembered
from common.core.json_limits import REF
from common.core.task import Json, PlanSource, Step
from common.ports import Answer, Question

# How long a step may take or speak bounds it and says nothing of the world.
BOUNDS: Final = frozenset({"timeout", "max_tokens"})
LONGEST: Final = 20_000  # characters of a plan that is looked through; what is longer is not kept

_NUMBER: Final = re.compile(r"(?<![\w.])-\d+(?:[.,]\d+)*|\d+(?:[.,]\d+)*")
_ID: Final = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*", re.ASCII)
_WORD: Final = re.compile(r"[\w.-]+(?::\d+)?")
_AUTHORITY: Final = re.compile(r"//([^/?#\s\"'<>\\]*)")
_DOMAIN: Final = re.compile(r"(?<![\w@.-])(?:[\w-]+\.)+[^\W\d_]{2,}(?![\w-])")
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w.-]+\w")
_DATE: Final = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|september|october"
    r"|november|december|today|tomorrow|yesterday)\b|[월화수목금토일]요일|오늘|내일|모레|어제|\d{4}-\d\d-\d\d",
    re.IGNORECASE,
)
_STEP_REF: Final = re.compile(r"^steps\.[a-z][a-z0-9_]{0,31}")
_INDEX: Final = re.compile(r"\[-?\d*(?::-?\d*){0,2}\]")


def may_share(question: Question) -> bool:
    """Whether its answer may be another's: a first reading of a text in which nothing looks like a secret."""
    task = question.task
    if task.plan is not None or why_failed(task) is not None or not task.request.text:
        return False
    return not _holds_secret(task.request.text)


_holds_secret: Final = remembered(looks_secret)


def why_not_kept(text: str, names: AbstractSet[str], answer: Answer) -> str | None:
    """Why an answer must not serve again; None: it may.

    Args:
        text: the request.
        names: of the functions, channels and inputs that were told with it.
        answer: as it was given.

    Returns:
        `provisional`, `rules`, `long`, `secret`, `date`, `number`, `host`, `address` or `id`.
    """
    if answer.provisional:
        return "provisional"
    if answer.source not in {PlanSource.CLAUDE, PlanSource.MODEL}:
        return "rules"
    said = [words for step in answer.steps for words in _said(step)]
    if sum(map(len, said)) > LONGEST:
        return "long"
    if any(looks_secret(words) for words in (answer.summary, answer.kind, *said)):
        return "secret"
    request = _Request(text, names)
    return next((fault for words in said if (fault := request.fault(words)) is not None), None)


def _said(step: Step) -> Iterator[str]:
    """Every text, key and number in the arguments of a step; of references what is not structure."""
    stack: list[Json] = [value for name, value in step.args.items() if name not in BOUNDS]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == REF and isinstance(inner, str):
                    yield _INDEX.sub(" ", _STEP_REF.sub("", inner)).replace(".", " ")  # a path looks like a host
                else:
                    yield key
                    stack.append(inner)
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, str):
            yield value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield _number(value)


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


@dataclass(frozen=True)
class _Request:
    """What a request names, to be looked up."""

    text: str
    names: AbstractSet[str]

    @cached_property
    def folded(self) -> str:
        return self.text.casefold()

    @cached_property
    def numbers(self) -> frozenset[str]:
        found = _NUMBER.findall(_without_ids(self.text))
        # 17.50 in a sentence is 17.5 in JSON
        return frozenset(found) | frozenset(_number(float(n)) for n in found if "," not in n and n.count(".") == 1)

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(_ID.findall(self.text)) | self.names

    @cached_property
    def hosts(self) -> frozenset[str]:
        words = (word.rstrip(".-") for word in _WORD.findall(self.folded))
        return frozenset(words) | frozenset(_AUTHORITY.findall(self.folded))

    def fault(self, words: str) -> str | None:
        """What in these words the request does not hold."""
        if words in self.names:
            return None
        folded = words.casefold()
        if any(name not in self.folded for name in _DATE.findall(folded)):
            return "date"
        hosts = [host for host in (*_AUTHORITY.findall(folded), *_DOMAIN.findall(folded)) if host]
        if any(host not in self.hosts for host in hosts):
            return "host"
        if any(address not in self.folded for address in _EMAIL.findall(folded)):
            return "address"
        if any(_is_id(word) and word not in self.ids for word in _ID.findall(words)):
            return "id"
        numbers = _NUMBER.findall(_without_ids(words))
        return "number" if any(number not in self.numbers for number in numbers) else None


def _without_ids(text: str) -> str:
    return _ID.sub(lambda found: " " if _is_id(found[0]) else found[0], text)


def _is_id(word: str) -> bool:
    """Letters and digits in one, or digits in groups; a number alone is none."""
    return not word.isdigit() and any(character.isdigit() for character in word)
