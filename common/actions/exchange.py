"""What the actions over HTTP share: bodies out, results in, and what an answer (or none) says about the effect."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from common.actions.contract import (
    Context,
    Done,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    Json,
    NotDone,
    Outcome,
    Unknown,
)
from common.actions.words import clean

TRANSIENT: Final = frozenset({408, 425, 429, 503})  # the far side says itself that it did nothing, and to come again
NOT_IMPLEMENTED: Final = frozenset({501, 505})  # 5xx that say the request was not understood: nothing happened
TRANSIENT_FAILURES: Final = frozenset({"connect_failed", "dns_failed", "tls_failed", "timeout", "reset"})
KEPT_HEADERS: Final = ("content-type", "etag", "last-modified", "link", "location", "retry-after", "x-request-id")
SAID_MAX: Final = 300  # bytes
HEADER_MAX: Final = 1000  # characters of one kept header
JSON_DEPTH_MAX: Final = 64  # a result may be referred to, and arguments are no deeper
TEXT_TYPES: Final = ("text/", "application/xml", "application/javascript", "application/x-www-form-urlencoded")
# Named, since Python's codecs include some that are no character sets (unicode_escape) or cost much (idna).
CHARSETS: Final = frozenset({
    "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "iso-8859-15", "windows-1252", "euc-kr",
    "ks_c_5601-1987", "cp949", "shift_jis", "euc-jp", "gbk", "gb2312", "gb18030", "big5",
})  # fmt: skip
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def exchange(ctx: Context, request: HttpRequest, *, safe: bool, expect: Sequence[int] = ()) -> Outcome:
    """Send it and say what happened.

    `safe`: it only reads (RFC 9110 section 9.2.1), so that there is nothing to be in doubt about. Of anything else
    nobody knows what it did once bytes were sent and no clear answer came: unknown, also where it may be repeated,
    since whether it may is a setting, and settings change before the next attempt (I6).
    A 2xx or 3xx outside of `expect` (default: 2xx) means that the far side acted, but not as the plan supposes:
    unknown, or permanent where it only reads.
    """
    try:
        response = ctx.send(request)
    except HttpFailure as failure:
        return of_failure(failure, safe=safe)
    return of_response(response, safe=safe, expect=expect)


def of_failure(failure: HttpFailure, *, safe: bool) -> Outcome:
    """No answer: not done for sure only if not a byte was sent."""
    if failure.code == "too_large":
        return Done(too_large=True)  # it answered, so it acted: never "not done"
    if failure.sent and not safe:
        return Unknown(failure.code, detail=str(failure))
    return NotDone(failure.code, transient=failure.code in TRANSIENT_FAILURES, detail=str(failure))


def of_response(response: HttpResponse, *, safe: bool, expect: Sequence[int] = ()) -> Outcome:
    """An answer, by its status."""
    status = response.status
    if status in expect if expect else 200 <= status < 300:  # noqa: PLR2004 - 2xx
        return Done(result(response))
    if status in TRANSIENT:
        return NotDone("http_status", transient=True, status=status, detail=said(response))
    if 400 <= status < 500 or status in NOT_IMPLEMENTED:  # noqa: PLR2004 - 4xx
        return NotDone("http_status", transient=False, status=status, detail=said(response))
    code = "http_status" if status >= 500 else "unexpected_status"  # noqa: PLR2004 - 5xx
    if not safe:
        return Unknown(code, status=status, detail=said(response))
    return NotDone(code, transient=status >= 500, status=status, detail=said(response))  # noqa: PLR2004 - 5xx


def said(response: HttpResponse) -> str | None:
    """The beginning of what the far side says of its refusal, for the person (or the model) that has to mend it."""
    declared = response.headers.get("content-type", "")
    text = _decoded(response.body[:SAID_MAX], declared.partition(";")[0].strip().lower(), declared, "ignore")
    return clean(" ".join(text.split())) or None if text else None


def result(response: HttpResponse) -> Json:
    """`status`, a few `headers`, and `json`, `text`, or `base64` with `content_type`: whatever the body plainly is.

    What JSON or PostgreSQL could not hold (NaN, a NUL, a lone surrogate) stays text, and what is no text is base64.
    """
    kept = {k.lower(): _header(v) for k, v in response.headers.items() if k.lower() in KEPT_HEADERS}
    answer: dict[str, Json] = {"status": response.status, "headers": dict(kept)}
    declared = kept.get("content-type", "")
    kind = declared.partition(";")[0].strip().lower()
    text = _decoded(response.body, kind, declared)
    if text is None:
        return {
            **answer,
            "base64": base64.b64encode(response.body).decode(),
            "content_type": kind or "application/octet-stream",
        }
    if kind != "application/json" and not kind.endswith("+json"):
        return {**answer, "text": text}
    try:
        return {**answer, "json": read_json(text)}
    except (ValueError, RecursionError):
        return {**answer, "text": text}  # it says that it is JSON and is not: what came is kept as it came


def read_json(text: str) -> Json:
    """JSON that can be stored and referred to; ValueError or RecursionError otherwise."""

    def refuse(constant: str) -> Json:
        raise ValueError(constant)

    value: Json = json.loads(text, parse_constant=refuse)
    stack: list[tuple[Json, int]] = [(value, 0)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, str) and ("\x00" in node or _SURROGATE.search(node)):
            raise ValueError(node)
        if isinstance(node, float) and not math.isfinite(node):
            raise ValueError(node)
        if isinstance(node, dict | list):
            if depth >= JSON_DEPTH_MAX:
                raise ValueError(depth)
            stack += [(child, depth + 1) for child in (node.values() if isinstance(node, dict) else node)]
            stack += [(key, depth) for key in node] if isinstance(node, dict) else []
    return value


def encoded(
    fields: frozenset[str] | set[str], body_json: Json, body: Json, headers: Mapping[str, str]
) -> tuple[bytes | None, dict[str, str]]:
    """The body's bytes, and the headers with a content type. `fields`: which of `json` and `body` was given."""
    named = {name.lower() for name in headers}
    if "json" in fields:
        content = json.dumps(body_json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return content, {**headers} if "content-type" in named else {**headers, "Content-Type": "application/json"}
    if isinstance(body, str):
        extra = {} if "content-type" in named else {"Content-Type": "text/plain; charset=utf-8"}
        return body.encode(), {**headers, **extra}
    return None, dict(headers)


def _decoded(body: bytes, kind: str, declared: str, errors: str = "strict") -> str | None:
    match = re.search(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]+)", declared, re.IGNORECASE)
    charset = match[1].lower() if match else "utf-8"
    textual = not kind or kind.startswith(TEXT_TYPES) or kind == "application/json" or kind.endswith(("+json", "+xml"))
    if not textual or charset not in CHARSETS:
        return None
    try:
        text = body.decode(charset, errors)
    except (UnicodeDecodeError, LookupError):
        return None
    return None if "\x00" in text else text


def _header(value: str) -> str:
    return re.sub("[\x00-\x1f\x7f\ud800-\udfff]", "\ufffd", value)[:HEADER_MAX]
