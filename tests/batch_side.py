"""The far side of Message Batches over the SDK's own transport: what it was sent is kept, what follows is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from common.analysis.batches.claude import ClaudeBatches
from common.analysis.providers.claude import ClaudeClient
from common.analysis.providers.key import Key

KEY = "sk-ant-test-batches-0123456789"
PATH = "/v1/messages/batches"
_TASKS = re.compile(r"<tasks>\n(.*)\n</tasks>", re.DOTALL)
Says = Callable[[Mapping[str, Any], str], Mapping[str, Any]]


def reading(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of an answer
    """What a model says of one task: one GET, low, sure, unless told otherwise."""
    step = {"id": "page", "action": "http.request", "args": json.dumps({"url": "https://a.example/x"})}
    said = {"kind": "fetch_page", "summary": "Fetches it.", "risk": "low", "confidence": 0.9, "priority": 5}
    return {**said, "steps": [step], **changes}


def plainly(_item: Mapping[str, Any], _model: str) -> Mapping[str, Any]:
    """The same of every task."""
    return reading()


@dataclass
class SentBatch:
    """A batch as the far side has it."""

    id: str
    created: datetime
    requests: list[dict[str, Any]]
    status: str = "in_progress"
    fates: dict[int, str] = field(default_factory=dict)  # by number: errored, expired, canceled, missing
    results: list[dict[str, Any]] | None = None  # instead of what follows from the requests

    @property
    def custom_ids(self) -> list[str]:
        """In the order in which they were sent."""
        return [str(request["custom_id"]) for request in self.requests]


class BatchSide:
    """Answers like the API. `fault` (a response, or an exception) is what the next request gets, done or not."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC), says: Says = plainly) -> None:
        """`now`: its clock. `says`: the model, of one item of a pack."""
        self.now = now
        self.says = says
        self.batches: dict[str, SentBatch] = {}
        self.seen: list[str] = []  # method and path of every request
        self.before: Callable[[str], None] = lambda _: None  # called with each, before anything is done
        self.refuse: dict[str, httpx2.Response | Exception] = {}  # by "POST create" …: refused, and nothing is done
        self.drop: set[str] = set()  # done, and the answer never arrives
        self.turns_away: set[str] = set()  # keys that it does not know

    def batches_for(self, key: str = KEY) -> ClaudeBatches:
        """Our side of it."""
        client = httpx2.Client(transport=httpx2.MockTransport(self._answer), follow_redirects=False)
        return ClaudeBatches(ClaudeClient(Key(SecretStr(key), Path("/nowhere")), "http://far.example", client))

    # --- what becomes of batches --------------------------------------------------------------------------------

    def foreign(self, requests: int = 1, *, at: datetime | None = None) -> SentBatch:
        """A batch of another program with the same key."""
        body = [{"custom_id": f"theirs-{n}", "params": {}} for n in range(requests)]
        return self._made(body, at or self.now())

    def end(self, batch: SentBatch | None = None, fates: Mapping[int, str] | None = None) -> SentBatch:
        """It is through: of its requests those without a fate succeeded."""
        chosen = batch or self.last
        chosen.fates.update(fates or {})
        chosen.status = "ended"
        return chosen

    @property
    def last(self) -> SentBatch:
        """The newest."""
        return next(reversed(self.batches.values()))

    def shift(self, span: timedelta) -> None:
        """As if so much time had passed since they were made."""
        for batch in self.batches.values():
            batch.created -= span

    def count(self, what: str) -> int:
        """How often that was asked: `POST create`, `POST cancel`, `GET list`, `GET look`, `GET results`."""
        return self.seen.count(what)

    # --- the API ------------------------------------------------------------------------------------------------

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        name, _, verb = request.url.path.removeprefix(PATH).strip("/").partition("/")
        what = f"{request.method} {verb or ('look' if name else 'create' if request.method == 'POST' else 'list')}"
        self.before(what)
        self.seen.append(what)
        if request.headers.get("x-api-key") in self.turns_away:
            return _error(401, "authentication_error")
        refused = self.refuse.pop(what, None)
        if isinstance(refused, Exception):
            raise refused
        if refused is not None:
            return refused
        answer = self._done(what, name, request)
        if what in self.drop:
            self.drop.discard(what)
            raise httpx2.ReadTimeout("nothing came back", request=request)
        return answer

    def _done(self, what: str, name: str, request: httpx2.Request) -> httpx2.Response:
        if what == "POST create":
            return httpx2.Response(
                200, json=self._shown(self._made(json.loads(request.content)["requests"], self.now()))
            )
        if what == "GET list":
            return self._listed(request.url.params)
        batch = self.batches.get(name)
        if batch is None:
            return _error(404, "not_found_error")
        if what == "POST cancel":
            if batch.status == "in_progress":
                batch.status = "canceling"
            return httpx2.Response(200, json=self._shown(batch))
        if what == "GET results":
            lines = self._results(batch)
            return httpx2.Response(200, content="".join(json.dumps(line) + "\n" for line in lines).encode())
        return httpx2.Response(200, json=self._shown(batch))

    def _made(self, requests: list[dict[str, Any]], at: datetime) -> SentBatch:
        batch = SentBatch(f"msgbatch_{len(self.batches) + 1:04}", at, requests)
        self.batches[batch.id] = batch
        return batch

    def _listed(self, params: httpx2.QueryParams) -> httpx2.Response:
        newest = sorted(self.batches.values(), key=lambda batch: batch.created, reverse=True)
        names = [batch.id for batch in newest]
        start = names.index(params["after_id"]) + 1 if "after_id" in params else 0
        limit = int(params.get("limit", "20"))
        page = newest[start : start + limit]
        more = start + limit < len(newest)
        ends = {"first_id": page[0].id, "last_id": page[-1].id} if page else {"first_id": None, "last_id": None}
        return httpx2.Response(200, json={"data": [self._shown(b) for b in page], "has_more": more, **ends})

    def _shown(self, batch: SentBatch) -> dict[str, Any]:
        ended = batch.status == "ended"
        counts = {"processing": 0 if ended else len(batch.requests), "succeeded": 0, "errored": 0, "canceled": 0,
                  "expired": 0}  # fmt: skip
        if ended:
            counts["succeeded"] = len(batch.requests)
        return {
            "id": batch.id, "type": "message_batch", "processing_status": batch.status, "request_counts": counts,
            "created_at": batch.created.isoformat(), "expires_at": (batch.created + timedelta(days=1)).isoformat(),
            "ended_at": None, "archived_at": None, "cancel_initiated_at": None,
            "results_url": f"http://elsewhere.example/{batch.id}" if ended else None,
        }  # fmt: skip

    def _results(self, batch: SentBatch) -> list[dict[str, Any]]:
        """Out of order, as the API may give them."""
        if batch.results is not None:
            return batch.results
        lines = [
            {"custom_id": request["custom_id"], "result": self._result(request["params"], batch.fates.get(number))}
            for number, request in enumerate(batch.requests)
            if batch.fates.get(number) != "missing"
        ]
        return lines[::-1]

    def _result(self, params: Mapping[str, Any], fate: str | None) -> dict[str, Any]:
        if fate == "errored":
            words = {"type": "api_error", "message": "it quotes the task"}
            return {"type": "errored", "error": {"type": "error", "error": words, "request_id": "req_1"}}
        if fate is not None:
            return {"type": fate}
        return {"type": "succeeded", "message": message(answer_of(params, self.says), str(params.get("model", "m")))}


def answer_of(params: Mapping[str, Any], says: Says) -> str:
    """What the model says to a request: something of each of its tasks, under its nonce."""
    found = _TASKS.search(params["messages"][0]["content"]) if params else None
    items = json.loads(found.group(1))["items"] if found else []
    model = str(params.get("model", ""))
    return json.dumps({"answers": [{"nonce": item["nonce"], **says(item, model)} for item in items]})


def message(text: str, model: str = "claude-haiku-5-5", **usage: int) -> dict[str, Any]:
    """A message as the API writes it."""
    used = {"input_tokens": 4000, "output_tokens": 1500} | usage
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": text}], "usage": used,
    }  # fmt: skip


def _error(status: int, kind: str) -> httpx2.Response:
    return httpx2.Response(status, json={"type": "error", "error": {"type": kind, "message": "no"}})


def refusal(status: int, kind: str = "api_error", **headers: str) -> httpx2.Response:
    """A refusal as the API writes it."""
    return httpx2.Response(status, json={"type": "error", "error": {"type": kind, "message": "no"}}, headers=headers)
