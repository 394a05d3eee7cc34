"""The eight recipes: which sentences each takes, and the steps it makes of them.

A pattern must account for the whole sentence. What is negated, conditional, in several clauses or has a word left over
matches none, and a person decides. Marks (`U` an address, `Q` a quotation, `J` JSON, `T` a time) are `sentence.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from common.analysis.rules import patterns
from common.analysis.rules.sentence import BARE, QUOTE, TIME, WAIT, Sentence
from common.analysis.rules.times import When, moment
from common.core.policy import Policy
from common.core.task import Json, Step

Match = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Known:
    """What a recipe may know besides the sentence: the settings, and the present time."""

    policy: Policy
    now: datetime


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe. `build` may still refuse (None): the pattern fits, but what it holds is doubtful."""

    id: str
    sentences: tuple[str, ...]  # patterns, each of a whole sentence
    build: Callable[[Sentence, Match, Known], tuple[Step, ...] | None]
    near: re.Pattern[str]  # words by which a person can tell that this one was meant


def read(sentence: Sentence, known: Known) -> tuple[str, tuple[Step, ...]] | None:
    """The recipe and the steps that the whole sentence asks for; None if there is no such, or more than one."""
    found = {recipe.id: steps for recipe in RECIPES if (steps := _steps(recipe, sentence, known)) is not None}
    return next(iter(found.items())) if len(found) == 1 else None


def may_read(sentence: Sentence) -> bool:
    """Whether any pattern fits, whatever the settings and the time; if not, `read` finds nothing."""
    return any(patterns.compiled(p).fullmatch(sentence.words) for recipe in RECIPES for p in recipe.sentences)


def nearest(text: str) -> Recipe:
    """The recipe whose telling words occur most in a text; of several the first, of none `fetch`."""
    return max(RECIPES, key=lambda recipe: len(recipe.near.findall(text)))


def _steps(recipe: Recipe, sentence: Sentence, known: Known) -> tuple[Step, ...] | None:
    for text in recipe.sentences:
        match = patterns.compiled(text).fullmatch(sentence.words)
        if match is not None:
            steps = recipe.build(sentence, match.groupdict(), known)
            if steps is not None:
                return steps
    return None


def _get(step: str, url: str) -> Step:
    return Step(id=step, action="http.request", args={"method": "GET", "url": url})


def _value(step: str, value: Json) -> Step:
    return Step(id=step, action="value", args={"value": value})


