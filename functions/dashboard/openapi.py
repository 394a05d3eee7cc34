"""The OpenAPI document of all five functions, made from the one table of routes and the public models."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from common import api
from common.core.task import Json
from common.problems import PROBLEM
from common.routes import ROUTES, Route

Schema = dict[str, Json]
REF: Final = "#/components/schemas/{model}"
HASH: Final = "v1:sha256:9f2c5d0e8a4b7c6d1e3f2a5b8c7d6e9f0a1b2c3d4e5f60718293a4b5c6d7e8f9"

# When each is answered. A route's own list is computed from what it takes.
PROBLEMS: Final = {
    400: "The body is not JSON, or not UTF-8",
    401: "No valid token",
    403: "The token's role does not reach, or the requester may not decide",
    404: "Not there, or another workspace's",
    409: "State, digest, key or version conflict; the body carries the present `state` and `digest`",
    413: "The body is too large",
    415: "Not application/json",
    422: "The content does not fit; `errors` points at each fault",
    429: "Too often; see Retry-After",
    503: "Not now; see Retry-After, the same request may be sent again",
}
RETRIED_LATER: Final = frozenset({429, 503})
CONFLICTING: Final = frozenset(
    {"put_setting", "add_person", "remove_person"}
)  # besides everything that is done to a task

# Their body names a person, who may be nobody's here.
NAMING_A_PERSON: Final = frozenset({"add_token", "sign_in_code"})

ID: Final[Schema] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The task's id (UUIDv7), or a unique ending of it: at least 4 hex digits",
    "schema": {"type": "string"},
    "example": "01936e5c-7b3a-7c41-9a55-0f3de1a2b3c4",
}
HEADERS: Final[dict[str, tuple[str, str, bool]]] = {  # by route: header, what it is, whether it is required
    "submit": ("Idempotency-Key", "Sent again with the same body: the first answer's tasks, no new ones", False),
    "put_setting": ("If-Match", 'The version that was read, e.g. "3"; 409 if it is another by now', True),
    "task_events": ("Last-Event-ID", "Only events after this `seq`", False),
    "events": (
        "Last-Event-ID",
        "Only events after this position (an earlier answer's `next`, or a stream's id)",
        False,
    ),
}
STREAMS: Final = frozenset({"task_events", "events"})

PLAN: Final[Json] = {
    "steps": [
        {"id": "page", "action": "http.request", "args": {"method": "GET", "url": "https://api.example.com/price"}},
        {"id": "price", "action": "value", "args": {"value": {"$ref": "steps.page.json.price"}}},
    ]
}
BODY_EXAMPLES: Final[dict[str, dict[str, Json]]] = {
    "submit": {
        "in plain language": {"text": "Fetch https://api.example.com/price", "tags": ["prices"]},
        "a typed plan": {"plan": PLAN, "priority": 7},
        "several at once": [{"text": "Fetch https://api.example.com/a"}, {"text": "Fetch https://api.example.com/b"}],
    },
    "preview": {"in plain language": {"text": "Fetch https://api.example.com/price"}},
    "cancel": {"with a note": {"note": "no longer wanted"}},
    "approve": {"after reading it": {"digest": HASH, "note": "checked with the customer"}},
    "reject": {"after reading it": {"digest": HASH, "note": "wrong amount"}},
    "retry": {"with a note": {"note": "the host is on the list now"}},
    "reanalyze": {"with a note": {"note": None}},
    "resolve": {"done by hand": {"note": "booked by telephone", "result": {"table": 4}}},
    "outcome": {"it happened": {"step": "refund", "outcome": "done", "note": "seen in the payment console"}},
    "put_setting": {"the threshold": {"value": "medium"}},
    "pause": {"why": {"why": "maintenance of the payment host"}},
    "add_person": {"an approver": {"name": "Jiwoo Kim", "role": "approver"}},
    "add_token": {"for a program": {"role": "operator", "expires_in": 31_536_000}},
    "sign_in_code": {"for oneself": {}},
}


@lru_cache(maxsize=4)
def document(base: str) -> Schema:
    """The whole document. `base`: the path under which the installation is reached, without a trailing slash."""
    components, names = _components()
    paths: dict[str, Json] = {}
    for route in ROUTES:
        item = paths.setdefault(route.path, {})
        if isinstance(item, dict):
            item[route.method.lower()] = _operation(route, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ai-workflow-24h",
            "version": "1",
            "description": "People, systems and timers submit tasks; what is risky waits for a person who sees exactly "
            "what would run. Times are RFC 3339 with a zone, ids UUIDv7, money a decimal string of dollars, durations "
            "seconds. Unknown fields are refused.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base or "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in sorted({_tag(route) for route in ROUTES})],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`aiw_…`; the workspace is the token's"}
            },
        },
    }


# Where a docstring speaks to those who read the code.
DESCRIPTIONS: Final = {
    "State": "The last two are terminal",
    "Risk": "In rising order",
    "JsonValue": "Any JSON value",
}
Mode = Literal["validation", "serialization"]
Names = dict[tuple[type[BaseModel], Mode], str]


def _components() -> tuple[Schema, Names]:
    wanted: list[tuple[type[BaseModel], Mode]] = [(route.body, "validation") for route in ROUTES if route.body]
    wanted += [(model, "serialization") for route in ROUTES for _, model in route.answers if model]
    wanted += [(api.Problem, "serialization"), (api.TaskList, "serialization")]
    unique = list(dict.fromkeys(wanted))
    refs, definitions = models_json_schema(unique, by_alias=True, ref_template=REF)
    names: Names = {key: str(refs[key]["$ref"]).rpartition("/")[2] for key in unique}
    schemas: dict[str, Schema] = definitions["$defs"]
    for name, description in DESCRIPTIONS.items():
        schemas[name] = {**schemas[name], "description": description}
    return cast("Schema", schemas), names


def _operation(route: Route, names: Names) -> Schema:
    operation: Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Served by `{route.function}`. " + (f"Role: {route.role}." if route.role else "Open."),
        "tags": [_tag(route)],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": _responses(route, names),
    }
    if route.role is None:
        operation["security"] = []
    if route.body is not None:
        operation["requestBody"] = _request_body(route, route.body, names)
    return operation


def _tag(route: Route) -> str:
    return route.path.split("/")[3].removesuffix(".json")


def _ref(model: type[BaseModel], mode: Mode, names: Names) -> Schema:
    return {"$ref": REF.format(model=names[model, mode])}


def _request_body(route: Route, model: type[BaseModel], names: Names) -> Schema:
    one = _ref(model, "validation", names)
    schema: Schema = one
    if route.many:
        schema = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": api.BATCH_MAX}]}
    examples: Schema = {name: {"value": value} for name, value in BODY_EXAMPLES[route.name].items()}
    needed = any(field.is_required() for field in model.model_fields.values()) or route.name in {"submit", "preview"}
    return {"required": needed, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _path_parameters(route: Route) -> list[Json]:
    found: list[Json] = []
    for name in re.findall(r"{(\w+)}", route.path):
        if name == "id" and "/tasks/" in route.path:
            found.append(ID)
        else:
            kind: Schema = {"type": "string", "format": "uuid"} if "/people/" in route.path else {"type": "string"}
            found.append({"name": name, "in": "path", "required": True, "schema": kind})
    return found


def _query_parameters(route: Route) -> list[Json]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=REF)
    inlined = schema.get("$defs", {})
    found: list[Json] = []
    for name, given in schema["properties"].items():
        kind = _inline(given, inlined)
        description = kind.pop("description", None) if isinstance(kind, dict) else None
        found.append({"name": name, "in": "query", "required": False, "schema": kind}
                     | ({"description": description} if description else {}))  # fmt: skip
    return found


def _inline(schema: Json, definitions: dict[str, Json]) -> Json:
    """A query's enums written out where they are used; of `X or null` the X: in a query, null is leaving it out."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return _inline(definitions[str(schema["$ref"]).rpartition("/")[2]], definitions)
    choices = schema.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        [choice] = [c for c in choices if c != {"type": "null"}]
        return _inline(choice, definitions)
    dropped = {"title", "description"} if "enum" in schema else {"title"}
    return {key: _inline(value, definitions) for key, value in schema.items() if key not in dropped}


