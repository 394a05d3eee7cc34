"""Claude's Message Batches by the official SDK: half the price, answered within a day and mostly within the hour.

Results are read from the path that the API documents, not from the `results_url` that an answer names: the key goes to
no other host. What comes back was written by whoever serves the base URL, and is read with distrust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from common.analysis.batches.provider import Listed, Result, fingerprint
from common.analysis.call import NO_MODEL, Billed, Call, Fault
from common.analysis.providers.claude import ClaudeClient, UnusableSchemaError, fault_of, parameters, reply_of

if TYPE_CHECKING:  # pragma: no cover - for the type checker only
    import anthropic
    import httpx2
    from anthropic.types.messages import MessageBatch
    from anthropic.types.messages.batch_create_params import Request

CREATE_SECONDS: Final = 100.0  # of silence; a batch of a thousand tasks is some megabytes
LOOK_SECONDS: Final = 30.0  # a few hundred bytes; it is looked at again in a minute
RESULTS_SECONDS: Final = 100.0  # as creating: some megabytes
# Requests of a batch: written for an hour a system text costs double, read a tenth. Of two no more than one reads it.
KEPT_FROM: Final = 3
PAGE: Final = 100
LISTED_MOST: Final = 1000  # since a few minutes ago; an account that makes more is not looked through
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NAME: Final = re.compile(r"[a-z_]{1,64}")
# A request that was not answered is not billed.
UNBILLED: Final = {"errored": "batch_errored", "expired": "batch_expired", "canceled": "batch_missing"}


class ClaudeBatches:
    """A BatchProvider, over the connections of the client that asks directly."""

    def __init__(self, client: ClaudeClient) -> None:
        """`client`: whose key, base URL and faults are the same."""
        self._client = client

    @property
    def key(self) -> str | None:
        """See BatchProvider."""
        key = self._client.key.value()
        return None if key is None else fingerprint(key)

    def create(self, asked: Sequence[tuple[str, Call]]) -> str | Fault:
        """See BatchProvider."""
        client = self._client.sdk()
        if client is None:
            return NO_MODEL
        try:
            requests: list[Request] = [
                {"custom_id": name, "params": parameters(call, keep=len(asked) >= KEPT_FROM)} for name, call in asked
            ]
        except UnusableSchemaError:
            return Fault(code="schema_unusable", billed=Billed.NO)
        try:
            made = client.messages.batches.create(requests=requests, timeout=_timeout(CREATE_SECONDS))
        except Exception as exc:  # noqa: BLE001 - each is told apart there
            return fault_of(exc)
        return made.id if _is_id(made.id) else _odd("no id")

    def look(self, provider_id: str) -> Listed | Fault:
        """See BatchProvider."""
        client = self._client.sdk()
        if client is None:
            return NO_MODEL
        try:
            found = client.messages.batches.retrieve(provider_id, timeout=_timeout(LOOK_SECONDS))
        except Exception as exc:  # noqa: BLE001 - each is told apart there
            return fault_of(exc)
        return _listed(found) or _odd("no batch")

    def recent(self, since: datetime) -> list[Listed] | Fault:
        """See BatchProvider."""
        client = self._client.sdk()
        if client is None:
            return NO_MODEL
        try:
            return _recent(client, since)
        except Exception as exc:  # noqa: BLE001 - each is told apart there
            return fault_of(exc)

    def results(self, provider_id: str) -> list[Result] | Fault:
        """See BatchProvider."""
        client = self._client.sdk()
        if client is None:
            return NO_MODEL
        import httpx2  # noqa: PLC0415 - see common/analysis/providers/claude.py

        path = f"/v1/messages/batches/{provider_id}/results"
        try:
            said = client.get(path, cast_to=httpx2.Response, options={"timeout": _timeout(RESULTS_SECONDS)})
            return [_result(line) for line in said.text.split("\n") if line.strip()]
        except Exception as exc:  # noqa: BLE001 - each is told apart there
            return fault_of(exc)

    def cancel(self, provider_id: str) -> Fault | None:
        """See BatchProvider."""
        client = self._client.sdk()
        if client is None:
            return NO_MODEL
        try:
            client.messages.batches.cancel(provider_id, timeout=_timeout(LOOK_SECONDS))
        except Exception as exc:  # noqa: BLE001 - each is told apart there
            return fault_of(exc)
        return None


def _timeout(seconds: float) -> httpx2.Timeout:
    import httpx2  # noqa: PLC0415 - see common/analysis/providers/claude.py

    return httpx2.Timeout(seconds, connect=min(10.0, seconds))


def _recent(client: anthropic.Anthropic, since: datetime) -> list[Listed] | Fault:
    found: list[Listed] = []
    for made in client.messages.batches.list(limit=PAGE, timeout=_timeout(LOOK_SECONDS)):
        listed = _listed(made)
        if listed is None:
            return _odd("no batch")
        if listed.created_at < since:
            return found
        found.append(listed)
        if len(found) > LISTED_MOST:
            return _odd("too many batches")
    return found


def _listed(made: MessageBatch) -> Listed | None:
    """None if it cannot be read: the SDK checks nothing."""
    counts, created = made.request_counts, made.created_at
    try:
        numbers = (counts.processing, counts.succeeded, counts.errored, counts.canceled, counts.expired)
        if not _is_id(made.id) or created.tzinfo is None:
            return None
        requests = sum(int(number) for number in numbers)
    except (AttributeError, TypeError, ValueError):
        return None
    return Listed(
        provider_id=made.id,
        created_at=created,
        requests=requests,
        ended=made.processing_status == "ended",
        stopping=made.processing_status == "canceling",
    )


def _result(line: str) -> Result:
    """One line of the results. What cannot be read may have been billed."""
    from anthropic.types import Message  # noqa: PLC0415 - see common/analysis/providers/claude.py

    try:
        given: Any = json.loads(line)
        name, result = given["custom_id"], given["result"]
        kind = result["type"]
        if not _is_id(name):
            return Result("", _odd("no custom id"))
        if kind in UNBILLED:
            return Result(name, Fault(code=UNBILLED[kind], billed=Billed.NO, detail=_error_name(result)))
        return Result(name, reply_of(Message.construct(**result["message"])))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        return Result("", _odd(type(exc).__name__))


def _error_name(result: Any) -> str | None:  # noqa: ANN401 - JSON of the provider's
    """The name of an error, never its words (I11): those may quote the task."""
    outer = result.get("error")
    inner = outer.get("error") if isinstance(outer, dict) else None
    name = inner.get("type") if isinstance(inner, dict) else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _odd(why: str) -> Fault:
    return Fault(code="provider_error", billed=Billed.MAYBE, waiting_for="provider", detail=why)
