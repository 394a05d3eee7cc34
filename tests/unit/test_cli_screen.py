"""Columns, colours and times on the screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.screen import Screen, clean, columns, cut, fold, pad, short
from cli.stream import messages


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("한글", 4), ("a한b", 4), ("e\u0301", 1), ("", 0), ("🙂", 2)])
def test_columns_are_what_a_terminal_gives(text: str, width: int) -> None:
    """Korean and emoji take two columns, combining marks none."""
    assert columns(text) == width
    assert columns(pad(text, 10)) == 10


@pytest.mark.parametrize("text", ["plain words that go on", "한국어 문장은 두 칸씩 차지합니다", "가" * 50, "x" * 50])
def test_nothing_is_wider_than_it_may_be(text: str) -> None:
    """Cut and folded lines stay within their width, and folding loses no letter."""
    for width in (5, 9, 20):
        assert columns(cut(text, width)) <= width
        lines = fold(text, width)
        assert max(map(columns, lines)) <= width
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_what_comes_from_outside_cannot_move_the_cursor() -> None:
    """Escape sequences, overstrikes and letters that turn the direction are shown by number."""
    assert clean("pay\x1b[1A\x07 \u202egro.evil\u200b\x9b") == "pay\\u001b[1A\\u0007 \\u202egro.evil\\u200b\\u009b"
    assert clean("a\n\tb", one_line=True) == "a b"
    assert clean("a\nb") == "a\nb"


@pytest.mark.parametrize(
    ("seconds", "en", "ko"),
    [(5, "5 s ago", "5초 전"), (125, "2 min ago", "2분 전"), (7300, "2 h ago", "2시간 전"),
     (-4000, "in 1 h", "1시간 뒤"),
     (0, "now", "방금"), (300_000, "3 d ago", "3일 전")],
)  # fmt: skip
def test_times_are_relative(seconds: int, en: str, ko: str) -> None:
    """Times are told as people do."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds, milliseconds=1 if seconds > 0 else 0)).isoformat()
    assert (Screen("en").ago(at), Screen("ko").ago(at)) == (en, ko)
    assert Screen("en").ago(None) == "-"


def test_ids_are_shown_by_their_ending() -> None:
    """The ending is what tells ids apart: they begin with the time."""
    assert short("0192c4e1-7a2b-7c3d-8e4f-5a6b7c8d9e0f") == "7c8d9e0f"


def test_a_stream_is_read_as_the_standard_says() -> None:
    """Comments and unknown fields are passed over, data of several lines is joined, the last id stays."""
    body = ': hello\nretry: 10\n\nid: 7\r\ndata: {\r\ndata: "a": 1}\r\n\r\ndata: 2\n\ndata: 3'
    lines = body.splitlines(keepends=True)
    assert [(m.position, m.body) for m in messages(iter(lines))] == [("7", {"a": 1}), ("7", 2)]
