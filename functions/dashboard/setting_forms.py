"""Settings as people type them, one entry a line, and back to what the API takes. The API alone says what is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.core.task import Json

# One `name[:port][;idempotent]` or `name=url[;idempotent]` a line: as the environment writes them, but for the commas.
LISTS: Final = frozenset({"hosts", "functions", "channels"})
AUTORUN: Final = "autorun"
SELF_APPROVAL: Final = "self_approval"
CHOICES: Final[Mapping[str, Json]] = {"yes": True, "no": False, "alone": None}


def shown(name: str, value: Json) -> str:
    """What stands in the field."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_host(item) for item in value)
    if isinstance(value, dict) and name in LISTS:
        return "\n".join(f"{key}={_target(item)}" for key, item in value.items())
    return str(value)


def _host(item: Json) -> str:
    if not isinstance(item, dict):
        return str(item)
    name = str(item.get("name", ""))
    place = f"[{name}]" if ":" in name else name
    return place + (f":{item['port']}" if item.get("port") else "") + _flag(item)


def _target(item: Json) -> str:
    return str(item.get("url", "")) + _flag(item) if isinstance(item, dict) else str(item)


def _flag(item: Mapping[str, Json]) -> str:
    return ";idempotent" if item.get("idempotent") is True else ""


def typed(name: str, fields: Mapping[str, str]) -> Json:
    """What the API is asked to store."""
    if name == "policy":
        return {AUTORUN: fields.get(AUTORUN, ""), SELF_APPROVAL: CHOICES.get(fields.get(SELF_APPROVAL, ""))}
    value = fields.get("value", "").strip()
    if name in LISTS:
        return ",".join(line.strip() for line in value.splitlines() if line.strip())
    return value


def choice_of(value: Json) -> str:
    """Which of the three answers to self-approval is stored."""
    return next(name for name, stored in CHOICES.items() if stored is value)
