"""ARCHITECTURE.md is held to the code: its drawing, its paths and its defaults."""

from __future__ import annotations

import re
from pathlib import Path

from common.config import Settings
from common.core.lifecycle import RULES
from common.core.task import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()


def drawing() -> str:
    """The lifecycle as a Mermaid state diagram, one arrow for each pair of states, in the table's order."""
    arrows: dict[tuple[State | None, State], list[str]] = {}
    for rule in RULES:
        for source in [None, *State]:
            for target in State:
                if source in rule.sources and target in rule.targets:
                    arrows.setdefault((source, target), []).append(rule.kind)
    lines = [f"    {s.value if s else '[*]'} --> {t.value}: {', '.join(kinds)}" for (s, t), kinds in arrows.items()]
    ends = [f"    {state.value} --> [*]" for state in (State.SUCCEEDED, State.CANCELLED)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, *ends, "```"])


def test_the_drawing_is_the_table() -> None:
    """A drawing kept by hand goes stale; this one is compared with what the table renders to."""
    assert drawing() in PAGE, f"put this into ARCHITECTURE.md:\n{drawing()}"


def test_every_path_that_is_named_exists() -> None:
    """Whoever follows the page finds what it speaks of."""
    named = set(re.findall(r"`((?:common|functions|cli|infra|tests|docs|template|bench)/[\w./-]+)`", PAGE))
    assert len(named) > 15
    missing = sorted(path for path in named if not (ROOT / path).exists())
    assert missing == []


def test_the_defaults_are_the_codes() -> None:
    """The table has every setting of the model and every limit, in the values of common/config.py, with its reason."""
    rows = dict(re.findall(r"^\| `AIW_([A-Z_]+)` \| ([^|]+?) \| [^|]+ \|$", PAGE, re.MULTILINE))
    fields = list(Settings.model_fields)
    wanted = {name: str(Settings.model_fields[name].default) for name in fields[fields.index("provider") :]}
    said = {"": "none", "True": "on", "False": "off"}
    assert {name.lower(): value.strip("`") for name, value in rows.items()} == {
        name: said.get(value, value) for name, value in wanted.items()
    }
