"""Schemathesis over the running product's own OpenAPI document: no 500, and nothing that the document does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from common.core.installation import SETTINGS
from common.routes import API, ROUTES
from tests.stack import Product

EXAMPLES: Final = 10
HELD: Final[list[CheckFunction]] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
# Positive cases fit the document, negative ones do not; a route that takes nothing has only the former.
CASES: Final = [
    (route.name, mode)
    for route in ROUTES
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or route.role
]
VALUE: Final = {"id": "v", "action": "value", "args": {"value": {"n": 7}}}
SEND: Final = {
    "id": "s",
    "action": "http.request",
    "args": {"method": "POST", "url": "https://pay.example.com/", "json": 1},
}


@dataclass(frozen=True)
class Ground:
    """The document as it is served, and what there is to ask about."""

    schema: OpenApiSchema
    tasks: list[str]
    tokens: list[str | None]


@pytest.fixture(scope="module")
def ground(product: Product) -> Ground:
    """Tasks that succeeded, wait for approval and for a person; tokens of every role, and none."""
    tasks = [
        product.api("POST", "/tasks?wait=30", body)["id"]
        for body in ({"plan": {"steps": [VALUE]}}, {"plan": {"steps": [SEND]}}, {"text": "회식 장소 알아봐줘"})
    ]
    roles = [product.api("POST", "/tokens", {"role": role})["secret"] for role in ("viewer", "operator", "approver")]
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{product.port}{API}/openapi.json")
    assert isinstance(schema, OpenApiSchema)
    return Ground(schema, tasks, [product.token, product.token, product.token, *roles, "aiw_nobody", None])


def prepared(case: Case[Any], task: str, name: str, token: str | None, *, valid: bool) -> dict[str, str]:
    """Aim a valid case at what is there; the headers to send it with."""
    if valid:
        # A plan that waits would be waited for.
        case.query.pop("wait", None)
        if "/tasks/{id}" in case.path:
            case.path_parameters["id"] = task
        if "/settings/{name}" in case.path:
            case.path_parameters["name"] = name
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name}-{mode.value}" for name, mode in CASES])
def test_nothing_is_answered_that_is_not_documented(ground: Ground, name: str, mode: GenerationMode) -> None:
    """Status, content type, headers and body of every answer are as the document says, whoever asks for whatever."""
    operation = ground.schema.find_operation_by_id(name)

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        task=st.sampled_from(ground.tasks),
        setting=st.sampled_from(sorted(SETTINGS)),
        token=st.sampled_from(ground.tokens),
    )
    def ask(case: Case[Any], task: str, setting: str, token: str | None) -> None:
        headers = prepared(case, task, setting, token, valid=mode is GenerationMode.POSITIVE)
        answer = case.call(headers=headers, timeout=30)
        case.validate_response(answer, checks=HELD)

    ask()
