"""Plans and tasks for the tests of the catalogue, and what it says of them."""

from __future__ import annotations

from typing import ClassVar

from common.actions.contract import Action, Args, Context, Done, Known, Lang, Outcome
from common.core.policy import Policy
from common.core.task import Effect, Reason
from tests.unit.actions_stand_in import step

PAGE = step("http.request", {"url": "https://api.example.com/price"}, "page")


class Fragile(Action[Args]):
    """A plug-in that fails wherever it can."""

    name: ClassVar[str] = "fragile"
    args_model: ClassVar[type[Args]] = Args

    def effect(self, args: Args, policy: Policy) -> Effect:  # noqa: ARG002 - the contract's
        """See Action."""
        return Effect.NONE

    def floors(self, args: Args, known: Known) -> tuple[Reason, ...]:
        """See Action."""
        raise RuntimeError(args, known)

    def targets(self, args: Args) -> frozenset[str]:
        """See Action."""
        raise RuntimeError(args)

    def summary(self, args: Args, lang: Lang) -> str:  # noqa: ARG002 - the contract's
        """See Action."""
        return "fragile"

    def run(self, args: Args, ctx: Context) -> Outcome:  # noqa: ARG002 - the contract's
        """See Action."""
        return Done()
