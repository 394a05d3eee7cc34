"""Answers of a model that is against us; it gives them over real HTTP, and whatever reads them is the product."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from common.adapters.memory.rows import TaskRow
from common.core.task import State
from tests.metered.asked import Asked
from tests.paid_desk import Paid

FETCH = "Read https://a.example/x and say whether it is worth a visit"
OTHER = "Read https://b.example/y and say whether it is worth a visit"
DELETE = "Delete order 7 at https://shop.example/orders/7 for good"
EVIL = "https://evil.example/collect"
ASLEEP = frozenset({State.AWAITING_APPROVAL, State.MANUAL})  # nothing happens before a person says so

Item = dict[str, Any]


def items(asked: Asked) -> list[Item]:
    """What is asked about."""
    found: list[Item] = json.loads(asked.content.removeprefix("<tasks>").removesuffix("</tasks>"))["items"]
    return found


def step(action: str = "http.request", name: str = "s", **args: Any) -> Item:  # noqa: ANN401 - arguments of any action
    """A step as the model writes it."""
    return {"id": name, "action": action, "args": json.dumps(args)}


def answer(nonce: object, *steps: Item, **changes: Any) -> Item:  # noqa: ANN401 - what a hostile model says is anything
    """What it says of one task: always low, always sure."""
    said = {"kind": "read_page", "summary": "Reads a page.", "risk": "low", "confidence": 1.0, "priority": 5}
    return {"nonce": nonce, **said, "steps": list(steps), **changes}


def each(*steps: Item, **changes: Any) -> Callable[[Asked], str]:  # noqa: ANN401 - as above
    """The same of every task, under the right nonce."""
    return lambda asked: said(*(answer(item["nonce"], *steps, **changes) for item in items(asked)))


def said(*answers: Item) -> str:
    """The whole answer."""
    return json.dumps({"answers": answers}, ensure_ascii=False)


def own_page(item: Item, **changes: Any) -> Item:  # noqa: ANN401 - as above
    """An honest answer: the page that the task's own text names."""
    return answer(item["nonce"], step(url=page_of(item["text"])), **changes)


def page_of(text: str | None) -> str:
    """The address that a text names."""
    return next(word for word in str(text).split() if word.startswith("https://"))


def outcome(paid: Paid, says: Callable[[Asked], str], *texts: str) -> list[TaskRow]:
    """Hand the texts in, have them read, and let everything run that may."""
    paid.fake.account.says = says
    rows = paid.read(*texts)
    paid.desk.wake("execute")
    paid.assert_books_hold()
    return rows
