"""A body is parsed once and strictly."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from common.body import read_json
from common.core.errors import Invalid, Malformed

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != "\x00")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc~/", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
def test_what_is_json_comes_back_as_it_was(value: object) -> None:
    """A body without anything unstorable is parsed unchanged."""
    import orjson  # noqa: PLC0415 - only this test writes JSON with it

    assert read_json(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"text": "a\\u0000b"}', "#/text"),
        (b'{"inputs": {"x": ["\\ud800"]}}', "#/inputs/x/0"),
        (b'{"inputs": {"x": NaN}}', "#/inputs/x"),
        (b'{"inputs": {"x": -Infinity}}', "#/inputs/x"),
        (b'{"inputs": {"amount": 9007199254740993}}', "#/inputs/amount"),
        (b'{"inputs": {"amount": -100000000000000000000000}}', "#/inputs/amount"),
        (b'{"a~b": {"c/d": "\\u0000"}}', "#/a~0b/c~1d"),
        (b'{"a\\u0000": 1}', "#/a\x00"),
    ],
)
def test_what_cannot_be_stored_is_pointed_at(raw: bytes, pointer: str) -> None:
    """NUL, lone surrogates, NaN and infinities are refused at their field, in RFC 6901's writing."""
    with pytest.raises(Invalid) as refused:
        read_json(raw)
    assert [error.pointer for error in refused.value.errors] == [pointer]


@pytest.mark.parametrize("raw", [b"{", b'{"a": 1,}', b"\xff\xfe{}", b'{"a": "\xc3"}', b"", b"nul"])
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    """Broken JSON and bad UTF-8 are 400, not 422 and never 500."""
    with pytest.raises(Malformed):
        read_json(raw)


def test_deep_nesting_is_refused_before_anything_recurses() -> None:
    """A thousand brackets are a problem with a pointer, not a stack overflow somewhere below."""
    with pytest.raises((Invalid, Malformed)):
        read_json(b"[" * 1000 + b"]" * 1000)
    with pytest.raises(Invalid) as refused:
        read_json(b'{"inputs": ' + b'{"a": ' * 70 + b"1" + b"}" * 70 + b"}")
    assert "nested deeper" in refused.value.errors[0].detail


def test_long_numbers_in_text_are_text() -> None:
    """An account number of forty digits is a string, and comes back as it was."""
    assert read_json(b'{"a": "1234567890123456789012345678901234567890"}') == {"a": "1234567890" * 4}


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """An array of a thousand objects is wide, and allowed."""
    assert len(read_json(b"[" + b",".join([b"{}"] * 1000) + b"]")) == 1000  # type: ignore[arg-type]  # it is a list
