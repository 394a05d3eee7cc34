"""Asking a model about tasks: one form for one and for many. Forming the call and reading its answer; pure.

A pack holds tasks of one workspace and one origin, each with a nonce of its own. An assessment counts only under its
own nonce (I12): what is missing, doubled, foreign or invalid is a BadItem, to be asked again alone, and takes nothing
from its neighbours. Of an answer that was cut off, what was said in full counts: it is paid for, it passes the same
checks, and policy sets its floor like any other's (I5). Of a refused one nothing counts, since nobody knows whom it
refused: each is asked alone.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.call import Call, Reply
from common.analysis.history import has_failed, kept_steps
from common.analysis.packs.answer import UnusableError, Wanted, ended_badly, read_item, read_items
from common.analysis.packs.question import DETAIL_MAX, content_of
from common.analysis.prompts import ANALYSIS, prompt
from common.core.errors import Invalid
from common.core.spending import shares_of
from common.core.task import Failure, Json, PlanSource, Step
from common.ports import Answer, CallReason, NotAnswered, Question

TEXT_BYTES: Final = 48_000  # in one call, unless one text alone is longer: far below where a model's price doubles
# What is longer is cut off, and paid: a plan of ten steps takes 600 tokens.
ANSWER_TOKENS: Final = 3200
ITEM_TOKENS: Final = 800
SECONDS: Final = 90.0  # of silence: an answer is written whole before any of it comes; the lease is renewed meanwhile
ITEM_SECONDS: Final = 3.0  # for each task more, whose 200 tokens or so have to be written
WORDS: Final = frozenset({"title", "description"})  # of a schema, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class BadItem:
    """No usable assessment of a task. `own`: `why` is what was wrong with what was said of it, not of others."""

    why: str
    own: bool = False
    cost: int = 0
    call: UUID | None = None  # see Answer

    def as_not_answered(self) -> NotAnswered:
        """What is said of it when it is not asked again: a person looks."""
        return NotAnswered(failure=Failure(code="unusable_answer", detail=self.why), cost=self.cost, call=self.call)


Item = Answer | NotAnswered | BadItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What answers are read with."""

    catalogue: Catalogue
    now: datetime  # aware: what `{"$ref": "now"}` becomes
    source: str = PlanSource.CLAUDE  # what plans are said to come from
    secret: str | None = None  # the provider's key: an answer that holds it came from somebody who should not (I11)


# --- asking -----------------------------------------------------------------------------------------------------------


def packs_of(questions: Sequence[Question], most: int) -> list[tuple[int, ...]]:
    """Which questions share a call, as their places: one workspace, origin and purpose (I12), in order.

    Args:
        questions: any.
        most: so many tasks at most in one call; fewer where texts are long.
    """
    made: list[list[int]] = []
    open_: dict[tuple[object, ...], tuple[list[int], int]] = {}
    for place, question in enumerate(questions):
        task = question.task
        alike = (task.workspace, task.request.origin, question.purpose)
        size = len((task.request.text or "").encode("utf-8", "replace"))
        pack, held = open_.get(alike, ([], 0))
        if not pack or len(pack) >= most or held + size > TEXT_BYTES:
            pack, held = [], 0
            made.append(pack)
        pack.append(place)
        open_[alike] = (pack, held + size)
    return [tuple(pack) for pack in made]


def nonce() -> str:
    """A mark that no text can know beforehand."""
    return secrets.token_hex(4)


def pack_call(
    questions: Sequence[Question],
    *,
    model: str,
    reason: CallReason,
    catalogue: Catalogue,
    now: datetime,
    mistakes: Sequence[str | None] = (),
    draw: Callable[[], str] = nonce,
) -> tuple[Call, tuple[str, ...]]:
    """The call that asks about tasks, and each one's nonce, in their order.

    Args:
        questions: one or more, of one workspace, origin and purpose (I12).
        model: who is asked.
        reason: why, for the ledger.
        catalogue: the actions that there are.
        now: the present time, aware.
        mistakes: of each, why the answer before could not be used; none if empty.
        draw: where nonces come from.
    """
    nonces: dict[str, None] = {}
    while len(nonces) < len(questions):
        nonces[draw()] = None
    first, count = questions[0], len(questions)
    told = {mark: why for mark, why in zip(nonces, mistakes, strict=False) if why is not None}
    call = Call(
        workspace=first.task.workspace,
        purpose=first.purpose,
        model=model,
        prompt_version=ANALYSIS,
        system=system_text(catalogue),
        content=content_of(questions, tuple(nonces), told, now),
        max_tokens=ANSWER_TOKENS + ITEM_TOKENS * count,
        schema=wanted_schema(),
        # A preview has no task row that a call could belong to.
        task_ids=tuple(q.task.id for q in questions) if first.purpose == "analysis" else (),
        tasks=count,
        reason=reason,
        fresh=sum(has_failed(q.task) for q in questions) if reason is CallReason.FAILED_BEFORE else None,
        timeout=SECONDS + ITEM_SECONDS * (count - 1),
    )
    return call, tuple(nonces)


