"""`http.request`: one request to one address."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import unquote, urlencode

from pydantic import Field, field_validator, model_validator

from common.actions import address
from common.actions.contract import (
    Action,
    Args,
    Context,
    Effect,
    HttpRequest,
    Json,
    Known,
    Lang,
    Outcome,
    Policy,
    Reason,
    Risk,
    control,
    data,
    is_ref,
    t,
)  # fmt: skip
from common.actions.exchange import encoded, exchange
from common.actions.words import MASK, SECRET_HEADERS, clean, secret_parameter, shortened, shown

READS: Final = frozenset({"GET", "HEAD"})
REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # idempotent by RFC 9110 section 9.2.2
TIMEOUT_MAX: Final = 300  # seconds; a longer call is a function's business
HEADERS_MAX: Final = 8000  # characters of all of them; servers commonly stop at 8 KB
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# Ours (the key), the address's (Host), or the connection's: a plan that sets one could change where a request ends.
REFUSED_HEADERS: Final = frozenset({
    "idempotency-key", "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer",
    "upgrade", "expect", "proxy-authorization", "proxy-authenticate", "proxy-connection", "http2-settings",
})  # fmt: skip
# Frameworks that obey these do something else than the method says, by which risk and repetition are judged.
METHOD_HEADERS: Final = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})


class HttpRequestArgs(Args):
    """Control: method, url, headers, timeout, expect. Data: query, json, body."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = control("GET")
    url: str = control(description="http or https", max_length=address.URL_MAX)
    headers: dict[str, str] = control({}, max_length=50)
    query: dict[str, Json] = data(
        {}, max_length=100, description="values: text, numbers, true or false, or lists of them"
    )
    json_: Json = data(None, alias="json", description="a body, sent as JSON")
    body: Json = data(None, description="a body, sent as text")
    timeout: Annotated[float, Field(strict=True)] = control(30, gt=0, le=TIMEOUT_MAX, description="seconds")
    expect: list[Annotated[int, Field(strict=True, ge=200, le=599)]] | None = control(
        None, min_length=1, max_length=50, description="status codes that count as done; 2xx unless given"
    )

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        address.parse(value)
        return value

    @field_validator("headers")
    @classmethod
    def _plain_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            problem = _header_problem(name, content)
            if problem:
                raise ValueError(problem)
        if len({name.lower() for name in value}) < len(value):
            msg = "names one header twice"
            raise ValueError(msg)
        if sum(len(name) + len(content) for name, content in value.items()) > HEADERS_MAX:
            msg = f"has more than {HEADERS_MAX} characters"
            raise ValueError(msg)
        return value

    @field_validator("query")
    @classmethod
    def _plain_query(cls, value: dict[str, Json]) -> dict[str, Json]:
        if is_ref(value):
            return value
        for name, content in value.items():
            for part in content if isinstance(content, list) else [content]:
                if not is_ref(part) and not isinstance(part, str | int | float):
                    msg = f"`{clean(name)[:100]}` must be text, a number, true or false, or a list of them"
                    raise ValueError(msg)
        return value

    @field_validator("body")
    @classmethod
    def _text_body(cls, value: Json) -> Json:
        if not isinstance(value, str) and not is_ref(value):
            msg = "must be text; for anything else there is `json`"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _one_body(self) -> HttpRequestArgs:
        given = self.body_fields
        if len(given) > 1:
            msg = "give either `json` or `body`"
            raise ValueError(msg)
        if given and self.method in READS:
            msg = f"a {self.method} has no body; use `query`"
            raise ValueError(msg)
        return self

    @property
    def body_fields(self) -> frozenset[str]:
        """Which of `json` and `body` was given."""
        return frozenset({"json_": "json", "body": "body"}[name] for name in self.model_fields_set & {"json_", "body"})

    @property
    def address(self) -> address.Address:
        """Where it goes."""
        return address.parse(self.url)


def _header_problem(name: str, content: str) -> str | None:
    if not _TOKEN.fullmatch(name):
        return f"{name[:100]!a} is no header name"
    if name.lower() in REFUSED_HEADERS:
        return f"{name} is set by us alone"
    if name.lower() in METHOD_HEADERS:
        return f"{name} would make it another method than the plan says: write that one as the method"
    if not all(c == "\t" or " " <= c <= "~" for c in content) or content != content.strip():
        return f"{name} has a value that is not plain ASCII text"
    return None


