"""Which model reads a task: a small one first, a stronger one where that is worth its price, and always for a reason.

Risk only rises on the way (I5): of two readings the higher claim counts. A plan that its last reader is unsure of never
runs by itself: its risk is at least high, whether a stronger model could not be had or was unsure itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.history import bound_steps, has_failed, kept_steps
from common.analysis.packs.asking import Packs
from common.config import Settings
from common.core.spending import Standing
from common.core.task import Risk, highest
from common.ports import Answer, CallReason, NotAnswered, Question

Why = Literal[CallReason.CONFIDENCE, CallReason.STAKES, CallReason.FAILED_BEFORE]
GRAVEST: Final[tuple[Why, ...]] = (CallReason.FAILED_BEFORE, CallReason.STAKES, CallReason.CONFIDENCE)
# What a stronger model says as a reading, whatever it costs the task; anything else it says is only that it could not.
BELIEVED: Final = frozenset({"needs_person", "refused_by_model"})
# It was not even asked, or is not there: the small one may still be.
NOT_HAD: Final = frozenset({"over_budget", "unknown_price", "unknown_model", "key_not_permitted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """Who reads first, who reads again, and when. `strong` empty: nobody reads again."""

    small: str
    strong: str = ""
    escalate_below: float

    @classmethod
    def of(cls, settings: Settings) -> Tiers:
        """As the settings say: a model is not stronger than itself."""
        strong = "" if settings.strong_model == settings.model else settings.strong_model
        return cls(small=settings.model, strong=strong, escalate_below=settings.escalate_below)


class Cascade:
    """An Analyzer of two models."""

    def __init__(
        self,
        packs: Packs,
        tiers: Tiers,
        catalogue: Catalogue,
        is_ready: Callable[[], bool],
        saving: Callable[[UUID], bool],
    ) -> None:
        """`is_ready`: whether there is somebody to ask. `saving`: whether a workspace's money nears its limit."""
        self._packs = packs
        self._tiers = tiers
        self._catalogue = catalogue
        self._is_ready = is_ready
        self._saving = saving

    @property
    def has_model(self) -> bool:
        """See Analyzer."""
        return self._is_ready()

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Nothing is known without asking."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """See Analyzer. Whatever is to be read again of these questions shares calls, like the first readings."""
        if not questions:
            return []
        tiers = self._tiers
        # Known before anything is paid: where the database does not answer, no reading is lost with it.
        saving = tiers.strong != "" and self._is_saving(questions[0])
        fresh = [place for place, q in enumerate(questions) if not (tiers.strong and has_failed(q.task))]
        small = self._ask(questions, fresh, tiers.small, questions[0].reason)
        why = [
            why_stronger(question, small.get(place), self._catalogue, tiers, saving=saving)
            for place, question in enumerate(questions)
        ]
        again = [place for place, reason in enumerate(why) if reason is not None]
        # A shared call has the gravest of its tasks' reasons.
        gravest = next((reason for reason in GRAVEST if reason in why), CallReason.CONFIDENCE)
        strong = self._ask(questions, again, tiers.strong, gravest)
        unread = [place for place, said in strong.items() if place not in small and _was_not_had(said)]
        small |= self._ask(questions, unread, tiers.small, CallReason.FAILED_BEFORE)
        return [
            settled(_of_both(small.get(place), strong.get(place), why[place]), tiers.escalate_below, saving=saving)
            for place in range(len(questions))
        ]

    def _is_saving(self, question: Question) -> bool:
        """As whoever asks has seen it in its claim; else it is looked at."""
        if question.standing is None:
            return self._saving(question.task.workspace)
        return question.standing is not Standing.NORMAL

    def _ask(
        self, questions: Sequence[Question], places: Sequence[int], model: str, reason: CallReason
    ) -> dict[int, Answer | NotAnswered]:
        """What a model says of some of them, by their places."""
        said = self._packs.ask([questions[place] for place in places], model, reason) if places else []
        return dict(zip(places, said, strict=True))


def why_stronger(
    question: Question,
    said: Answer | NotAnswered | None,
    catalogue: Catalogue,
    tiers: Tiers,
    *,
    saving: bool,
) -> Why | None:
    """Why the strong model should read a task (again); None: it need not.

    Args:
        question: the task, under the settings of this moment; the threshold plays no part, since answers are reused
            under others.
        said: what the small model said; None: a plan failed before, and it is not asked.
        catalogue: what the actions say of their arguments.
        tiers: whether there is a strong model, and below which confidence it is asked.
        saving: money nears its limit: a doubt alone is not worth a call.
    """
    if not tiers.strong:
        return None
    if said is None:
        return CallReason.FAILED_BEFORE
    if isinstance(said, Answer) and _stakes(question, said, catalogue).rank >= Risk.HIGH.rank:
        return CallReason.STAKES
    return CallReason.CONFIDENCE if is_unsure(said, tiers.escalate_below) and not saving else None


def is_unsure(said: Answer | NotAnswered, below: float) -> bool:
    """Whether its reader says so. Rules are never unsure, and a failure is no doubt."""
    return said.confidence is not None and said.confidence < below


def joined(small: Answer | NotAnswered, strong: Answer | NotAnswered, why: Why | None) -> Answer | NotAnswered:
    """One reading of two: the strong model's, or the small one's at a high risk if that could not be had.

    Used rather than deferred: it is paid for, a person looks at it, and asking again later would be paid for again.
    A check is the small one's call, whoever has the last word.
    """
    cost, call = small.cost + strong.cost, small.call
    if isinstance(strong, Answer):
        claimed = small.risk if isinstance(small, Answer) else None
        risk = highest(strong.risk or Risk.LOW, claimed or Risk.LOW)
        return replace(strong, risk=risk, cost=cost, escalated=why, call=call)
    if strong.failure.code in BELIEVED or not isinstance(small, Answer):
        return replace(strong if strong.failure.code in BELIEVED else small, cost=cost, call=call)
    return replace(small, risk=highest(small.risk or Risk.LOW, Risk.HIGH), cost=cost, provisional=True)


def settled(said: Answer | NotAnswered, below: float, *, saving: bool = False) -> Answer | NotAnswered:
    """The last word: a plan that its reader is unsure of is for a person to look at.

    `saving`: nobody stronger was asked for want of money, so it is not to be remembered.
    """
    if not isinstance(said, Answer) or not is_unsure(said, below):
        return said
    wanted = saving and said.escalated is None
    return replace(said, risk=highest(said.risk or Risk.LOW, Risk.HIGH), provisional=said.provisional or wanted)


def _was_not_had(said: Answer | NotAnswered) -> bool:
    return isinstance(said, NotAnswered) and said.failure.code in NOT_HAD


def _of_both(
    small: Answer | NotAnswered | None, strong: Answer | NotAnswered | None, why: Why | None
) -> Answer | NotAnswered:
    if small is not None:
        return small if strong is None else joined(small, strong, why)
    if strong is None:
        raise AssertionError("each is asked about once at least")
    return replace(strong, escalated=why) if isinstance(strong, Answer) else strong


def _stakes(question: Question, said: Answer, catalogue: Catalogue) -> Risk:
    """What policy would say of its plan for this task: with the values of its inputs, which the model never saw."""
    task = question.task
    steps = bound_steps(task, said.steps, catalogue)
    return catalogue.assess((*kept_steps(task), *steps), task.request, question.policy, claimed=said.risk).risk
