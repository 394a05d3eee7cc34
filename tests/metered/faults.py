"""What goes wrong, as told: each fault some times, then no more."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.metered.asked import RefusedError

Kind = Literal[
    "status",  # `status` without having read anything; `billed`: after the model has worked
    "slow",  # answered after `seconds`
    "cut_off",  # half of the answer's bytes, then the connection is gone; billed
    "reset",  # all is done and billed, and the connection is gone before a byte of the answer
    "malformed",  # 200 with a body that is no JSON; billed
    "refusal",  # the model refuses; billed
    "max_tokens",  # cut at half of the answer; billed
    "no_usage",  # a message without `usage`; billed
    "negative_usage",  # a message whose `usage` is below nothing; billed as it really was
    "absurd_usage",  # a message whose `usage` is 10^12 tokens; billed as it really was
    "says",  # the model says `text`, whatever was asked; billed
]
NAMES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip


class Fault(BaseModel):
    """One fault, as it is also written over HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    on: Literal["messages", "batches", "results"] = "messages"  # which requests it is for; `batches`: creating one
    times: int = Field(default=1, ge=1)
    status: int = Field(default=529, ge=300, le=599)
    message: str = "as told"
    code: str | None = None  # in the error's details, e.g. enforced_spend_limit_reached
    retry_after: float | None = None
    seconds: float = 0
    billed: bool = False
    text: str = ""

    @property
    def unread(self) -> bool:
        """Whether nothing is read, done or billed."""
        return self.kind == "status" and not self.billed

    def as_error(self) -> RefusedError:
        """What a `status` says."""
        return RefusedError(self.status, NAMES.get(self.status, "api_error"), self.message, self.code)


class Faults:
    """In the order in which they were told; those for other requests are left for later."""

    def __init__(self) -> None:
        """None yet."""
        self._list: list[tuple[int, Fault]] = []

    def add(self, *faults: Fault) -> None:
        """After those already told."""
        self._list += [(fault.times, fault) for fault in faults]

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._list.clear()

    def take(self, on: str) -> Fault | None:
        """What goes wrong with a request that comes in now."""
        for index, (left, fault) in enumerate(self._list):
            if fault.on == on:
                self._list[index : index + 1] = [(left - 1, fault)] if left > 1 else []
                return fault
        return None
