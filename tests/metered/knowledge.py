"""What the fake's models know: texts and what to make of them, said in the form that the prompt asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.metered.asked import Asked

_OBJECT: Final = re.compile(r"<tasks>\n(.*)\n</tasks>", re.DOTALL)
_URL: Final = re.compile(r"https?://[^\s\"'<>]+[\w/]")
STRONG: Final = ("claude-sonnet", "claude-opus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A text understood. `confidence` is the small model's; a strong one is sure."""

    kind: str
    summary: str
    steps: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()  # id, action, arguments
    risk: str = "low"
    confidence: float = 0.9
    priority: int = 5

    def said(self, *, strong: bool) -> dict[str, Any]:
        """As the schema has it."""
        return {
            "kind": self.kind,
            "summary": self.summary,
            "risk": self.risk,
            "confidence": max(self.confidence, 0.95) if strong else self.confidence,
            "priority": self.priority,
            "steps": [
                {"id": name, "action": action, "args": json.dumps(args, ensure_ascii=False)}
                for name, action, args in self.steps
            ],
        }


class Knowledge:
    """A model that knows some texts by heart, and guesses at the rest."""

    def __init__(self, known: Mapping[str, Known] | None = None) -> None:
        """`known`: by the task's whole text."""
        self._known = dict(known or {})

    def says(self, asked: Asked) -> str:
        """The answer to a request: a plan for each task where a schema is given, else a sentence."""
        if asked.schema is None:
            return f"As you wish. ({asked.content[:60]})"
        strong = asked.model.startswith(STRONG)
        found = _OBJECT.search(asked.content)
        if found is None:
            return "I can only read tasks."
        items: list[dict[str, Any]] = json.loads(found.group(1))["items"]
        answers = [{"nonce": item["nonce"], **self.known(item).said(strong=strong)} for item in items]
        return json.dumps({"answers": answers}, ensure_ascii=False)

    def known(self, item: Mapping[str, Any]) -> Known:
        """What a task's text means."""
        text = str(item.get("text", ""))
        return self._known.get(text) or guess(text, str(item.get("language", "en")))


def guess(text: str, lang: str) -> Known:
    """A page that is named is fetched, with confidence; anything else is repeated, with little."""
    url = _URL.search(text)
    if url is not None:
        summary = f"{url.group()} 페이지를 가져옵니다." if lang == "ko" else f"Fetches {url.group()}."
        return Known(kind="fetch_page", summary=summary, steps=(("page", "http.request", {"url": url.group()}),))
    summary = "들은 대로 적어 둡니다." if lang == "ko" else "Notes down what was said."
    return Known(kind="note", summary=summary, steps=(("note", "value", {"value": text[:200]}),), confidence=0.4)
