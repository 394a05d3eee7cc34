"""Each member of State says how it is left, and the words are held to the lifecycle table."""

from __future__ import annotations

import inspect
import re

import pytest

from common.core import task
from common.core.lifecycle import RULES
from common.core.task import TERMINAL, State


def said_of(state: State) -> str:
    """The comment at a member: on its line, or on those above it."""
    lines = inspect.getsource(State).splitlines()
    start = next(n for n, line in enumerate(lines) if re.match(rf"\s+{state.name}\s*=", line))
    end = next((n for n in range(start + 1, len(lines)) if re.match(r"\s+([A-Z_]+\s*=|#)", lines[n])), len(lines))
    above = start
    while above > 0 and lines[above - 1].strip().startswith("#"):
        above -= 1
    return " ".join(line.split("#", 1)[1] for line in lines[above:end] if "#" in line)


@pytest.mark.parametrize("state", [state for state in State if state not in TERMINAL])
def test_a_state_says_where_it_leads(state: State) -> None:
    """Cancelling is possible everywhere and need not be said; staying is no leaving."""
    named = {State[word] for word in re.findall(r"[A-Z][A-Z_]{3,}", said_of(state))}
    leads = {target for rule in RULES if state in rule.sources for target in rule.targets}
    assert named - {State.CANCELLED} == leads - {State.CANCELLED, state}


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_terminal_state_says_so(state: State) -> None:
    """Nothing leads on from it."""
    assert said_of(state).strip() == "terminal"
    assert not [rule.kind for rule in RULES if state in rule.sources]


def test_the_states_are_the_eight() -> None:
    """The CHECK in the database, the message catalogue and the drawing have the same."""
    assert len(State) == 8
    assert set(State) > task.LEASED | TERMINAL
