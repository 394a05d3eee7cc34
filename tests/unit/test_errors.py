"""The drawing on top of errors.py is the tree of its classes."""

from __future__ import annotations

import inspect
import re

from common.core import errors
from common.core.errors import AppError

CLASSES = {
    name: made
    for name, made in inspect.getmembers(errors, inspect.isclass)
    if issubclass(made, AppError) and made.__module__ == errors.__name__
}


def drawn() -> dict[str, tuple[str | None, str]]:
    """By name: the parent, and what is written beside it."""
    found: dict[str, tuple[str | None, str]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([\s|+-]*)(\w+)\s*(.*)$", line)
        if match is None or not match[2]:
            continue
        depth = len(match[1])
        above = [(d, name) for d, name in above if d < depth]
        found[match[2]] = (above[-1][1] if above else None, match[3])
        above.append((depth, match[2]))
    return found


def test_the_drawing_is_the_tree() -> None:
    """Every class is drawn under its parent, and nothing else is drawn."""
    tree = {name: made.__bases__[0].__name__ if made is not AppError else None for name, made in CLASSES.items()}
    assert {name: parent for name, (parent, _) in drawn().items()} == tree


def test_the_drawing_says_each_status() -> None:
    """A number beside a name is the status of its answers."""
    for name, (_, words) in drawn().items():
        number = re.match(r"(\d{3})\b", words)
        if number:
            assert CLASSES[name].status == int(number[1]), name


def test_every_error_has_a_code_of_its_own_and_a_title() -> None:
    """`code` names the problem type and is public."""
    codes = [made.code for made in CLASSES.values()]
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)
    assert all(made.title for made in CLASSES.values())


def test_what_may_be_sent_again_says_when() -> None:
    """503 and 429 carry Retry-After."""
    assert errors.StoreUnavailable().retry_after == 2
    assert errors.TooMany(7).retry_after == 7
    assert errors.NotFound().retry_after is None