class HttpRequestAction(Action[HttpRequestArgs]):
    """GET and HEAD only read; everything else may change something, and is high."""

    name: ClassVar[str] = "http.request"
    args_model: ClassVar[type[Args]] = HttpRequestArgs

    def __init__(self, own: Iterable[str] = ()) -> None:
        """`own`: host:port of our own parts (front door, gateway, database, brokers, bucket), never a target."""
        self._own = frozenset(machine for place in own if (machine := _machine(place)))

    def effect(self, args: HttpRequestArgs, policy: Policy) -> Effect:
        """By method; POST and PATCH may be repeated only where the host's setting says so."""
        if args.method in REPEATABLE:
            return Effect.IDEMPOTENT
        listed = policy.host(args.address.host, args.address.port)
        return Effect.IDEMPOTENT if listed is not None and listed.idempotent else Effect.NON_IDEMPOTENT

    def floors(self, args: HttpRequestArgs, known: Known) -> tuple[Reason, ...]:
        """Low: reading, with no header beyond Accept, no result data, from a host that is named or listed."""
        target = args.address
        host = {"host": target.authority}
        listed = known.policy.host(target.host, target.port) is not None
        reasons: list[Reason] = []
        if args.method not in READS:
            reasons.append(Reason(rule="http_method", floor=Risk.HIGH, values={"method": args.method, **host}))
        if secrets := _credentials(args):
            reasons.append(
                Reason(rule="http_secret", floor=Risk.HIGH, values={"names": ", ".join(secrets)[:200], **host})
            )
        if known.result_fields:
            rule, floor = ("http_result", Risk.MEDIUM) if listed else ("http_result_unlisted", Risk.HIGH)
            reasons.append(Reason(rule=rule, floor=floor, values=host))
        if others := sorted(name for name in args.headers if name.lower() != "accept"):
            reasons.append(
                Reason(rule="http_headers", floor=Risk.MEDIUM, values={"names": ", ".join(others)[:200], **host})
            )
        if not listed and not address.named_in(known.text, target):
            reasons.append(Reason(rule="http_host_unlisted", floor=Risk.MEDIUM, values=host))
        return tuple(reasons)

    def refusals(self, args: HttpRequestArgs, policy: Policy) -> tuple[tuple[str, str], ...]:
        """Our own parts and the platform's control plane, always; private addresses unless listed by name and port."""
        target = args.address
        if target.machine in self._own:
            return (("url", "refuse.own_part"),)
        if not target.inside:
            return ()
        if target.platform:
            return (("url", "refuse.platform"),)
        listed = policy.host(target.host, target.port)
        return () if listed is not None and listed.port is not None else (("url", "refuse.private_address"),)

    def targets(self, args: HttpRequestArgs) -> frozenset[str]:
        """Host and port, and the name of every credential."""
        return frozenset({f"http:{args.address.place}", *(f"secret:{name.lower()}" for name in _credentials(args))})

    def essence(self, args: HttpRequestArgs) -> Json:
        """Method, address, query and body: what the far side acts upon."""
        return {
            "method": args.method, "url": args.address.url, "query": args.query, "body": args.body,
            "json": args.json_, "has": [*sorted(args.body_fields)],
        }  # fmt: skip

    def timeout(self, args: HttpRequestArgs) -> timedelta:
        """As given."""
        return timedelta(seconds=args.timeout)

    def summary(self, args: HttpRequestArgs, lang: Lang) -> str:
        """Method, address, query, headers (credentials masked) and body."""
        extras = []
        if args.query:
            query: Json = dict(args.query) if is_ref(args.query) else {
                name: MASK if secret_parameter(name) else value for name, value in args.query.items()
            }  # fmt: skip
            extras.append(t("say.http_query", lang, query=shown(query, lang)))
        if args.headers:
            headers = [
                f"{name}: {MASK if SECRET_HEADERS.search(name) else value}" for name, value in args.headers.items()
            ]
            extras.append(t("say.http_headers", lang, headers=shortened("; ".join(headers), lang)))
        for field, value in (("json", args.json_), ("body", args.body)):
            if field in args.body_fields:
                extras.append(t("say.http_body", lang, body=shown(value, lang)))
        return t("say.http_request", lang, method=args.method, url=_masked(args.address)) + "".join(extras)

    def run(self, args: HttpRequestArgs, ctx: Context) -> Outcome:
        """Send it within the time that is left."""
        target = args.address
        content, headers = encoded(args.body_fields, args.json_, args.body, args.headers)
        listed = ctx.policy.host(target.host, target.port)
        if args.method not in READS and listed is not None and listed.idempotent:
            headers["Idempotency-Key"] = ctx.idempotency_key
        query = urlencode(_pairs(args.query))
        url = target.url + (("&" if target.query else "?") + query if query else "")
        request = HttpRequest(
            method=args.method, url=url, headers=headers, body=content, timeout=min(args.timeout, ctx.remaining())
        )
        return exchange(ctx, request, safe=args.method in READS, expect=args.expect or ())


def _machine(place: str) -> str | None:
    """An own part's host:port as `Address.machine` has it; None for a name that no url can have, so no plan either."""
    host, _, port = place.rpartition(":")
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    try:
        return address.parse(f"http://{bracketed}:{port}").machine
    except ValueError:
        return None


def _pairs(query: dict[str, Json]) -> list[tuple[str, str]]:
    """Lists become one pair for each of their values; numbers and truth values are written as JSON has them."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, content in query.items()
        for value in (content if isinstance(content, list) else [content])
    ]


def _parameters(target: address.Address) -> list[str]:
    return [unquote(part.partition("=")[0]) for part in target.query.split("&") if part]


def _credentials(args: HttpRequestArgs) -> list[str]:
    names = [name for name in args.headers if SECRET_HEADERS.search(name)]
    names += [name for name in [*_parameters(args.address), *args.query] if secret_parameter(name)]
    return sorted({clean(name) for name in names})


def _masked(target: address.Address) -> str:
    parts = []
    for part in target.query.split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={MASK}" if equals and secret_parameter(unquote(name)) else part)
    return target.url.partition("?")[0] + ("?" + "&".join(parts) if target.query else "")
