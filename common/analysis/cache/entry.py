"""An answer as it is remembered, and read again with the distrust that any answer meets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.analysis.packs.answer import UnusableError, read_item
from common.core.task import Json, PlanSource
from common.ports import Answer

SOURCE: Final = PlanSource.CACHED


def document_of(answer: Answer) -> dict[str, Json]:
    """What of an answer is remembered: a reading, and nothing that permits (I10). Neither its cost nor its source."""
    steps: list[Json] = [{"id": step.id, "action": step.action, "args": dict(step.args)} for step in answer.steps]
    said: dict[str, Json] = {"kind": answer.kind, "summary": answer.summary, "steps": steps}
    if answer.risk is not None:
        said["risk"] = answer.risk.value
    if answer.confidence is not None:
        said["confidence"] = answer.confidence
    if answer.priority is not None:
        said["priority"] = answer.priority
    return said


def answer_from(document: Mapping[str, Json]) -> Answer | None:
    """The answer in a document; None: it is none. A risk that is missing or odd is high (I5)."""
    try:
        proposal = read_item({"nonce": "", **document})
        steps = proposal.planned()
    except UnusableError:
        return None
    if not steps:
        return None
    return Answer(
        kind=proposal.kind,
        steps=steps,
        source=SOURCE,
        risk=proposal.risk,
        confidence=proposal.confidence if "confidence" in document else None,
        priority=proposal.priority,
        summary=proposal.summary,
    )
