"""Any model behind the chat completions API: OpenAI's, and what serves local ones (Ollama, vLLM, llama.cpp).

By `httpx2` and not by OpenAI's SDK: of that one endpoint is needed, and servers that only resemble it differ in ways
that its types do not have (docs/decisions/index.md).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from common.analysis.call import NO_MODEL, Call, Fault, Reply, counted
from common.analysis.providers import faults
from common.analysis.providers.key import OPENAI, Key
from common.analysis.providers.pace import Pace, openai_left
from common.config import Settings
from common.core.task import Json, PlanSource
from common.ports import Usage

if TYPE_CHECKING:  # pragma: no cover - for the type checker only
    import httpx2

BASE_URL: Final = "https://api.openai.com/v1"
CONNECT_SECONDS: Final = 10.0
BODY_MAX: Final = 4_000_000  # bytes; the longest answer is a hundredth of that
TEXT_MAX: Final = 1_000_000  # characters
# Whose newer models refuse `max_tokens`; local servers know nothing else.
COMPLETION_TOKENS: Final = ("api.openai.com", ".openai.azure.com")
NO_CREDIT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
STOPS: Final = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
OK: Final = 200
REFUSES_A_FORM: Final = frozenset({400, 422})
FORM_NAME: Final = "answer"
IN_WORDS: Final = "\n\nAnswer with one JSON object and nothing around it. It keeps to this JSON Schema:\n"


@dataclass(frozen=True, slots=True)
class _Heard:
    """A response, read to its end or to a limit of ours."""

    status: int
    headers: Mapping[str, str]
    body: Json  # None: no JSON

    @property
    def request_id(self) -> str | None:
        found = self.headers.get("x-request-id")
        return None if found is None else found[: faults.NAME_MAX]


class OpenAICompatible:
    """Asks whoever speaks the API at the base URL. Thread-safe; connects at the first call."""

    source: Final = PlanSource.MODEL
    has_batches: Final = False

    def __init__(self, key: Key, base_url: str | None = None, http: httpx2.Client | None = None) -> None:
        """`base_url` None: OpenAI's own, which wants a key. `http`: for tests, a client whose transport answers."""
        self.key = key
        self._needs_key = not base_url
        self._url = (base_url or BASE_URL).rstrip("/") + "/chat/completions"
        self._http = http
        self._pace = Pace()
        self._lock = threading.Lock()
        self._loose: set[str] = set()  # models whose server refuses a schema and takes `json_object`

    @classmethod
    def of(cls, settings: Settings) -> OpenAICompatible:
        """As the settings say."""
        return cls(Key(settings.openai_api_key, settings.secrets_dir, OPENAI), settings.openai_base_url)

    @property
    def is_ready(self) -> bool:
        """Whether there is a key now; a server that was named may need none."""
        return not self._needs_key or self.key.value() is not None

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker. A second request only where the first was refused unread, for the form of its answer."""
        if not self.is_ready:
            return NO_MODEL
        held = self._pace.hold()
        if held is not None:
            return held
        strict = call.schema is not None and call.model not in self._loose
        said = self._send(call, strict=strict)
        if strict and isinstance(said, Fault) and said.status in REFUSES_A_FORM and said.code == "request_refused":
            said = self._send(call, strict=False)
            if isinstance(said, Reply):
                self._loose.add(call.model)
        return said

    def close(self) -> None:
        """See Provider."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def _send(self, call: Call, *, strict: bool) -> Reply | Fault:
        import httpx2  # noqa: PLC0415 - 0.2 s that only a paid call needs

        try:
            heard = self._post(call, self._parameters(call, strict=strict))
        except httpx2.TransportError as exc:
            return faults.unreached(exc)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the request may have gone out
            return faults.unforeseen(exc)
        self._pace.heard(openai_left(heard.headers))
        return _reply(heard) if heard.status == OK else _refused(heard)

    def _post(self, call: Call, body: dict[str, Json]) -> _Heard:
        """One request. The timeout is one of silence; who drips is not silent, and has no longer altogether."""
        import httpx2  # noqa: PLC0415 - as above

        key = self.key.value()
        until = time.monotonic() + call.timeout
        with self._connected().stream(
            "POST",
            self._url,
            content=json.dumps(body).encode(),  # in ASCII: a lone surrogate is no UTF-8
            headers={"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"}),
            timeout=httpx2.Timeout(call.timeout, connect=min(CONNECT_SECONDS, call.timeout)),
        ) as response:
            read = bytearray()
            for chunk in response.iter_bytes():
                read += chunk
                if len(read) > BODY_MAX:
                    return _Heard(response.status_code, response.headers, None)
                if time.monotonic() > until:
                    raise httpx2.ReadTimeout("the answer drips", request=response.request)
        return _Heard(response.status_code, response.headers, _json(bytes(read)))

    def _connected(self) -> httpx2.Client:
        import httpx2  # noqa: PLC0415 - as above

        with self._lock:
            if self._http is None:
                # No redirects: the task's text would follow them to another host.
                self._http = httpx2.Client(follow_redirects=False)
            return self._http

    def _parameters(self, call: Call, *, strict: bool) -> dict[str, Json]:
        system = call.system
        body: dict[str, Json] = {"model": call.model}
        if call.schema is not None:
            schema: dict[str, Json] = dict(call.schema)
            if strict:
                form: dict[str, Json] = {"name": FORM_NAME, "strict": True, "schema": schema}
                body["response_format"] = {"type": "json_schema", "json_schema": form}
            else:
                body["response_format"] = {"type": "json_object"}
                system += IN_WORDS + json.dumps(schema, ensure_ascii=False)
        messages: list[Json] = [{"role": "system", "content": system}] if system else []
        body["messages"] = [*messages, {"role": "user", "content": call.content}]
        body["max_completion_tokens" if self._counts_completion() else "max_tokens"] = call.max_tokens
        return body

    def _counts_completion(self) -> bool:
        return (urlsplit(self._url).hostname or "").endswith(COMPLETION_TOKENS)