def _headers(route: Route) -> list[Json]:
    if route.name not in HEADERS:
        return []
    name, what, required = HEADERS[route.name]
    return [{"name": name, "in": "header", "required": required, "description": what, "schema": {"type": "string"}}]


def _responses(route: Route, names: Names) -> Schema:
    status, model = route.answers[0]
    responses: Schema = {str(status): _good(route, model, names)}
    problem: Schema = {PROBLEM: {"schema": _ref(api.Problem, "serialization", names)}}
    for code in _codes(route):
        answer: Schema = {"description": PROBLEMS[code], "content": problem}
        if code in RETRIED_LATER:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
        responses[str(code)] = answer
    return responses


def _good(route: Route, model: type[BaseModel] | None, names: Names) -> Schema:
    answer: Schema = {"description": route.summary}
    content: Schema = {}
    if model is not None:
        schema = _ref(model, "serialization", names)
        if route.many:
            schema = {"anyOf": [schema, _ref(api.TaskList, "serialization", names)]}
        content["application/json"] = {"schema": schema}
    if route.name in STREAMS:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    if route.name == "task_result":
        content = {media: {"schema": {}} for media in ("application/json", "text/plain", "application/octet-stream")}
    if route.name == "openapi":
        content = {"application/json": {"schema": {"type": "object"}}}
    if content:
        answer["content"] = content
    if route.name == "submit":
        answer["headers"] = {"Location": {"schema": {"type": "string"}, "description": "the task, of a single one"}}
    if route.name in {"get_setting", "put_setting"}:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "what If-Match wants"}}
    return answer


def _codes(route: Route) -> list[int]:
    codes: set[int] = set()
    if route.role is not None:
        codes |= {401, 403, 429, 503}
    if "{" in route.path:
        codes |= {404, 422}
    if route.body is not None:
        codes |= {400, 413, 415, 422}
    if route.name in NAMING_A_PERSON:
        codes.add(404)
    if route.query is not None or route.name in HEADERS:
        codes.add(422)
    if "/tasks/{" in route.path or route.name == "submit" or route.name in CONFLICTING:
        codes.add(409)
    return sorted(codes)
