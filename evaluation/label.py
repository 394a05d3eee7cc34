"""What is right for a task: the labelled set, as it is kept in `tasks.jsonl`. Values only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from common.core.task import Failure, Frozen, Json, Lang, Origin, Risk, Step

FILE: Final = Path(__file__).with_name("tasks.jsonl")


class Before(Frozen):
    """A plan that failed, and how far it came."""

    steps: tuple[Step, ...]
    done: dict[str, Json] = Field(default_factory=dict)  # results by step id
    failure: Failure


class Label(Frozen):
    """A task, and what a careful operator would accept as its reading.

    A step is described as `GET api.shop.example`, `function ocr`, `notify ops`, `generate`, `wait` or `value`; a
    description without its second word is any of them, and `a|b` is either. Whatever `needs` and `may` do not name must
    not be in a plan, except `value`, which does nothing.
    """

    id: str = Field(pattern=r"^[a-z]+-(ko|en)-\d+$")
    lang: Lang
    family: str  # what it tries
    text: str = Field(min_length=1, max_length=1000)
    kinds: tuple[str, ...]  # beginnings of words of which one is in a fitting kind; empty: any
    risk: tuple[Risk, Risk]  # the lowest and the highest that are right
    person: Literal["no", "may", "must"]  # whether it is a person's: no plan is right
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()
    wait: int | None = Field(default=None, ge=1)  # seconds from the present moment of the set
    holds: tuple[str, ...] = ()  # what the plan's arguments must hold; `a|b` is either
    lacks: tuple[str, ...] = ()  # and what they must not
    inputs: dict[str, Json] = Field(default_factory=dict)
    origin: Origin = Origin.PERSON
    before: Before | None = None

    @property
    def least(self) -> Risk:
        """The lowest risk that is right."""
        return self.risk[0]

    @property
    def most(self) -> Risk:
        """The highest risk that is right."""
        return self.risk[1]


@dataclass(frozen=True)
class LabelledSet:
    """All labels, in the file's order."""

    labels: tuple[Label, ...]

    @cached_property
    def version(self) -> str:
        """Names exactly these labels: runs over different ones are never compared."""
        lines = "\n".join(label.model_dump_json() for label in self.labels)
        return hashlib.sha256(lines.encode()).hexdigest()[:12]

    def first(self, limit: int | None) -> LabelledSet:
        """As many as wanted, spread over families and languages; the same ones each time."""
        if limit is None or limit >= len(self.labels):
            return self
        return LabelledSet(tuple(sorted(self.labels, key=shuffled)[:limit]))


def shuffled(label: Label) -> str:
    """A key that mixes tasks and is the same each time: neighbours in a file are alike, those in a queue are not."""
    return hashlib.sha256(label.id.encode()).hexdigest()


def read_labels(path: Path = FILE) -> LabelledSet:
    """The labelled set. pydantic.ValidationError, OSError."""
    lines: Sequence[str] = path.read_text("utf-8").splitlines()
    return LabelledSet(tuple(Label.model_validate_json(line) for line in lines if line))
