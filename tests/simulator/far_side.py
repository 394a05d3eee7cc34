"""The world outside: it counts every effect, and answers as the history says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import ClassVar, Literal
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.actions.contract import (
    Action,
    Args,
    Context,
    Done,
    Effect,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    Json,
    Known,
    Lang,
    NotDone,
    Outcome,
    Policy,
    Reason,
    Risk,
    Unknown,
    control,
    data,
)
from common.actions.value import Value
from common.actions.wait import Wait

SECONDS = 70  # longer than a lease: the gate has to extend it


class ActArgs(Args):
    """An effect of a known kind, with a known floor."""

    what: str = control(description="names the effect; one of its kind in a history")
    effect: Literal["idempotent", "non_idempotent"] = control()
    risk: Literal["low", "medium", "high", "critical"] = control("low")
    note: Json = data(None)


class Act(Action[ActArgs]):
    """Sends one request to the far side."""

    name: ClassVar[str] = "act"
    args_model: ClassVar[type[Args]] = ActArgs

    def effect(self, args: ActArgs, policy: Policy) -> Effect:  # noqa: ARG002 - as the arguments say
        """As the arguments say."""
        return Effect(args.effect)

    def floors(self, args: ActArgs, known: Known) -> tuple[Reason, ...]:  # noqa: ARG002 - as the arguments say
        """As the arguments say."""
        return () if args.risk == "low" else (Reason(rule="said", floor=Risk(args.risk)),)

    def timeout(self, args: ActArgs) -> timedelta:  # noqa: ARG002 - the same for all
        """See SECONDS."""
        return timedelta(seconds=SECONDS)

    def summary(self, args: ActArgs, lang: Lang) -> str:  # noqa: ARG002 - nobody reads it here
        """What a person approves."""
        return args.what

    def run(self, args: ActArgs, ctx: Context) -> Outcome:
        """As `http.request` does: aborted at its time, truthful where the far side surely did nothing."""
        if ctx.remaining() <= 0:
            return NotDone("timeout", transient=True)
        headers = {"Idempotency-Key": ctx.idempotency_key, "Effect": args.effect}
        try:
            answer = ctx.send(HttpRequest(method="POST", url=args.what, headers=headers, timeout=ctx.remaining()))
        except HttpFailure as exc:
            return Unknown(exc.code) if exc.sent else NotDone(exc.code, transient=True)
        match answer.status:
            case 503:
                return NotDone("busy", transient=True, status=503)
            case 400:
                return NotDone("refused", transient=False, status=400)
            case 207:
                return Done("x" * 5000)
            case _:
                return Done({"receipt": args.what})


class Actions(Catalogue):
    """The actions of every history. What a model is told of them is made once, and not in each process anew."""

    def schemas(self) -> dict[str, dict[str, Json]]:
        """See Catalogue."""
        return _schemas()


@lru_cache(maxsize=1)
def _schemas() -> dict[str, dict[str, Json]]:
    return Catalogue((Value(), Wait(), Act())).schemas()


@lru_cache(maxsize=8)
def actions(kind: type[Actions]) -> Actions:
    """Made once: it remembers nothing of a history."""
    return kind((Value(), Wait(), Act()))


@dataclass(slots=True)
class FarSide:
    """An `Http` that is the whole world."""

    now: Callable[[], float]
    point: Callable[[], None]  # something may happen here
    happened: Callable[[str, str, Effect], None]  # what, key, effect: the oracle looks at it
    moods: list[str] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)  # by what
    keys: dict[str, set[str]] = field(default_factory=dict)

    def send(self, request: HttpRequest, policy: Policy) -> HttpResponse:  # noqa: ARG002 - everything is reachable here
        """See Http."""
        aborted_at = self.now() + request.timeout
        self.point()
        if self.now() > aborted_at:
            raise HttpFailure("timeout", sent=True)
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "busy":
            return _answer(503, request)
        if mood == "refuse":
            return _answer(400, request)
        if mood == "reset_before":
            raise HttpFailure("reset", sent=True)
        key, effect = request.headers["Idempotency-Key"], Effect(request.headers["Effect"])
        self.happened(request.url, key, effect)
        if effect is not Effect.IDEMPOTENT or key not in self.keys.setdefault(request.url, set()):
            self.effects[request.url] += 1
        self.keys.setdefault(request.url, set()).add(key)
        self.point()
        if mood == "reset_after":
            raise HttpFailure("reset", sent=True)
        return _answer(207 if mood == "large" else 200, request)


def _answer(status: int, request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=status, headers={}, body=b"", url=request.url)


def name_of(task: UUID, step: str) -> str:
    """What a step's effect is called at the far side."""
    return f"{task.hex[-12:]}.{step}"