def _fetch(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    del match, known
    return (_get("page", sentence.urls[0]),) if sentence.only(urls=1) else None


def _health(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    """A GET that must answer 2xx (what `http.request` expects unless told), and its status as the result."""
    del match, known
    if not sentence.only(urls=1):
        return None
    url = sentence.urls[0]
    return _get("check", url), _value("healthy", {"url": url, "status": {"$ref": "steps.check.status"}})


def _post(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    """JSON as JSON, a quotation as text. A quotation that looks like broken JSON is neither."""
    del match, known
    content: dict[str, Json]
    if sentence.only(urls=1, bodies=1):
        content = {"json": sentence.bodies[0]}
    elif sentence.only(urls=1, quotes=1) and sentence.quotes[0].lstrip()[:1] not in {"{", "[", ""}:
        content = {"body": sentence.quotes[0]}
    else:
        return None
    return (Step(id="post", action="http.request", args={"method": "POST", "url": sentence.urls[0], **content}),)


def _extract(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    del known
    name = match["field"] or ""
    if QUOTE in name:
        if not sentence.only(urls=1, quotes=1) or not re.fullmatch(r"[^\"\\\x00-\x1f]{1,80}", sentence.quotes[0]):
            return None
        said = sentence.quotes[0].strip()
        path = said if patterns.PATH.fullmatch(said) else f'"{said}"'
    elif sentence.only(urls=1) and name.lower() not in patterns.NOT_FIELDS:
        path = name
    else:
        return None
    return _get("page", sentence.urls[0]), _value("field", {"$ref": f"steps.page.json.{path}"})


def _compare(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    """Both pages side by side: what is the same is for the reader to see; a plan has no code of its own."""
    del match, known
    if not sentence.only(urls=2) or sentence.urls[0] == sentence.urls[1]:
        return None
    shown = "{status: status, json: json, text: text}"
    both: Json = {side: {"$ref": f"steps.{side}.{shown}"} for side in ("first", "second")}
    return _get("first", sentence.urls[0]), _get("second", sentence.urls[1]), _value("both", both)


def _function(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    """Called a function, any name (whether it is listed is policy's business); without that word only a listed one."""
    name = match["name"] or ""
    if QUOTE in name:
        name = sentence.quotes[0]
        if not patterns.FUNCTION_NAME.fullmatch(name):
            return None
        sentence = Sentence(sentence.words, sentence.urls, sentence.quotes[1:], sentence.bodies, sentence.times)
    if "named" in match and match["named"] is None and name not in known.policy.functions:
        return None
    if sentence.only():
        content: dict[str, Json] = {}
    elif sentence.only(bodies=1):
        content = {"json": sentence.bodies[0]}
    else:
        return None
    return (Step(id="call", action="function.invoke", args={"function": name, **content}),)


def _remind(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    message = match.get("message") or match.get("quoted") or ""
    if message == QUOTE:
        if not sentence.only(quotes=1, times=1):
            return None
        said = sentence.quotes[0]
    elif sentence.only(times=1) and not patterns.DOUBTFUL.search(message):
        said = patterns.KO_QUOTATIVE.sub(r"\1", message.strip(" ,:"))
    else:
        return None
    wait = _wait(sentence.times[0], known)
    if wait is None or not said.strip():
        return None
    channel = known.policy.notify
    if channel is None or channel not in known.policy.channels:
        return wait, _value("reminder", said)
    return wait, Step(id="reminder", action="notify", args={"channel": channel, "message": said})


def _wait(when: When, known: Known) -> Step | None:
    """A span in seconds from when the plan begins, or the absolute time that is meant in the workspace's zone."""
    if when.span is not None:
        return Step(id="wait", action="wait", args={"seconds": int(when.span.total_seconds())})
    until = moment(when, known.now, known.policy.time_zone)
    if until is None:
        return None
    return Step(id="wait", action="wait", args={"until": until.isoformat(timespec="seconds")})


def _wait_then(sentence: Sentence, match: Match, known: Known) -> tuple[Step, ...] | None:
    """A time, and exactly one other recipe's whole sentence."""
    del match
    if len(sentence.times) != 1:
        return None
    rest = patterns.without_time(sentence.words, len(sentence.urls))
    wait = _wait(sentence.times[0], known)
    if rest is None or wait is None:
        return None
    then = Sentence(rest, sentence.urls, sentence.quotes, sentence.bodies)
    found = [steps for recipe in _IMMEDIATE if (steps := _steps(recipe, then, known)) is not None]
    return (wait, *found[0]) if len(found) == 1 else None


_IMMEDIATE: Final = (
    Recipe("fetch", patterns.FETCH, _fetch, patterns.NEAR_FETCH),
    Recipe("health_check", patterns.HEALTH, _health, patterns.NEAR_HEALTH),
    Recipe("post", patterns.POST, _post, patterns.NEAR_POST),
    Recipe("extract", patterns.EXTRACT, _extract, patterns.NEAR_EXTRACT),
    Recipe("compare", patterns.COMPARE, _compare, patterns.NEAR_COMPARE),
    Recipe("function", patterns.FUNCTION, _function, patterns.NEAR_FUNCTION),
)
RECIPES: Final = (
    *_IMMEDIATE[:2],
    Recipe("remind", patterns.REMIND, _remind, patterns.NEAR_REMIND),
    *_IMMEDIATE[2:5],
    Recipe("wait_then", (f".*[{TIME}{BARE}{WAIT}].*",), _wait_then, patterns.NEAR_WAIT),
    _IMMEDIATE[5],
)
