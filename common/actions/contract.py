"""What an action is. An action's file imports pydantic and this module only; its means come in `Context`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from common.core.after_step import Done, NotDone, Outcome, Unknown
from common.core.policy import Policy
from common.core.task import Effect, Json, Lang, Reason, Risk, Task
from common.i18n import t
from common.ports import HttpFailure, HttpRequest, HttpResponse

__all__ = [
    "Action", "Args", "Context", "Done", "Effect", "Generated", "HttpFailure", "HttpRequest", "HttpResponse", "Json",
    "Known", "Lang", "NotDone", "Outcome", "Policy", "Reason", "Risk", "Unknown", "Writing",
    "control", "data", "is_ref", "t",
]  # fmt: skip

REF: Final = "$ref"


def is_ref(value: object) -> bool:
    """Whether a JSON value is a reference to something not known yet."""
    return isinstance(value, dict) and REF in value


def control(default: Any = ..., /, **options: Any) -> Any:  # noqa: ANN401 - pydantic's Field is typed so
    """A field that decides what is done and to whom: method, host, path, recipient, key. Never a `$ref` to a result."""
    return Field(default, json_schema_extra={"x-aiw": "control"}, **options)


def data(default: Any = ..., /, **options: Any) -> Any:  # noqa: ANN401 - pydantic's Field is typed so
    """A field that is only content: body, query values, message, prompt. May be, or hold, a `$ref` to a result."""
    return Field(default, json_schema_extra={"x-aiw": "data"}, **options)


class Args(BaseModel):
    """Base of an action's argument model. Data fields are typed so that a `$ref` object passes, too."""

    model_config = ConfigDict(frozen=True, extra="forbid")


A = TypeVar("A", bound=Args)


class Known(NamedTuple):
    """What a floor may depend on besides the arguments."""

    policy: Policy
    text: str  # the requester's own words, in which a host may be named; empty for derived text
    result_fields: frozenset[str]  # argument fields that hold, or held before they were resolved, a `$ref` to a result


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote for `claude.generate`."""

    text: str
    json: Json = None


@dataclass(frozen=True, slots=True)
class Writing:
    """What a model is asked to write at most: bytes that bound the tokens of the question, tokens of the answer."""

    prompt_bytes: int
    schema_bytes: int
    max_tokens: int


class Model(Protocol):
    """A model that writes for `claude.generate`, behind the budget door."""

    def generate(
        self, task: Task, prompt: str, max_tokens: int, schema: Mapping[str, Json] | None
    ) -> Generated | NotDone | Unknown:
        """What it wrote, or why not."""


class Context(Protocol):
    """The means of an action while it runs."""

    @property
    def policy(self) -> Policy:
        """The workspace's settings."""

    @property
    def idempotency_key(self) -> str:
        """What the far side may recognise a repetition by."""

    @property
    def lang(self) -> Lang:
        """The task's language."""

    def remaining(self) -> float:
        """Seconds until the attempt must have ended, on the monotonic clock; never below 0."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """An outbound request within the remaining time. HttpFailure."""

    def function_url(self, name: str) -> str:
        """Where a listed function is."""

    def generate(
        self, prompt: str, max_tokens: int, schema: Mapping[str, Json] | None
    ) -> Generated | NotDone | Unknown:
        """Ask the model, behind the budget door."""


class Action(ABC, Generic[A]):
    """One kind of step."""

    name: ClassVar[str]
    args_model: ClassVar[type[Args]]

    @abstractmethod
    def effect(self, args: A, policy: Policy) -> Effect:
        """What repeating it would do."""

    @abstractmethod
    def floors(self, args: A, known: Known) -> tuple[Reason, ...]:
        """Why it is how risky (rules by id); an empty tuple is low. Refusals of targets are `refusals`' business."""

    def refusals(self, args: A, policy: Policy) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - most refuse nothing
        """(field, message key) of arguments that are never allowed: unlisted functions and channels, our own parts."""
        return ()

    def targets(self, args: A) -> frozenset[str]:  # noqa: ARG002 - most actions reach nobody
        """Whom it reaches, and with which credential: a replan that adds one waits for a person."""
        return frozenset()

    def essence(self, args: A) -> Json:
        """What two steps share if they are the same effect (I6); a waiting time or an expectation is no part of it."""
        return args.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def delay(self, args: A, now: datetime) -> timedelta | None:  # noqa: ARG002 - only `wait` waits
        """How long the task sleeps before this step is done; None: it does not."""
        return None

    def writes(self, args: A) -> Writing | None:  # noqa: ARG002 - most cost nothing
        """What it asks a model for, and so costs money by; None: nothing."""
        return None

    def timeout(self, args: A) -> timedelta:  # noqa: ARG002 - most actions have the default
        """How long an attempt may take."""
        return timedelta(seconds=30)

    @abstractmethod
    def summary(self, args: A, lang: Lang) -> str:
        """The sentence that a person approves: made by code from the arguments, never Claude's words."""

    @abstractmethod
    def run(self, args: A, ctx: Context) -> Outcome:
        """Do it. May raise anything: the caller takes what it did not foresee for Unknown (I6)."""
