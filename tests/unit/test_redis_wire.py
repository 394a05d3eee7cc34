"""Redis' protocol, as much of it as wakes need: read the same however it arrives, never taken for something else."""

from __future__ import annotations

import pytest

from common.adapters.redis.wire import Incomplete, Reply, ReplyError, command, reply

REPLIES: list[tuple[bytes, Reply]] = [
    (b"+OK\r\n", b"OK"),
    (b":12\r\n", 12),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"$4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
    (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", [b"a", [1]]),
]


def test_a_command_is_sent_by_lengths() -> None:
    """What stands in a word ends no word, and letters beyond ASCII are counted as bytes."""
    assert command("XADD", "a\r\nb", "é") == b"*3\r\n$4\r\nXADD\r\n$4\r\na\r\nb\r\n$2\r\n\xc3\xa9\r\n"


@pytest.mark.parametrize(("sent", "read"), REPLIES)
def test_a_reply_is_read_once_it_is_whole(sent: bytes, read: Reply) -> None:
    """Cut anywhere it is incomplete; with the next reply behind it, that one is left."""
    assert reply(sent + b"+next\r\n") == (read, len(sent))
    assert reply(b"+before\r\n" + sent, 9) == (read, 9 + len(sent))
    for cut in range(len(sent)):
        with pytest.raises(Incomplete):
            reply(sent[:cut])


def test_an_error_is_a_value_and_nonsense_is_refused() -> None:
    """An error may stand inside of a list; what is no reply is no wake."""
    found, end = reply(b"-NOGROUP no such key\r\n")
    assert isinstance(found, ReplyError)
    assert (str(found), end) == ("NOGROUP no such key", 22)
    for nonsense in (b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"*\r\n", b"\r\n"):
        with pytest.raises(ValueError, match=r"."):
            reply(nonsense)
