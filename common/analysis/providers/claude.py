"""Claude by the official SDK: one request, no retries, and every way it can fail told apart. The SDK's only importer.

It is imported at the first call: it costs 0.9 s and 38 MB, which nothing but a paid call needs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from common.analysis.call import NO_MODEL, Billed, Call, Fault, Reply, counted
from common.analysis.providers import faults
from common.analysis.providers.key import Key
from common.analysis.providers.pace import Pace, anthropic_left
from common.config import Settings
from common.core.task import PlanSource
from common.ports import Usage

if TYPE_CHECKING:  # pragma: no cover - for the type checker only
    import anthropic
    import httpx2
    from anthropic.types import Message, TextBlockParam, ThinkingConfigParam
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

CONNECT_SECONDS: Final = 10.0
ANSWER_MAX: Final = 1_000_000  # characters; what a wrong or hostile server sends beyond is not kept

SPEND_CODES: Final = frozenset(
    {"enforced_spend_limit_reached", "contract_spend_limit_reached", "linked_organization_spend_limit_reached"}
)
# Spend limits that were set in the console come as 400 with nothing but this beginning to know them by.
SPEND_WORDS: Final = ("You have reached your specified", "Your credit balance is too low")


class UnusableSchemaError(Exception):
    """The SDK cannot make the schema one that the provider takes; nothing was sent."""


class ClaudeClient:
    """Asks Anthropic, or whoever speaks its API at the base URL. Thread-safe; connects at the first call."""

    source: Final = PlanSource.CLAUDE
    has_batches: Final = True

    def __init__(self, key: Key, base_url: str | None = None, http: httpx2.Client | None = None) -> None:
        """`base_url` None: the SDK's own. `http`: for tests, a client whose transport answers."""
        self.key = key
        self._base_url = base_url
        self._http = http
        self._pace = Pace()
        self._lock = threading.Lock()
        self._client: anthropic.Anthropic | None = None
        self._made_for: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> ClaudeClient:
        """As the settings say."""
        return cls(Key(settings.anthropic_api_key, settings.secrets_dir), settings.anthropic_base_url)

    @property
    def is_ready(self) -> bool:
        """Whether there is a key now."""
        return self.key.value() is not None

    def ask(self, call: Call) -> Reply | Fault:
        """See Asker. Fault `no_model` without a key."""
        client = self.sdk()
        if client is None:
            return NO_MODEL
        held = self._pace.hold()
        if held is not None:
            return held
        import httpx2  # noqa: PLC0415 - see the module

        try:
            asked = parameters(call)
        except UnusableSchemaError:
            return Fault(code="schema_unusable", billed=Billed.NO)
        timeout = httpx2.Timeout(call.timeout, connect=min(CONNECT_SECONDS, call.timeout))
        try:
            raw = client.messages.with_raw_response.create(**asked, timeout=timeout)
            self._pace.heard(anthropic_left(raw.headers))
            message = raw.parse()
        except Exception as exc:  # noqa: BLE001 - each is told apart there
            return self._fault(exc)
        return reply_of(message, raw.request_id)

    def sdk(self) -> anthropic.Anthropic | None:
        """The SDK's client for the key that there is now, its own retries off; None without a key."""
        key = self.key.value()
        if key is None:
            return None
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

    def close(self) -> None:
        """Drop the connections; a later question opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _fault(self, exc: Exception) -> Fault:
        import anthropic  # noqa: PLC0415 - see the module

        if isinstance(exc, anthropic.APIStatusError):
            self._pace.heard(anthropic_left(exc.response.headers))
        return fault_of(exc)


def parameters(call: Call, *, keep: bool = True) -> MessageCreateParamsNonStreaming:
    """The body of the request. `keep`: the system text is to be cached, for an hour. UnusableSchemaError."""
    import anthropic  # noqa: PLC0415 - see the module

    body: MessageCreateParamsNonStreaming = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        "messages": [{"role": "user", "content": call.content}],
    }
    if call.system:
        system: TextBlockParam = {"type": "text", "text": call.system}
        if keep:
            system["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
        body["system"] = [system]
    thinking = _thinking(call.model)
    if thinking is not None:
        body["thinking"] = thinking
    if call.schema is not None:
        try:
            schema = anthropic.transform_schema(dict(call.schema))
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise UnusableSchemaError from exc
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(schema)}}
    return body


def _thinking(model: str) -> ThinkingConfigParam | None:
    """Thinking is billed as output and more than doubles a short answer: off where that is possible."""
    if model.startswith("claude-haiku"):
        return {"type": "disabled"}
    if model.startswith("claude-sonnet-5"):
        return {"type": "between_tools"}
    return None


def reply_of(message: Message, request_id: str | None = None) -> Reply | Fault:
    """An answer in our words. What it cost is the door's to say, also where it cannot be read here."""
    try:
        text = "".join(block.text for block in message.content if block.type == "text")
        stop = str(message.stop_reason)
    except (AttributeError, TypeError, ValueError) as exc:
        return faults.unusable(type(exc).__name__, request_id)
    return Reply(text=text[:ANSWER_MAX], stop=stop, usage=_usage(message), request_id=request_id)


def _usage(message: Message) -> Usage | None:
    try:
        used = message.usage
        return Usage(
            input=counted(used.input_tokens),
            output=counted(used.output_tokens),
            cache_read=counted(used.cache_read_input_tokens or 0),
            cache_write=counted(used.cache_creation_input_tokens or 0),
        )
    except (AttributeError, TypeError, ValueError):
        return None


def fault_of(exc: Exception) -> Fault:
    """What the SDK raised, in our words."""
    import anthropic  # noqa: PLC0415 - see the module

    if isinstance(exc, anthropic.APIStatusError):
        words = exc.api_message if isinstance(exc.api_message, str) else ""
        return faults.refused(
            exc.status_code,
            exc.response.headers,
            named=(exc.type, exc.error_code),
            no_credit=exc.error_code in SPEND_CODES or words.startswith(SPEND_WORDS),
            request_id=exc.request_id,
        )
    if isinstance(exc, anthropic.APIConnectionError):
        return faults.unreached(exc.__cause__)
    return faults.unforeseen(exc)