def _json(body: bytes) -> Json:
    try:
        found: Json = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found


def _refused(heard: _Heard) -> Fault:
    """A status code other than 200; the error's names, never its words (I11)."""
    error = heard.body.get("error") if isinstance(heard.body, dict) else None
    named = [error.get(name) for name in ("type", "code")] if isinstance(error, dict) else []
    names = [name for name in named if isinstance(name, str)]
    return faults.refused(
        heard.status,
        heard.headers,
        named=dict.fromkeys(names),  # often the same twice
        no_credit=not NO_CREDIT.isdisjoint(names),
        request_id=heard.request_id,
    )


def _reply(heard: _Heard) -> Reply | Fault:
    """An answer in our words. What it cost is the door's to say, also where it cannot be read here."""
    try:
        body = _object(heard.body)
        [choice, *_] = _list(body["choices"])
        stop, message = _object(choice).get("finish_reason"), _object(_object(choice)["message"])
    except (KeyError, ValueError) as exc:
        return faults.unusable(type(exc).__name__, heard.request_id)
    said = message.get("content")
    return Reply(
        text=said[:TEXT_MAX] if isinstance(said, str) else "",
        stop="refusal" if message.get("refusal") else STOPS.get(str(stop), str(stop)[: faults.NAME_MAX]),
        usage=_usage(body),
        request_id=heard.request_id,
    )


def _usage(body: dict[str, Json]) -> Usage | None:
    """`prompt_tokens` includes those that were read from the cache; ours does not. None: it cannot be read."""
    try:
        used = _object(body["usage"])
        prompt = counted(used["prompt_tokens"])
        details = used.get("prompt_tokens_details")
        cached = counted(details.get("cached_tokens") or 0) if isinstance(details, dict) else 0
        if cached > prompt:
            return None
        return Usage(input=prompt - cached, output=counted(used["completion_tokens"]), cache_read=cached)
    except (KeyError, ValueError):
        return None


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 - as every other fault of an answer
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise ValueError("no list")  # noqa: TRY004 - as above
    return value
