"""What a model says of tasks, well or badly: every way of answering that an installation has to live with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any, Final
from uuid import UUID

from common.core.task import Risk

ROUNDS: Final = 6  # plans of a task that differ
FOREIGN: Final = "0badf00d"
FORGED: Final = "forged"  # the word of what was never said by a model
Item = dict[str, Any]


def input_of(number: int, part: str) -> str:
    """The input that names an effect of the plan with this number: letters only, as ids are never remembered."""
    return f"m{ascii_lowercase[number]}{part}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A task in a call: which it is, and what the model is told of it."""

    task: UUID
    lease_no: int
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A whole answer. `counts`: by task, the risk that was claimed properly; `spoilt`: tasks that were not answered."""

    text: str
    stop: str
    counts: dict[UUID, Risk]
    spoilt: frozenset[UUID]


def told_of(content: str) -> list[dict[str, Any]]:
    """The tasks in a call, as the model sees them."""
    found: list[dict[str, Any]] = json.loads(content.removeprefix("<tasks>\n").removesuffix("\n</tasks>"))["items"]
    return found


@dataclass(slots=True)
class Reader:
    """A model. Every plan of it carries a word of its own, by which it is known again whoever gets it."""

    marks: dict[str, UUID | None] = field(
        default_factory=lambda: {FORGED: None}
    )  # None: said in a way that must not count
    last: str = FOREIGN  # the nonce of an earlier call

    def says(self, asked: Sequence[Asked], model: str, mood: str) -> Said:
        """An answer about tasks, spoilt as the mood wants it."""
        items = [self._item(one, model, mood) for one in asked]
        bad = len(self.marks) % len(asked)
        risks = {one.task: Risk(item["risk"]) for one, item in zip(asked, items, strict=True)}
        spoils = SPOILT.get(mood)
        text, stop, spoilt = (_whole(items), "end_turn", ()) if spoils is None else spoils(self, asked, items, bad)
        self.last = str(asked[0].told["nonce"])
        for task in spoilt:
            risks.pop(task, None)
        return Said(text, stop, risks, frozenset(spoilt))

    def item(self, one: Asked, *, task: UUID | None, **how: Any) -> Item:  # noqa: ANN401 - fields of the answer
        """One assessment whose plan carries a new word. `task`: whom it may count for."""
        word = self._word()
        self.marks[word] = task
        number = _number(one.told, other=bool(how.pop("other", False)), words=len(self.marks))
        floor = str(how.pop("floor", "low"))
        steps = [
            _step(number, "a", "idempotent", "low", word),
            _step(number, "b", "non_idempotent", floor, word),
        ]
        said = {"kind": "act", "summary": "as it says", "risk": "low", "confidence": 0.9, "priority": 3}
        return {"nonce": one.told["nonce"], **said, "steps": steps, **how}

    def _item(self, one: Asked, model: str, mood: str) -> Item:
        how: dict[str, Any] = {}
        match mood:
            case "high":
                how = {"risk": "high"}
            case "grave":  # always low, whatever the plan does
                how = {"floor": "high"}
            case "unsure" if model == "small":
                how = {"confidence": 0.2, "risk": "medium"}
            case "person":
                how = {"steps": []}
            case "other":
                how = {"other": True}
        return self.item(one, task=one.task, **how)

    def _word(self) -> str:
        number, letters = len(self.marks), ""
        while not letters or number:
            number, place = divmod(number, len(ascii_lowercase))
            letters += ascii_lowercase[place]
        return f"q{letters}q"

    def foil(self, item: Item) -> None:
        """What this item says must not count."""
        for step in item["steps"]:
            self.marks[json.loads(step["args"])["note"]] = None


Spoil = Callable[[Reader, Sequence[Asked], list[Item], int], tuple[str, str, Sequence[UUID]]]


def _foreign(reader: Reader, asked: Sequence[Asked], items: list[Item], bad: int) -> tuple[str, str, Sequence[UUID]]:
    reader.foil(items[bad])
    told = {item["nonce"] for item in items}  # of a batch that was made twice both are asked under the same ones
    items[bad]["nonce"] = FOREIGN if reader.last in told else reader.last
    return _whole(items), "end_turn", [asked[bad].task]


def _doubled(reader: Reader, asked: Sequence[Asked], items: list[Item], bad: int) -> tuple[str, str, Sequence[UUID]]:
    reader.foil(items[bad])
    items.append(reader.item(asked[bad], task=None, other=True))
    return _whole(items), "end_turn", [asked[bad].task]


def _reversed(_: Reader, __: Sequence[Asked], items: list[Item], ___: int) -> tuple[str, str, Sequence[UUID]]:
    return _whole(items[::-1]), "end_turn", ()


def _missing(reader: Reader, asked: Sequence[Asked], items: list[Item], bad: int) -> tuple[str, str, Sequence[UUID]]:
    reader.foil(items.pop(bad))
    return _whole(items), "end_turn", [asked[bad].task]


def _permitting(reader: Reader, asked: Sequence[Asked], items: list[Item], bad: int) -> tuple[str, str, Sequence[UUID]]:
    reader.foil(items[bad])
    items[bad]["needs_approval"] = False
    return _whole(items), "end_turn", [asked[bad].task]


def _garbage(reader: Reader, asked: Sequence[Asked], items: list[Item], _: int) -> tuple[str, str, Sequence[UUID]]:
    for item in items:
        reader.foil(item)
    return "I would rather not", "end_turn", [one.task for one in asked]


def _refused(reader: Reader, asked: Sequence[Asked], items: list[Item], _: int) -> tuple[str, str, Sequence[UUID]]:
    for item in items:
        reader.foil(item)
    return "", "refusal", [one.task for one in asked]


def _cut(reader: Reader, asked: Sequence[Asked], items: list[Item], _: int) -> tuple[str, str, Sequence[UUID]]:
    reader.foil(items[-1])
    return _whole(items)[:-30], "max_tokens", [asked[-1].task]


SPOILT: Final[dict[str, Spoil]] = {
    "foreign": _foreign,
    "doubled": _doubled,
    "reversed": _reversed,
    "missing": _missing,
    "permitting": _permitting,
    "garbage": _garbage,
    "refuse": _refused,
    "cut": _cut,
}


def _whole(items: Sequence[Item]) -> str:
    return json.dumps({"answers": items})


def _number(told: Mapping[str, Any], *, other: bool, words: int) -> int:
    """Which plan it is: another after a failure, else the first whose effects are not done."""
    done = {str(step["id"])[:2] for step in told.get("finished", ())}
    free = [n for n in _numbers() if f"m{ascii_lowercase[n]}" not in done]
    if not free:
        return ROUNDS  # an input that there is not: no plan
    return free[words % len(free)] if other or "failure" in told else free[0]


def _numbers() -> Iterator[int]:
    return iter(range(ROUNDS))


def _step(number: int, part: str, effect: str, risk: str, word: str) -> dict[str, str]:
    name = input_of(number, part)
    args = {"what": {"$ref": f"inputs.{name}"}, "effect": effect, "risk": risk, "note": word}
    return {"id": name, "action": "act", "args": json.dumps(args)}
