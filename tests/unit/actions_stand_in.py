"""What the tests of actions share: a context that answers as it is told, and short ways to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated, Lang, NotDone, Policy, Unknown
from common.core.errors import FieldError, Invalid
from common.core.policy import Function, Host
from common.core.task import Json, Origin, Request, Step
from common.ports import HttpFailure, HttpRequest, HttpResponse

NOW: Final = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
CATALOGUE: Final = Catalogue.shipped(own=["aiw.example.com:443", "127.0.0.1:5432", "::1:6379", "/run/redis:0"])
POLICY: Final = Policy(
    hosts=(
        Host(name="localhost", port=5432),
        Host(name="::1", port=5432),
        Host(name="127.0.0.1", port=6379),
        Host(name="api.example.com"),
        Host(name="127.0.0.1", port=9100),
        Host(name="localhost"),
        Host(name="pay.example.com", idempotent=True),
        Host(name="gateway", port=8080),
    ),
    functions={
        "ocr": Function(url="http://127.0.0.1:9200/ocr"),
        "index": Function(url="http://127.0.0.1:9300", idempotent=True),
    },
    channels={"ops": "https://hooks.example.com/T1/secret"},
)


def step(action: str, args: Mapping[str, Json], step_id: str = "a") -> Step:
    """A step, unread."""
    return Step(id=step_id, action=action, args=dict(args))


def get(url: str, **more: Json) -> Step:
    """A GET."""
    return step("http.request", {"url": url, **more})


def post(url: str, **more: Json) -> Step:
    """A POST."""
    return step("http.request", {"method": "POST", "url": url, **more})


def asked(text: str | None = None, origin: Origin = Origin.PERSON) -> Request:
    """A request in these words."""
    return Request(text=text, requested_by=UUID(int=1), origin=origin)


def read(*steps: Step, inputs: Mapping[str, Json] | None = None) -> tuple[Step, ...]:
    """The steps as they would be stored."""
    return CATALOGUE.read(steps, inputs or {}, NOW)


def faults(*steps: Step, inputs: Mapping[str, Json] | None = None) -> tuple[FieldError, ...]:
    """What reading them complains of; nothing, if nothing."""
    try:
        CATALOGUE.read(steps, inputs or {}, NOW)
    except Invalid as exc:
        return exc.errors
    return ()


@dataclass
class StandIn:
    """A Context: `answer` is what comes back, `sent` what went out."""

    answer: HttpResponse | HttpFailure | Exception = field(
        default_factory=lambda: HttpResponse(status=200, headers={}, body=b"", url="")
    )
    written: Generated | NotDone | Unknown = field(default_factory=lambda: Generated("text"))
    policy: Policy = POLICY
    idempotency_key: str = "key-1"
    lang: Lang = "en"
    left: float = 12.5
    sent: list[HttpRequest] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)

    def remaining(self) -> float:
        """See Context."""
        return self.left

    def send(self, request: HttpRequest) -> HttpResponse:
        """See Context."""
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def function_url(self, name: str) -> str:
        """See Context."""
        return self.policy.functions[name].url

    def generate(
        self,
        prompt: str,
        max_tokens: int,  # noqa: ARG002 - the contract's
        schema: Mapping[str, Json] | None,  # noqa: ARG002 - the contract's
    ) -> Generated | NotDone | Unknown:
        """See Context."""
        self.prompts.append(prompt)
        return self.written


def answered(status: int, body: bytes = b"", content_type: str = "application/json") -> HttpResponse:
    """An answer of the far side."""
    return HttpResponse(status=status, headers={"content-type": content_type}, body=body, url="http://127.0.0.1:9100/")
