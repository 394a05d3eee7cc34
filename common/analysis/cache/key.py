"""Everything that an answer depends on, as one key. Pure: the clock is an argument.

Two requests share an answer only if they are the same to the last character that could matter. What is left out: values
of inputs, which no model sees; who asked, since policy judges anew at every use (I10); and the time of day, unless the
text speaks of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from common.analysis.cache.time_words import speaks_of_time
from common.analysis.packs.question import local_time
from common.analysis.short_texts import remembered
from common.core.policy import Policy
from common.core.task import Json
from common.ports import Question

VERSION: Final = "1"  # of the key's own making
SHAPE_DEPTH: Final = 4  # of inputs; deeper than a prompt shows them

# Text in quotes, and JSON, is content that a plan may carry word for word: there a blank more is another content.
_VERBATIM: Final = re.compile("[\"'`{}\\[\\]<>\u2018-\u201f\u00ab\u00bb\u300a-\u300f]")
_LINE_END: Final = re.compile("\r\n?")
_BLANKS: Final = re.compile("[ \t]+")
_AROUND_LINE_END: Final = re.compile(" ?\n ?")


@dataclass(frozen=True, slots=True)
class Basis:
    """What all answers of an installation depend on at present."""

    models: tuple[str, ...]  # that may be asked, the first one first
    prompt_version: str
    catalogue: str  # see `catalogue_hash`


def catalogue_hash(schemas: Mapping[str, Mapping[str, Json]]) -> str:
    """Of the actions as a model is told of them."""
    return hashlib.sha256(_exact(schemas)).hexdigest()


@remembered
def normalised(text: str) -> str:
    """NFC, without blanks around it, a run of blanks within as one. Case, digits and punctuation stay.

    A line's end stays one: the lines of a list are not its words. Beside quotation marks or JSON every blank counts.
    """
    text = _LINE_END.sub("\n", unicodedata.normalize("NFC", text)).strip(" \t\n")
    if _VERBATIM.search(text):
        return text
    return _AROUND_LINE_END.sub("\n", _BLANKS.sub(" ", text))


def key_of(question: Question, basis: Basis, now: datetime) -> str:
    """The key: 64 hex digits.

    Args:
        question: whose text is asked, under which settings.
        basis: models, prompts and actions.
        now: aware; a text that speaks of time shares an answer only within the same hour of the workspace's zone.
    """
    task, policy = question.task, question.policy
    text = normalised(task.request.text or "")
    hour = local_time(now, policy.time_zone).strftime("%Y-%m-%dT%H") if speaks_of_time(text) else ""
    parts = [
        _common(basis, *_names(policy), policy.time_zone).hex(),
        str(task.workspace),
        task.request.origin.value,
        task.request.lang,
        shape(task.request.inputs),
        hour,
        text,
    ]
    return hashlib.sha256(_exact(parts)).hexdigest()


def shape(value: Json, depth: int = SHAPE_DEPTH) -> Json:
    """Names and types of JSON, never what it says. A list is as its first entry, and whether it has any."""
    if isinstance(value, dict):
        return {name: shape(value[name], depth - 1) for name in value} if depth else "object"
    if isinstance(value, list):
        return [shape(entry, depth - 1) for entry in value[:1]] if depth else "array"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "string" if isinstance(value, str) else "number"


def _names(policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a prompt lists: functions and channels by name."""
    return tuple(sorted(policy.functions)), tuple(sorted(policy.channels))


@lru_cache(maxsize=256)
def _common(basis: Basis, functions: tuple[str, ...], channels: tuple[str, ...], time_zone: str) -> bytes:
    """What most questions have in common, hashed once."""
    parts = [VERSION, basis.models, basis.prompt_version, basis.catalogue, functions, channels, time_zone]
    return hashlib.sha256(_exact(parts)).digest()


def _exact(value: object) -> bytes:
    """The same bytes for the same JSON, and only for it: keys in order, everything beyond ASCII escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
