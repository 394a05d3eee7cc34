"""http.request: what becomes of an answer's body and headers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from common.actions.exchange import KEPT_HEADERS, read_json, result
from common.core.errors import FieldError
from common.core.json_limits import walk
from common.core.task import Json
from common.ports import HttpResponse
from tests.unit.actions_stand_in import answered


@pytest.mark.parametrize(
    ("body", "content_type", "key"),
    [
        (b'{"a": [1, "x"]}', "application/json", "json"),
        (b'{"a": 1}', "application/problem+json; charset=utf-8", "json"),
        (b'{"a": NaN}', "application/json", "text"), (b'{"a": 1e999}', "application/json", "text"),
        (b'"\\u0000"', "application/json", "text"),
        (b'"\\ud800"', "application/json", "text"), (b'{"\\u0000": 1}', "application/json", "text"),
        (b"[" * 100_000, "application/json", "text"),
        (b"[" * 65 + b"]" * 65, "application/json", "text"), (b"not json", "application/json", "text"),
        (b"", "application/json", "text"),
        (b"\xff\xfe", "application/json", "base64"), ("가격".encode(), "text/plain", "text"),
        ("가격".encode("cp949"), "text/html; charset=euc-kr", "text"),
        ("가격".encode("cp949"), "text/html", "base64"), (b"a\x00b", "text/plain", "base64"),
        (b"\x89PNG", "image/png", "base64"),
        (b"abc", "text/plain; charset=unicode_escape", "base64"), (b"abc", "application/octet-stream", "base64"),
        (b"abc", "", "text"),
    ],
)  # fmt: skip
def test_a_body_becomes_what_it_plainly_is(body: bytes, content_type: str, key: str) -> None:
    """JSON, text or base64; what JSON or PostgreSQL could not hold never reaches them as such."""
    value = result(answered(200, body, content_type))
    assert isinstance(value, dict)
    assert key in value
    assert value.get("text") != "" or body == b""


def test_only_a_few_headers_are_kept_and_none_can_break_storage() -> None:
    """Cookies and the like stay out of results; a NUL in a header does not reach the database."""
    response = HttpResponse(
        status=200, headers={"Set-Cookie": "s", "ETag": 'a\x00"', "Location": "x" * 5000}, body=b"", url=""
    )
    value = result(response)
    assert isinstance(value, dict)
    headers = value["headers"]
    assert isinstance(headers, dict)
    assert set(headers) <= set(KEPT_HEADERS)
    assert headers["etag"] == 'a\ufffd"'
    assert len(str(headers["location"])) == 1000


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "text/plain", "text/html; charset=cp949", "", "image/png"]),
)
def test_any_body_can_be_stored(body: bytes, content_type: str) -> None:
    """Whatever a far side sends, the result is JSON without a NUL, a lone surrogate or an endless number."""
    value = result(answered(200, body, content_type))
    json.dumps(value, allow_nan=False).encode()
    problems = [error for error in _problems(value) if "2**53" not in error]
    assert problems == []


def _problems(value: Json) -> list[str]:
    errors: list[FieldError] = []
    list(walk(value, "", errors))
    return [error.detail for error in errors]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_json_that_is_read_is_what_was_written(value: Json) -> None:
    """Reading changes nothing, and refuses by an exception only."""
    try:
        assert read_json(json.dumps(value)) == value
    except ValueError:
        assert "\\u" in json.dumps(value)
