"""Every action by name, and the only way that others touch one: plans are read, assessed, worded and run here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from common import api
from common.actions.assessing import Compared, added_targets, aims, comparable, floors, repeated
from common.actions.claude_generate import ClaudeGenerate
from common.actions.contract import Action, Context, Effect, NotDone, Outcome, Unknown, t
from common.actions.costing import Costing, Quote
from common.actions.function_invoke import FunctionInvoke
from common.actions.http_request import HttpRequestAction
from common.actions.notify import Notify
from common.actions.reading import Reader, field_errors
from common.actions.value import Value
from common.actions.wait import Wait
from common.actions.words import described
from common.core import references
from common.core.errors import FieldError, Invalid
from common.core.policy import Assessment, Policy, decide
from common.core.references import Unresolvable
from common.core.task import Json, Lang, Plan, PlanSource, Reason, Request, Risk, Step, Task, highest

__all__ = ["Catalogue", "Unresolvable"]

POINTER: Final = "#/plan"
UNSAID: Final = frozenset({""})  # no argument is called so
TIMEOUT_UNREADABLE: Final = timedelta(seconds=30)  # nothing will be sent; it only has to be some time


class Catalogue:
    """The installed actions."""

    def __init__(self, actions: Sequence[Action[Any]], quote: Quote | None = None) -> None:
        """`actions`: each name once. `quote`: what writing costs at most; None: nobody here would pay for it."""
        self._actions: Mapping[str, Action[Any]] = {action.name: action for action in actions}
        self._reader = Reader(self._actions)
        self._costing = Costing(self._actions, self._reader, quote)

    @classmethod
    def shipped(cls, own: Iterable[str] = (), quote: Quote | None = None) -> Catalogue:
        """The actions that come with the product.

        Args:
            own: host:port of our own parts (front door, gateway, database, brokers, bucket): never a target of a plan.
            quote: as in the constructor.
        """
        return cls((Value(), Wait(), HttpRequestAction(own), FunctionInvoke(), Notify(), ClaudeGenerate()), quote)

    # --- reading ----------------------------------------------------------------------------------------------------

    def read(
        self,
        steps: Sequence[api.PlanStep | Step],
        inputs: Mapping[str, Json],
        now: datetime,
        *,
        pointer: str = POINTER,
    ) -> tuple[Step, ...]:
        """Steps as they are stored: `inputs` and `now` filled in, everything else exactly as it was given.

        Args:
            steps: as given, in order.
            inputs: of the request.
            now: what `{"$ref": "now"}` becomes, with a zone.
            pointer: where the plan stands in the request, for the pointers of faults.

        Raises:
            Invalid: with every fault: ids, unknown actions, arguments, references, values that JSON cannot hold.
        """
        understood = self._reader.read(steps, inputs, now.astimezone(UTC), pointer)
        return tuple([read.step for read in understood])

    def refuse(self, steps: Sequence[Step], policy: Policy, pointer: str = POINTER) -> None:
        """Invalid, with every target that no approval can allow: unlisted functions and channels, our own parts."""
        errors = []
        for index, step in enumerate(steps):
            read = self._reader.known(step)
            for field, key in read.action.refusals(read.args, policy) if read is not None else ():
                errors.append(FieldError(f"{pointer}/steps/{index}/args/{field}", t(key, "en"), t(f"{key}.hint", "en")))
        if errors:
            raise Invalid(tuple(errors))

    # --- assessing --------------------------------------------------------------------------------------------------

    def assess(
        self,
        steps: Sequence[Step],
        request: Request,
        policy: Policy,
        *,
        claimed: Risk | None = None,
        earlier: Plan | None = None,
        kept: Sequence[Step] = (),
    ) -> Assessment:
        """What policy says of a plan (I5): never raises, what cannot be read is high.

        Args:
            steps: of the whole plan, `kept` ones in front included.
            request: what was asked; its own words may name hosts, unless they came from results.
            policy: the settings now.
            claimed: the risk that the model claimed; it can only raise.
            earlier: the plan before, or this one as stored; it is never outranked, and what is new beside it asks.
            kept: steps that are done or unknown; another one equal to one of them asks (I6).
        """
        reasons = [reason for step in steps for reason in self._floors(step, request, policy)]
        if kept or earlier is not None:
            compared = [self._compared(step, request, policy) for step in steps]
            reasons += repeated(compared, [self._compared(step, request, policy) for step in kept])
            if earlier is not None:
                reasons += added_targets(compared, [self._compared(step, request, policy) for step in earlier.steps])
        return decide(reasons, policy, claimed=claimed, earlier=earlier, origin=request.origin)

    def assess_resolved(self, task: Task, step: Step, resolved: Step, policy: Policy) -> Assessment:
        """The whole plan with the values of one step filled in: what the gate compares with what is on record.

        What asked for a person when the plan was decided asks still: it is not computed anew from the steps.

        Args:
            task: with its plan.
            step: as stored; tells which fields came from results.
            resolved: the same with their values.
            policy: the settings now.
        """
        plan = task.plan
        if plan is None:
            return decide(
                [Reason(rule="unreadable", step=step.id, floor=Risk.HIGH)], policy, origin=task.request.origin
            )
        reasons: list[Reason] = []
        for other in plan.steps:
            if other.id == step.id:
                reasons += self._floors(resolved, task.request, policy, _result_fields(step))
            else:
                reasons += self._floors(other, task.request, policy)
        reasons += [reason for reason in plan.reasons if reason.asks]
        return decide(reasons, policy, claimed=_claimed(plan), earlier=plan, origin=task.request.origin)

    def reassess(self, task: Task, policy: Policy) -> Assessment:
        """The present plan under a newer policy: floors anew; claims, earlier risks and what asked for a person stay.

        Of a plan whose results were filled in for an approver nobody can tell any more which values came from results,
        so its risk never falls.
        """
        plan = task.plan
        if plan is None:
            return decide([Reason(rule="unreadable", floor=Risk.HIGH)], policy, origin=task.request.origin)
        reasons = [reason for step in plan.steps for reason in self._floors(step, task.request, policy)]
        reasons += [reason for reason in plan.reasons if reason.asks or reason.rule == "was_riskier"]
        earlier = plan if plan.source == PlanSource.RESOLVED else None
        return decide(reasons, policy, claimed=_claimed(plan), earlier=earlier, origin=task.request.origin)

    def unbounded(self, step: Step) -> bool:
        """Whether a value from a result is not bounded by the plan, so that an approver has to see it first."""
        try:
            return references.unbounded(step.args)
        except Invalid:
            return True

    # --- money ------------------------------------------------------------------------------------------------------

    def cost_cap(self, steps: Sequence[Step], task: Task | None = None, *, anew: bool = False) -> int | None:
        """What executing a task may cost altogether once this is its plan, in nanodollars; None: nothing.

        Args:
            steps: of the new plan.
            task: with the plan before it, if there was one. Once that has begun it may have cost all that it was
                allowed to, which holds for steps that the two have in common, too.
            anew: that was not enough: what is not done yet is quoted once more.
        """
        return self._costing.cap(steps, task, anew=anew)

    # --- running ----------------------------------------------------------------------------------------------------

    def resolve(self, step: Step, outputs: Mapping[str, Json]) -> Step:
        """The step with results filled in, and valid. Unresolvable: a permanent failure, with its code."""
        read = self._reader.known(step)
        if read is not None and read.refs == ():
            return step
        try:
            found = read.refs if read is not None and read.refs is not None else references.find(step.args)
            args = references.resolve(step.args, found, outputs)
        except Invalid as exc:
            raise Unresolvable("ref_unusable", exc.errors[0].pointer, exc.errors[0].detail) from exc
        if args == step.args:
            return step
        resolved = step.model_copy(update={"args": args})
        action = self._actions.get(step.action)
        if action is not None:
            try:
                self._reader.understand(action, resolved)
            except ValueError as exc:
                first = field_errors(action, exc, "")[0]
                raise Unresolvable("ref_unusable", first.pointer, first.detail) from exc
        return resolved

    def installed(self, step: Step) -> bool:
        """Whether there is such an action here."""
        return step.action in self._actions

    def effect(self, step: Step, policy: Policy) -> Effect:
        """What repeating it would do; of what cannot be read, the worst."""
        read = self._reader.known(step)
        return Effect.NON_IDEMPOTENT if read is None else read.action.effect(read.args, policy)

    def aims(self, step: Step) -> frozenset[str]:
        """Whom a step reaches, and the words that decide what it does there: what readings of one task must share."""
        return aims(self._reader.known(step))

    def timeout(self, step: Step) -> timedelta:
        """How long an attempt may take."""
        read = self._reader.known(step)
        return TIMEOUT_UNREADABLE if read is None else read.action.timeout(read.args)

    def wait_of(self, step: Step, now: datetime) -> timedelta | None:
        """How long the task sleeps before this step may run; None: it does not (only `wait` does)."""
        read = self._reader.known(step)
        return None if read is None else read.action.delay(read.args, now)

    def run(self, step: Step, ctx: Context) -> Outcome:
        """Do it. Never raises: what nobody foresaw is Unknown (I6), by the error's type, never its message (I11)."""
        action = self._actions.get(step.action)
        if action is None:
            return NotDone("not_installed", transient=False, detail=step.action[:100])
        read = self._reader.known(step)
        if read is None or read.result_fields != frozenset():
            return NotDone("invalid_arguments", transient=False)
        try:
            if refused := action.refusals(read.args, ctx.policy):
                return NotDone("refused_target", transient=False, detail=t(refused[0][1], ctx.lang))
            return action.run(read.args, ctx)
        except Exception as exc:  # noqa: BLE001 - actions are plug-ins and may raise anything
            return Unknown("unforeseen", detail=type(exc).__name__)

    # --- words ------------------------------------------------------------------------------------------------------

    def sentence(self, step: Step, lang: Lang) -> str:
        """The sentence that a person approves, made by code from the arguments; results may still be to come."""
        read = self._reader.known(step)
        if read is None:
            return t("say.unreadable", lang, action=step.action[:64])
        return read.action.summary(read.args, lang)

    def describe(self, lang: Lang) -> list[api.ActionView]:
        """The catalogue for people and programs."""
        return [described(name, schema, lang) for name, schema in self.schemas().items()]

    def schemas(self) -> dict[str, dict[str, Json]]:
        """The arguments of every action as JSON Schema, control and data marked (`x-aiw`)."""
        return {name: action.args_model.model_json_schema(by_alias=True) for name, action in self._actions.items()}

    # --- within -----------------------------------------------------------------------------------------------------

    def _floors(
        self, step: Step, request: Request, policy: Policy, result_fields: frozenset[str] | None = UNSAID
    ) -> tuple[Reason, ...]:
        """Why one step is how risky. What cannot be read, or is refused as a target, is high (I5).

        `result_fields`: the arguments that held results before they were filled in; None: unreadable.
        """
        read = self._reader.known(step)
        if read is not None and result_fields is UNSAID:
            result_fields = read.result_fields
        return floors(step, read, request, policy, result_fields)

    def _compared(self, step: Step, request: Request, policy: Policy) -> Compared:
        """What of a step is compared between plans."""
        floor = highest(*(reason.floor for reason in self._floors(step, request, policy)))
        read = self._reader.known(step)
        return comparable(step, read, floor, whole=read is not None and read.result_fields == frozenset())


def _result_fields(step: Step) -> frozenset[str] | None:
    """The arguments that hold results; None if the references themselves cannot be read."""
    try:
        return references.step_fields(step.args)
    except Invalid:
        return None


def _claimed(plan: Plan) -> Risk | None:
    """What the model claimed when the plan was decided, where that was more than the floor."""
    return next((reason.floor for reason in plan.reasons if reason.rule == "model_says"), None)
