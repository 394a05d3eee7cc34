"""Claude by the official SDK: one request, no retries, and every way it can fail told apart. The SDK's only importer.

It is imported at the first call: it costs 0.9 s and 38 MB, which nothing but a paid call needs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.key import Key
from common.ports import Usage

if TYPE_CHECKING:  # pragma: no cover - for the type checker only
    import anthropic
    import httpx2
    from anthropic.types import Message, TextBlockParam, ThinkingConfigParam

CONNECT_SECONDS: Final = 10.0
SOON: Final = timedelta(seconds=30)
LONGEST_RETRY_AFTER: Final = timedelta(minutes=15)  # the header has no cap of its own
MENDED_SOON: Final = timedelta(minutes=10)  # a key or a model's name: an admin mends it, the tasks go on by themselves
SPEND_LIMIT: Final = timedelta(hours=1)
ANSWER_MAX: Final = 1_000_000  # characters; what a wrong or hostile server sends beyond is not kept

SPEND_CODES: Final = frozenset(
    {"enforced_spend_limit_reached", "contract_spend_limit_reached", "linked_organization_spend_limit_reached"}
)
# Spend limits that were set in the console come as 400 with nothing but this beginning to know them by.
SPEND_WORDS: Final = ("You have reached your specified", "Your credit balance is too low")
CLIENT_ERROR: Final = 400
PAYMENT_REQUIRED: Final = 402
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500
OVERLOADED: Final = 529
OVERLOADS: Final = frozenset({503, OVERLOADED})
MENDED_BY_ADMIN: Final = {401: "bad_key", 403: "key_not_permitted", 404: "unknown_model"}
# 4xx is refused unread; these two may be said after the model has worked.
LATE_REFUSALS: Final = frozenset({408, 499})


class ClaudeClient:
    """An Asker: asks Anthropic, or whoever speaks its API at the base URL. Thread-safe; connects at the first call."""

    def __init__(self, key: Key, base_url: str | None = None, http: httpx2.Client | None = None) -> None:
        """`base_url` None: the SDK's own. `http`: for tests, a client whose transport answers."""
        self._key = key
        self._base_url = base_url
        self._http = http
        self._lock = threading.Lock()
        self._client: anthropic.Anthropic | None = None
        self._made_for: str | None = None

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker. Fault `no_model` without a key."""
        key = self._key.value()
        if key is None:
            return Fault(code="no_model", billed=Billed.NO)
        import anthropic  # noqa: PLC0415 - see the module

        try:
            schema = None if call.schema is None else anthropic.transform_schema(dict(call.schema))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return Fault(code="schema_unusable", billed=Billed.NO)
        try:
            message = self._create(self._client_for(key), call, schema)
        except anthropic.APIStatusError as exc:
            return _refused(exc)
        except anthropic.APIConnectionError as exc:
            return _unreached(exc)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the request may have gone out
            return Fault(
                code="provider_error", billed=Billed.MAYBE, again_in=SOON, waiting_for="provider", detail=_name(exc)
            )
        return _reply(message)

    def close(self) -> None:
        """Drop the connections; a later question opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _create(self, client: anthropic.Anthropic, call: Call, schema: Mapping[str, object] | None) -> Message:
        import anthropic  # noqa: PLC0415 - see the module
        import httpx2  # noqa: PLC0415 - as above

        system: list[TextBlockParam] = [
            {"type": "text", "text": call.system, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        ]
        thinking = _thinking(call.model)
        return client.messages.create(
            model=call.model,
            max_tokens=call.max_tokens,
            system=system if call.system else anthropic.omit,
            messages=[{"role": "user", "content": call.content}],
            thinking=anthropic.omit if thinking is None else thinking,
            output_config=anthropic.omit
            if schema is None
            else {"format": {"type": "json_schema", "schema": dict(schema)}},
            timeout=httpx2.Timeout(call.timeout, connect=min(CONNECT_SECONDS, call.timeout)),
        )

    def _client_for(self, key: str) -> anthropic.Anthropic:
        import anthropic  # noqa: PLC0415 - see the module

        with self._lock:
            if self._client is None or self._made_for != key:
                # Another thread may still be using the old one: it is left to be collected, not closed.
                # No redirects: the task's text would follow them to another host.
                http = self._http or anthropic.DefaultHttpxClient(follow_redirects=False)
                self._client = anthropic.Anthropic(
                    api_key=key, base_url=self._base_url, max_retries=0, http_client=http
                )
                self._made_for = key
            return self._client


def _thinking(model: str) -> ThinkingConfigParam | None:
    """Thinking is billed as output and more than doubles a short answer: off where that is possible."""
    if model.startswith("claude-haiku"):
        return {"type": "disabled"}
    if model.startswith("claude-sonnet-5"):
        return {"type": "between_tools"}
    return None


def _reply(message: Message) -> Reply | Fault:
    """An answer in our words. What has no usage to bill by is no answer."""
    try:
        used = message.usage
        usage = Usage(
            input=_count(used.input_tokens),
            output=_count(used.output_tokens),
            cache_read=_count(used.cache_read_input_tokens or 0),
            cache_write=_count(used.cache_creation_input_tokens or 0),
        )
        text = "".join(block.text for block in message.content if block.type == "text")
        stop = str(message.stop_reason)
    except (AttributeError, TypeError, ValueError) as exc:
        return Fault(code="unusable_answer", billed=Billed.MAYBE, detail=_name(exc))
    return Reply(text=text[:ANSWER_MAX], stop=stop, usage=usage)


def _count(tokens: object) -> int:
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        raise ValueError("no number of tokens")
    return tokens


def _refused(exc: anthropic.APIStatusError) -> Fault:
    """A status code. What is wrong with the installation waits by name; what is wrong with this task is a person's."""
    status = exc.status_code
    named = (exc.type, exc.error_code, exc.request_id)
    detail = ", ".join(str(part)[:100] for part in named if part) or None
    unread = CLIENT_ERROR <= status < SERVER_ERROR and status not in LATE_REFUSALS
    billed = Billed.NO if unread or status == OVERLOADED else Billed.MAYBE
    code, again_in = _meaning(exc)
    waiting_for: Literal["provider", "budget"] = "budget" if code == "spend_limit" else "provider"
    return Fault(
        code=code,
        billed=billed,
        again_in=again_in,
        waiting_for=None if again_in is None else waiting_for,
        status=status,
        detail=detail,
    )


def _meaning(exc: anthropic.APIStatusError) -> tuple[str, timedelta | None]:
    """The fault's code, and when asking again may help."""
    status, headers = exc.status_code, exc.response.headers
    words = exc.api_message if isinstance(exc.api_message, str) else ""
    if exc.error_code in SPEND_CODES or words.startswith(SPEND_WORDS) or status == PAYMENT_REQUIRED:
        return "spend_limit", SPEND_LIMIT
    if status == TOO_MANY:
        return "rate_limited", _retry_after(headers)
    if status in OVERLOADS:
        return "provider_overloaded", _retry_after(headers)
    if status in MENDED_BY_ADMIN:
        return MENDED_BY_ADMIN[status], MENDED_SOON
    if CLIENT_ERROR <= status < SERVER_ERROR and status not in LATE_REFUSALS:
        return "request_refused", None
    return "provider_error", SOON


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    try:
        wanted = timedelta(seconds=float(headers.get("retry-after", "")))
    except (ValueError, OverflowError):
        return SOON
    return min(max(wanted, timedelta(seconds=1)), LONGEST_RETRY_AFTER)


def _unreached(exc: anthropic.APIConnectionError) -> Fault:
    """No answer. Before the connection stood nothing was sent, and nothing is billed."""
    import anthropic  # noqa: PLC0415 - see the module
    import httpx2  # noqa: PLC0415 - as above

    unsent = (
        httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol, httpx2.ProxyError,
    )  # fmt: skip
    cause = exc.__cause__
    if isinstance(cause, unsent):
        code, billed = "provider_unreachable", Billed.NO
    else:
        code = "provider_timeout" if isinstance(exc, anthropic.APITimeoutError) else "provider_reset"
        billed = Billed.MAYBE
    return Fault(code=code, billed=billed, again_in=SOON, waiting_for="provider", detail=_name(cause))


def _name(exc: BaseException | None) -> str:
    return type(exc).__name__
