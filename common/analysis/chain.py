"""Who reads a task: the rules, which are free, then Claude if there is a key, else a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated, NotDone, Unknown
from common.analysis.asking import Claude
from common.analysis.budget import BudgetDoor
from common.analysis.claude import ClaudeClient
from common.analysis.key import Key
from common.analysis.rules import Rules
from common.config import Settings
from common.core.task import Json, Task
from common.ports import Answer, Budget, NotAnswered, Question


class Chain:
    """An Analyzer of two. The key is looked at before each question: adding one takes effect at once."""

    def __init__(self, rules: Rules, claude: Claude, client: ClaudeClient) -> None:
        """`rules` first, since they cost nothing and are certain or silent. `client`: only to be closed."""
        self._rules = rules
        self._claude = claude
        self.close: Callable[[], None] = client.close

    @property
    def has_model(self) -> bool:
        """Whether there is a model to ask now."""
        return self._claude.has_model

    def analyze(self, question: Question) -> Answer | NotAnswered:
        """A first reading by the rules, else Claude. A task whose plan failed is thought over by Claude alone."""
        has_model = self.has_model
        if has_model and question.task.plan is not None:
            return self._claude.analyze(question)
        found = self._rules.analyze(question)
        if isinstance(found, Answer) or not has_model:
            return found
        return self._claude.analyze(question)

    def generate(
        self, task: Task, prompt: str, max_tokens: int, schema: Mapping[str, Json] | None
    ) -> Generated | NotDone | Unknown:
        """For the action `claude.generate`; NotDone `no_model` without a key."""
        if not self.has_model:
            return NotDone("no_model", transient=False)
        return self._claude.generate(task, prompt, max_tokens, schema)


def chain(settings: Settings, budget: Budget, catalogue: Catalogue, now: Callable[[], datetime]) -> Chain:
    """Wire it. Opens nothing: the provider's client is made at the first question."""
    key = Key(settings.anthropic_api_key, settings.secrets_dir)
    client = ClaudeClient(key, settings.anthropic_base_url)
    return Chain(Rules(now), Claude(BudgetDoor(budget, client), key, settings.model, catalogue, now), client)
