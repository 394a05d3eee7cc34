"""Message Batches: half price, answered later and in another order, each request for itself, 24 hours at most."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.metered.asked import RefusedError, read
from tests.metered.messages import Messages, Sent, refused

DAY: Final = 86_400.0
KEPT: Final = 29 * DAY  # results; then they are gone
MOST: Final = 100_000
_CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a batch. Places count from 0 in the order in which its requests were sent."""

    seconds: float = 0  # until it is through; longer than a day: what is left expires
    errored: Sequence[int] = ()
    expired: Sequence[int] = ()
    done_at_cancel: int = 0  # so many had been answered, and are billed, when it was cancelled


@dataclass(slots=True)
class _Batch:
    id: str
    created: float
    requests: list[tuple[str, Any]]
    fate: Fate
    cancelled: float | None = None
    ended: float | None = None
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ends(self) -> float:
        """When nothing of it is left to do."""
        through = self.created + min(self.fate.seconds, DAY)
        return through if self.cancelled is None else min(through, self.cancelled)


class Batches:
    """The account's batches, newest last."""

    def __init__(self, messages: Messages) -> None:
        """`messages`: the account."""
        self._account = messages
        self._made: dict[str, _Batch] = {}
        self.fate = Fate()  # of those that are created from now on

    def create(self, body: object, base: str) -> Sent:
        """`POST /v1/messages/batches`. Requests are looked at one by one later, as they are answered."""
        request_id = self._account.number("req")
        with self._account.lock:
            fault = self._account.faults.take("batches")
            if fault is not None and fault.unread:
                return refused(fault.as_error(), request_id, fault.retry_after)
            try:
                requests = _requests(body)
            except RefusedError as exc:
                return refused(exc, request_id)
            made = _Batch(self._account.number("msgbatch"), self._account.now(), requests, self.fate)
            self._made[made.id] = made
            sent = self._shown(made, base)
        if fault is None:
            return sent
        if fault.kind == "reset":
            return Sent(sent.status, sent.body, sent.headers, cut=-1)
        if fault.kind == "status":
            return refused(fault.as_error(), request_id, fault.retry_after)
        return Sent(sent.status, sent.body, sent.headers, wait=fault.seconds)

    def retrieve(self, name: str, base: str) -> Sent:
        """`GET /v1/messages/batches/{id}`."""
        with self._account.lock:
            made = self._made.get(name)
            return self._missing(name) if made is None else self._shown(made, base)

    def list(self, query: Mapping[str, str], base: str) -> Sent:
        """`GET /v1/messages/batches`: newest first, by pages."""
        with self._account.lock:
            newest = [self._document(made, base) for made in reversed(self._made.values())]
        names = [made["id"] for made in newest]
        limit = max(1, min(1000, int(query.get("limit", "20"))))
        start = names.index(query["after_id"]) + 1 if query.get("after_id") in names else 0
        end = names.index(query["before_id"]) if query.get("before_id") in names else len(names)
        if "before_id" in query:
            start = max(0, end - limit)
        page = newest[start : min(end, start + limit)]
        body = {
            "data": page,
            "has_more": start > 0 if "before_id" in query else start + limit < len(newest),
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
        }
        return self._json(body)

    def cancel(self, name: str, base: str) -> Sent:
        """`POST /v1/messages/batches/{id}/cancel`."""
        with self._account.lock:
            made = self._made.get(name)
            if made is None:
                return self._missing(name)
            # What it answers is the batch on its way down; the next look finds it ended.
            shown = self._document(made, base)
            if made.ended is None:
                made.cancelled = self._account.now()
                shown |= {"processing_status": "canceling", "cancel_initiated_at": _time(made.cancelled)}
            return self._json(shown)

    def results(self, name: str) -> Sent:
        """`GET /v1/messages/batches/{id}/results`: JSON Lines, in no particular order."""
        request_id = self._account.number("req")
        with self._account.lock:
            fault = self._account.faults.take("results")
            if fault is not None and fault.kind == "status":
                return refused(fault.as_error(), request_id, fault.retry_after)
            made = self._made.get(name)
            if made is None:
                return self._missing(name)
            self._end(made)
            if made.ended is None:
                return refused(RefusedError(400, "invalid_request_error", "it has not ended"), request_id)
            if self._account.now() > made.created + KEPT:
                return refused(RefusedError(404, "not_found_error", "the results are gone"), request_id)
            lines = [json.dumps(result, ensure_ascii=False) for result in made.results]
        body = "".join(line + "\n" for line in lines).encode()
        cut = len(body) // 2 if fault is not None and fault.kind == "cut_off" else None
        return Sent(200, body, {"request-id": request_id, "content-type": "application/x-jsonl"}, cut=cut)

    def _end(self, made: _Batch) -> None:
        """If its time has come: answer what is to be answered, and bill that."""
        if made.ended is not None or self._account.now() < made.ends:
            return
        late = made.fate.seconds > DAY and made.cancelled is None
        for place, (custom_id, params) in enumerate(made.requests):
            if made.cancelled is not None and place >= made.fate.done_at_cancel:
                result: dict[str, Any] = {"type": "canceled"}
            elif late or place in made.fate.expired:
                result = {"type": "expired"}
            else:
                result = self._answered(params, fails=place in made.fate.errored)
            made.results.append({"custom_id": custom_id, "result": result})
        made.results.reverse()
        made.ended = made.ends

    def _answered(self, params: object, *, fails: bool) -> dict[str, Any]:
        request_id = self._account.number("req")
        if fails:
            return _errored(RefusedError(500, "api_error", "as told"), request_id)
        try:
            message = self._account.message(read(params), request_id, batch=True)
        except RefusedError as exc:
            return _errored(exc, request_id)
        return {"type": "succeeded", "message": message}

    def _document(self, made: _Batch, base: str) -> dict[str, Any]:
        self._end(made)
        kinds = [result["result"]["type"] for result in made.results]
        counts = {kind: kinds.count(kind) for kind in ("succeeded", "errored", "expired", "canceled")}
        status = "ended" if made.ended is not None else "in_progress"
        return {
            "id": made.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {"processing": 0 if kinds else len(made.requests), **counts},
            "created_at": _time(made.created),
            "expires_at": _time(made.created + DAY),
            "ended_at": _time(made.ended),
            "archived_at": None,
            "cancel_initiated_at": _time(made.cancelled),
            "results_url": None if made.ended is None else f"{base}/v1/messages/batches/{made.id}/results",
        }

    def _shown(self, made: _Batch, base: str) -> Sent:
        return self._json(self._document(made, base))

    def _json(self, body: object) -> Sent:
        return Sent(200, json.dumps(body).encode(), {"request-id": self._account.number("req")})

    def _missing(self, name: str) -> Sent:
        return refused(RefusedError(404, "not_found_error", f"no batch {name}"), self._account.number("req"))


def _errored(exc: RefusedError, request_id: str) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": exc.kind, "message": str(exc)}, "request_id": request_id}
    return {"type": "errored", "error": error}


def _requests(body: object) -> list[tuple[str, Any]]:
    """(custom id, params) of each. RefusedError."""
    given = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(given, list) or not 0 < len(given) <= MOST:
        raise RefusedError(400, "invalid_request_error", f"requests: 1 to {MOST}")
    found: list[tuple[str, Any]] = []
    for item in given:
        custom_id = item.get("custom_id") if isinstance(item, dict) else None
        if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
            raise RefusedError(400, "invalid_request_error", "requests.custom_id: 1 to 64 of [a-zA-Z0-9_-]")
        found.append((custom_id, item.get("params")))
    if len({custom_id for custom_id, _ in found}) < len(found):
        raise RefusedError(400, "invalid_request_error", "requests.custom_id: one stands twice")
    return found


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