@lru_cache(maxsize=4)
def system_text(catalogue: Catalogue) -> str:
    """What every call begins with: the same bytes each time, so that the provider's cache has them."""
    actions = json.dumps(catalogue.schemas(), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return prompt(ANALYSIS).filled(actions=actions)


@lru_cache(maxsize=1)
def wanted_schema() -> Mapping[str, Json]:
    """The JSON Schema of every answer: the same for one task and for many, as the provider's cache wants it.

    Without titles and descriptions: the prompt says what each is for, and here they would be paid with every call.
    """
    return {key: _bare(part) for key, part in Wanted.model_json_schema().items() if key not in WORDS}


def _bare(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _bare(part) for key, part in schema.items() if key not in WORDS or not isinstance(part, str)}


# --- reading ----------------------------------------------------------------------------------------------------------


def read_pack(said: Reply, nonces: Sequence[str], questions: Sequence[Question], reading: Reading) -> list[Item]:
    """What a reply says of each task, in the order of `questions`; costs are shares of the reply's.

    The steps of an Answer are new ones only, valid behind what was begun (I6); its risk is the model's claim.
    """
    count = len(questions)
    shares = shares_of(said.cost, count)
    ended = ended_badly(said.stop)
    cut_off = ended == "answer_truncated"
    found: dict[str, list[Json]] = {}
    why = "no answer under its nonce"
    try:
        if ended is None or cut_off:
            found = _by_nonce(read_items(said.text, cut_off=cut_off))
    except UnusableError as exc:
        why = str(exc)
    items: list[Item] = []
    for mark, question, cost in zip(nonces, questions, shares, strict=True):
        mine = found.get(mark, [])
        if not mine and ended is not None:
            items.append(_unsaid(ended, cost, alone=count == 1))
        elif len(mine) == 1:
            items.append(_read_one(mine[0], question, reading, cost))
        else:
            items.append(BadItem(why="answered twice" if mine else why, own=count == 1, cost=cost))
    return items


def _by_nonce(items: Sequence[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for item in items:
        mark = item.get("nonce") if isinstance(item, dict) else None
        if isinstance(mark, str):
            found.setdefault(mark, []).append(item)
    return found


def _unsaid(ended: str, cost: int, *, alone: bool) -> NotAnswered | BadItem:
    """Nothing was said of it. Alone, that is the model's last word; among others, it may be another's fault."""
    return NotAnswered(failure=Failure(code=ended), cost=cost) if alone else BadItem(why=ended, cost=cost)


def _read_one(item: Json, question: Question, reading: Reading, cost: int) -> Item:
    try:
        return _assessed(item, question, reading, cost)
    except UnusableError as exc:
        return BadItem(why=str(exc)[:DETAIL_MAX], own=True, cost=cost)
    except Invalid as exc:
        first = exc.errors[0]
        return BadItem(why=f"{first.pointer}: {first.detail}"[:DETAIL_MAX], own=True, cost=cost)
    except Exception as exc:  # noqa: BLE001 - actions are plug-ins; whatever it is, it is this item's alone
        return BadItem(why=type(exc).__name__, own=True, cost=cost)


def _assessed(item: Json, question: Question, reading: Reading, cost: int) -> Answer | NotAnswered:
    task = question.task
    _refuse_secret(reading.secret, item, ())  # first: what is wrong with an item is told by the names of its keys
    proposal = read_item(item)
    steps = proposal.planned()
    _refuse_secret(reading.secret, item, steps)
    if not steps:
        why = Failure(code="needs_person", detail=proposal.summary or None)
        return NotAnswered(failure=why, confidence=proposal.confidence, cost=cost)
    reading.catalogue.read([*kept_steps(task), *steps], task.request.inputs, reading.now)
    return Answer(
        kind=proposal.kind,
        steps=steps,
        source=reading.source,
        risk=proposal.risk,
        confidence=proposal.confidence,
        priority=proposal.priority,
        summary=proposal.summary,
        cost=cost,
    )


def _refuse_secret(secret: str | None, item: Json, steps: Sequence[Step]) -> None:
    """I11. Escapes are resolved first: in the item by reading it, in arguments by reading them."""
    if secret is None:
        return
    said = json.dumps([item, *(step.args for step in steps)], ensure_ascii=False)
    if secret in said or json.dumps(secret)[1:-1] in said:
        raise UnusableError("holds a secret")
