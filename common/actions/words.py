"""How arguments are shown to whoever approves them: exactly, briefly, and unable to pose as something else."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Final

from common import api
from common.actions.contract import Json, Lang, is_ref, t

SHOWN_MAX: Final = 400  # characters of one value in a sentence; the plan beside it holds all of it
SECRET_HEADERS: Final = re.compile(
    r"authorization|cookie|token|secret|password|passwd|api-?key|x-[a-z-]*key|signature|credential", re.IGNORECASE
)
SECRET_PARAMETERS: Final = frozenset({
    "access_token", "api_key", "api-key", "apikey", "auth", "authorization", "client_secret", "key", "passwd",
    "password", "secret", "sig", "signature", "token",
})  # fmt: skip
MASK: Final = "•••"


def secret_parameter(name: str) -> bool:
    """Whether a query parameter is one that credentials are sent in."""
    return name.lower() in SECRET_PARAMETERS


def clean(text: str) -> str:
    """Text in which what hides or reorders its neighbours (bidirectional marks, zero widths) is written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _HIDING else c for c in text)


_HIDING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown(value: Json, lang: Lang, limit: int = SHOWN_MAX) -> str:
    """A value as compact JSON, amounts unaltered, references in words; a long one by its size and its beginning."""
    return shortened(_written(value, lang), lang, limit)


def _written(node: Json, lang: Lang) -> str:
    """JSON, but for references; `clean`ed as a whole, whose escapes are JSON's own."""
    if is_ref(node) and isinstance(node, dict):
        return reference(node, lang)
    if isinstance(node, dict):
        return "{" + ",".join(f"{_compact(key)}:{_written(inner, lang)}" for key, inner in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(_written(inner, lang) for inner in node) + "]"
    return _compact(node)


def shown_text(value: Json, lang: Lang, limit: int = SHOWN_MAX) -> str:
    """A message or prompt: text in quotation marks, the parts of a list one after another, references in words."""
    parts = value if isinstance(value, list) else [value]
    return shortened(" ".join(_written(part, lang) for part in parts), lang, limit)


def shortened(text: str, lang: Lang, limit: int = SHOWN_MAX) -> str:
    """In full if it is short, else its size and its first characters."""
    if len(text) <= limit:
        return text
    return t("say.shortened", lang, start=text[:limit], size=f"{len(text):,}")


def reference(ref: dict[str, Json], lang: Lang) -> str:
    """A reference in words: «result of page: json.price», with its bounds where it has some."""
    target = str(ref.get("$ref", ""))
    step = re.match(r"steps\.([a-z][a-z0-9_]*)", target)
    path = target[step.end() :] if step else target.partition(".")[2]
    path = path.lstrip(". |")
    words = t("say.result_of", lang, step=step[1]) if step else target.partition(".")[0]
    words = f"{words}: {path}" if path else words
    must = ref.get("must")
    bounds = ", " + t("say.must", lang, bounds=_compact(must)) if must else ""
    return f"«{clean(words + bounds)}»"


def joined(value: Json) -> str:
    """A message from its value: text as it is, a list's parts one after another, anything else as JSON."""
    if isinstance(value, list):
        return "".join(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _compact(value: Json) -> str:
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def described(name: str, schema: dict[str, Json], lang: Lang) -> api.ActionView:
    """An action for people and programs. `schema`: its arguments'."""
    key = f"action.{name.replace('.', '_')}"
    return api.ActionView(
        name=name, sentence=t(key, lang), effect=t(f"{key}.effect", lang), floor=t(f"{key}.floor", lang), schema_=schema
    )
