"""Three texts, a model that knows them, and what is made of its answers."""

from __future__ import annotations

import json

import httpx2

from common.core.task import Json
from common.ports import Answer, NotAnswered
from tests.unit.provider import items_of, message, nonces_of, proposal, step, under

TEXTS = ("count the offers", "weigh the offers", "write to the winner")


def value(number: int, **changes: Json) -> str:
    """A proposal that can be told from others."""
    return proposal(**{"steps": step(args=json.dumps({"value": number})), **changes})


def values(said: list[Answer | NotAnswered]) -> list[object]:
    """What each plan's step says; of no plan, why."""
    return [
        item.steps[0].args["value"] if isinstance(item, Answer) else (item.failure.code, item.failure.detail)
        for item in said
    ]


def known(request: httpx2.Request) -> httpx2.Response:
    """A model that answers each text of TEXTS with its number, whatever else is asked with it."""
    said = [value(TEXTS.index(str(item["text"]))) for item in items_of(request)]
    return message(under(nonces_of(request), *said))
