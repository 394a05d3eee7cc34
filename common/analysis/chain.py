"""Who reads a task: the rules, which are free, then a model if there is a key, else a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated, NotDone, Unknown
from common.analysis.breaker import DOWN, Breaker
from common.analysis.cache.cached import Cached
from common.analysis.cache.shelf import Memory, Shelf
from common.analysis.cascade import Cascade, Tiers
from common.analysis.generate import Writer
from common.analysis.money.door import BudgetDoor, nears_limit
from common.analysis.money.prices import Prices
from common.analysis.money.quote import Quote
from common.analysis.packs.asking import Packing, Packs, Source
from common.analysis.prompts import ANALYSIS
from common.analysis.providers.registry import Provider, provider
from common.analysis.rules.reader import Rules
from common.analysis.warm import Warm
from common.config import Settings
from common.core.task import Failure, Json, Task
from common.ports import Analyzer, Answer, Budget, NotAnswered, Question


class Chain:
    """An Analyzer of two, and what writes. The key is looked at before each question: a new one counts at once."""

    def __init__(self, rules: Rules, model: Analyzer, writer: Writer, close: Callable[[], None]) -> None:
        """`rules` first, since they cost nothing and are certain or silent. `close`: drops the connections."""
        self._rules = rules
        self._model = model
        self._writer = writer
        self.close = close

    @property
    def model(self) -> Analyzer:
        """Who is asked after the rules, by itself: what an evaluation measures."""
        return self._model

    @property
    def has_model(self) -> bool:
        """Whether there is a model to ask now."""
        return self._model.has_model

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """By the rules, then whatever the model is known to have said. A plan that failed is not read by the rules."""
        has_model = self.has_model
        by_rules = self._rules.recall(questions)
        found = [None if has_model and q.task.plan else a for q, a in zip(questions, by_rules, strict=True)]
        left = [n for n, answer in enumerate(found) if answer is None]
        if has_model and left:
            for n, known in zip(left, self._model.recall([questions[n] for n in left]), strict=True):
                found[n] = known
        return found

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """A first reading by the rules, else by the model. A task whose plan failed is thought over by it alone."""
        by_rules = self._by_rules(questions)
        if not self.has_model:
            return [_or_waits(q, answer) for q, answer in zip(questions, by_rules, strict=True) if answer is not None]
        left = [n for n, answer in enumerate(by_rules) if not isinstance(answer, Answer)]
        asked = iter(self._model.analyze([questions[n] for n in left]) if left else ())
        return [answer if isinstance(answer, Answer) else next(asked) for answer in by_rules]

    def _by_rules(self, questions: Sequence[Question]) -> list[Answer | NotAnswered | None]:
        """None: not theirs, since they would only say again what failed."""
        has_model = self.has_model
        theirs = [q for q in questions if not (has_model and q.task.plan is not None)]
        read = iter(self._rules.analyze(theirs))
        return [None if has_model and q.task.plan is not None else next(read) for q in questions]

    def generate(
        self, task: Task, prompt: str, max_tokens: int, schema: Mapping[str, Json] | None
    ) -> Generated | NotDone | Unknown:
        """For the action `claude.generate`; NotDone `no_model` without a key."""
        if not self.has_model:
            return NotDone("no_model", transient=False)
        return self._writer.generate(task, prompt, max_tokens, schema)


# What a text that a model was to read waits for. While the key is away, which somebody may be replacing, it still does.
WAITED: Final = DOWN | {"bad_key", "key_not_permitted", "unknown_model", "rate_limited", "spend_limit", "no_model"}
KEY_AGAIN_IN: Final = timedelta(minutes=10)  # as for a key that the provider refuses


def _or_waits(question: Question, answer: Answer | NotAnswered) -> Answer | NotAnswered:
    """The rules' answer; a text that was already waiting for the provider goes to nobody because its key is away."""
    failure = question.task.failure
    if isinstance(answer, Answer) or question.task.plan is not None or failure is None or failure.code not in WAITED:
        return answer
    return NotAnswered(failure=Failure(code="no_model"), again_in=KEY_AGAIN_IN, waiting_for="provider")


def chain_of(
    settings: Settings,
    budget: Budget,
    catalogue: Catalogue,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    memory: Memory | None = None,
) -> Chain:
    """An installation's. Opens nothing: the provider's client is made at the first question. WrongSettingError.

    Args:
        settings: provider, models, packs and cache.
        budget: where money is reserved and booked.
        catalogue: the actions that plans are read against.
        now: the present time, aware; this process's clock serves, since times in a text are a person's.
        memory: where answers are remembered; None: nowhere.
    """
    return chain_over(provider(settings), settings, budget, catalogue, now, memory)


def chain_over(
    asked: Provider,
    settings: Settings,
    budget: Budget,
    catalogue: Catalogue,
    now: Callable[[], datetime],
    memory: Memory | None = None,
) -> Chain:
    """Rules, then what is remembered, then the cascade over packs over the paid door over a provider.

    No call of any purpose goes round the door. Without a `memory`, or with `cache` off, nothing is remembered.
    """
    door = BudgetDoor(budget, asked, Prices.of(settings), settings.strong_model)
    packing = Packing(most=settings.pack_tasks, at_once=settings.analyses_at_once, checks=settings.pack_checks)
    asker = Breaker(Warm(door), now)
    packs = Packs(asker, budget, catalogue, now, Source(asked.source, asked.key.value), packing)
    tiers, quote = Tiers.of(settings), Quote.of(settings)
    cascade = Cascade(packs, tiers, catalogue, lambda: asked.is_ready, partial(nears_limit, budget, quote.one_call))
    writer = Writer(asker, settings.model)

    def close_asking() -> None:
        packs.close()
        asked.close()

    if memory is None or not settings.cache:
        return Chain(Rules(now), cascade, writer, close_asking)
    models = (settings.provider, settings.model, settings.strong_model)
    shelf = Shelf(memory, catalogue, now, models=models, prompt_version=ANALYSIS)

    def close() -> None:
        shelf.close()
        close_asking()

    return Chain(Rules(now), Cached(cascade, shelf, catalogue, settings.cache_checks, budget.differed), writer, close)
