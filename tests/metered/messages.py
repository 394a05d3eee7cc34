"""The Messages API without its HTTP: requests in, answers and a bill out. Thread-safe; time can be put forward."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.metered.asked import Asked, RefusedError, read
from tests.metered.faults import Fault, Faults
from tests.metered.meter import THINKING, Meter, Row
from tests.metered.tokens import cut, tokens

REQUESTS_A_MINUTE: Final = 4000
TOKENS_A_MINUTE: Final = 4_000_000
ABSURD: Final = 10**12  # tokens; a hundred thousand dollars of the cheapest

Says = Callable[[Asked], str]


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes back over the wire. `cut` bytes at most, then the connection is closed; None: all of them."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: float = 0


class Messages:
    """One account: its bill, its cache, its faults, and whoever answers."""

    def __init__(self, says: Says, *, seconds: float = 0) -> None:
        """`says`: the model. `seconds`: how long it takes for each message."""
        self.says = says
        self.seconds = seconds
        self.cuts = True  # whether answers keep to `max_tokens`: a hostile server's need not
        self.fails_on = ""  # words in whose presence nothing is answered: 500, not billed
        self.lock = threading.RLock()
        self.faults = Faults()
        self.asked: list[Asked] = []  # every message that was read, batches' too
        self._ahead = 0.0
        self._numbers = itertools.count(1)
        self._minute = (0, 0)  # which, and how many requests it had
        self.meter = Meter(self.now)

    def now(self) -> float:
        """Unix seconds, put forward by `advance`."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """As if so much time had passed."""
        with self.lock:
            self._ahead += seconds

    def number(self, prefix: str) -> str:
        """A new id."""
        with self.lock:
            return f"{prefix}_{next(self._numbers):08d}"

    def create(self, body: object) -> Sent:
        """`POST /v1/messages`."""
        request_id = self.number("req")
        with self.lock:
            fault = self.faults.take("messages")
        if fault is not None and fault.unread:
            return refused(fault.as_error(), request_id, fault.retry_after)
        try:
            asked = read(body)
        except RefusedError as exc:
            return refused(exc, request_id)
        if self.fails_on and self.fails_on in asked.content:
            return refused(RefusedError(500, "api_error", "as told"), request_id)
        message = self.message(asked, request_id, fault)
        sent = Sent(200, json.dumps(message, ensure_ascii=False).encode(), self._headers(request_id))
        return sent if fault is None else _spoilt(sent, fault, request_id)

    def message(
        self, asked: Asked, request_id: str, fault: Fault | None = None, *, batch: bool = False
    ) -> dict[str, Any]:
        """Answered and billed. What a concurrent request writes to the cache is not there before it was answered."""
        with self.lock:
            self.asked.append(asked)
            prompt = self.meter.prompt(asked, batch=batch)
        text, stop = self._said(asked, fault)
        wait = (0 if batch else self.seconds) + (fault.seconds if fault is not None and fault.kind == "slow" else 0)
        if wait:
            time.sleep(wait)
        # What it says beyond the length is not billed.
        output = min(tokens(text), asked.max_tokens) + (THINKING if asked.thinks else 0)
        with self.lock:
            row = self.meter.book(request_id, asked, prompt, output, batch=batch)
        return _message(asked, text, stop, row, fault)

    def _said(self, asked: Asked, fault: Fault | None) -> tuple[str, str]:
        kind = fault.kind if fault is not None else None
        if kind == "refusal":
            return "", "refusal"
        text = fault.text if fault is not None and kind == "says" else self.says(asked)
        if kind == "max_tokens":
            return text[: len(text) // 2], "max_tokens"
        if self.cuts and tokens(text) > asked.max_tokens:
            return cut(text, asked.max_tokens), "max_tokens"
        return text, "end_turn"

    def count(self, body: object) -> Sent:
        """`POST /v1/messages/count_tokens`: free."""
        try:
            asked = read({"max_tokens": 1, **body} if isinstance(body, dict) else body)
        except RefusedError as exc:
            return refused(exc, self.number("req"))
        with self.lock:
            used = Meter(self.now).prompt(asked).used
        whole = used.input + used.read + used.written_5m + used.written_1h
        return Sent(200, json.dumps({"input_tokens": whole}).encode(), self._headers(self.number("req")))

    def _headers(self, request_id: str) -> dict[str, str]:
        with self.lock:
            minute = int(self.now() // 60)
            self._minute = (minute, self._minute[1] + 1 if self._minute[0] == minute else 1)
            left = max(0, REQUESTS_A_MINUTE - self._minute[1])
        reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now() + 60))
        found = {"request-id": request_id}
        for kind, limit, rest in (
            ("requests", REQUESTS_A_MINUTE, left),
            ("tokens", TOKENS_A_MINUTE, TOKENS_A_MINUTE),
            ("input-tokens", TOKENS_A_MINUTE, TOKENS_A_MINUTE),
            ("output-tokens", TOKENS_A_MINUTE, TOKENS_A_MINUTE),
        ):
            name = f"anthropic-ratelimit-{kind}"
            found |= {f"{name}-limit": str(limit), f"{name}-remaining": str(rest), f"{name}-reset": reset}
        return found


def refused(exc: RefusedError, request_id: str, retry_after: float | None = None) -> Sent:
    """An error as the API sends it."""
    error: dict[str, Any] = {"type": exc.kind, "message": str(exc)}
    if exc.code is not None:
        error["details"] = {"error_code": exc.code}
    headers = {"request-id": request_id}
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    body = {"type": "error", "error": error, "request_id": request_id}
    return Sent(exc.status, json.dumps(body).encode(), headers)


def _message(asked: Asked, text: str, stop: str, row: Row, fault: Fault | None) -> dict[str, Any]:
    usage = row.used.wire(batch=row.batch)
    if fault is not None and fault.kind == "negative_usage":
        usage |= {"input_tokens": -row.used.input, "output_tokens": -row.used.output}
    if fault is not None and fault.kind == "absurd_usage":
        usage |= {"input_tokens": ABSURD, "output_tokens": ABSURD}
    made = {
        "id": row.request_id.replace("req", "msg"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    if fault is not None and fault.kind == "no_usage":
        del made["usage"]
    return made


def _spoilt(sent: Sent, fault: Fault, request_id: str) -> Sent:
    """The answer as it arrives under a fault; it stays on the bill."""
    kinds: dict[str, Sent] = {
        "status": refused(fault.as_error(), request_id, fault.retry_after),
        "cut_off": Sent(sent.status, sent.body, sent.headers, cut=len(sent.body) // 2),
        "reset": Sent(sent.status, sent.body, sent.headers, cut=-1),
        "malformed": Sent(200, sent.body[: len(sent.body) // 2] + b"\x00<", sent.headers),
    }
    return kinds.get(fault.kind, sent)
