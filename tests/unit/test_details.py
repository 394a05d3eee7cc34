"""What an error says besides its title is said in the reader's language, wherever it was raised."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from common.core import errors
from common.i18n import catalogue, failure_said
from common.i18n.details import recipe_named, said

ROOT = Path(__file__).parents[2]
# Where what a person does on a page or by command is refused; a plan's own faults are for whoever writes plans.
RAISED = (
    *ROOT.glob("functions/approve/*.py"),
    *ROOT.glob("functions/dashboard/*.py"),
    ROOT / "common/auth.py",
    ROOT / "common/web.py",
    ROOT / "common/core/installation.py",
    ROOT / "common/adapters/postgres/people.py",
)
# For whoever runs the installation, or writes a program: the log and the command line show them as they are.
FOR_PROGRAMS = re.compile(
    r"signing\.key|^not a version$|GET it first|^e\.g\. |^1 to 65535$|^\[|^no such file$|the handler differ in"
)
CLASSES = {name for name in dir(errors) if isinstance(getattr(errors, name), type)} | {"_fault", "IllegalTransition"}


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
    return None


def _sentences(path: Path) -> set[str]:
    """What the file's errors are given, and what stands in `msg` and `detail` before."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLASSES:
            args = node.args[1:] if getattr(node.func, "id", "") in {"_fault", "FieldError"} else node.args
            found |= {text for arg in args if (text := _text(arg))}
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in {"msg", "detail"}:
            found |= {text for text in [_text(node.value)] if text}
    return found


@pytest.mark.parametrize("path", RAISED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_person_is_told_has_its_korean(path: Path) -> None:
    """No sentence with which a page or a command refuses stays English for a Korean reader."""
    left = {text for text in _sentences(path) if " " in text and not FOR_PROGRAMS.search(text)}
    assert {text for text in left if said(text, "ko") == text} == set()


def test_the_sentences_of_both_languages_have_the_same_places() -> None:
    """What is found in the English sentence is what the Korean one shows; none names what is not there."""
    places = {lang: {k: set(re.findall(r"\{(\w+)\}", v)) for k, v in catalogue(lang).items()} for lang in ("en", "ko")}
    keys = [key for key in places["en"] if key.startswith("detail.")]
    assert keys
    assert [key for key in keys if not places["ko"][key] <= places["en"][key]] == []


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("you have decided this already", "이미 결정하셨습니다"),
        ("this task is succeeded: there is nothing to decide", "지금 상태는 완료이고, 결정할 것이 없습니다"),
        ("this needs the role approver; yours is viewer", "승인자 역할이 필요합니다. 지금 역할은 조회자입니다"),
        ("#/plan/steps/0/args/url: leads to a private address", "#/plan/steps/0/args/url: 내부 주소를 가리킵니다"),
        ("#/text: must be text", "#/text: 텍스트여야 합니다"),
        ("must be 'ko' or 'en'", "다음 가운데 하나여야 합니다: 'ko', 'en'"),
        ("?month: a month is YYYY-MM, e.g. 2026-11", "?month: 월은 YYYY-MM으로 적어 주세요. 예: 2026-11"),
        ("a provider's own words", "a provider's own words"),
        ("x" * 10_000, "x" * 10_000),
    ],
)
def test_a_sentence_is_found_with_its_values(english: str, korean: str) -> None:
    """Values keep their place, ours in the reader's words; what is not ours stays as it is."""
    assert said(english, "ko") == korean
    assert said(english, "en") == english


def test_a_recipe_is_named_in_the_readers_language_whoever_asked() -> None:
    """The nearest recipe is kept as the requester read it; what is no recipe's name is left."""
    assert [recipe_named("Fetch a page", lang) for lang in ("ko", "en")] == ["페이지 가져오기", "Fetch a page"]
    assert recipe_named("페이지 가져오기", "en") == "Fetch a page"
    assert recipe_named("something else", "ko") == "something else"


def test_a_failure_without_words_is_named_by_its_code() -> None:
    """Nobody is shown the key of a message."""
    assert failure_said("timeout", "ko") == "제시간에 응답이 오지 않았습니다"
    assert failure_said("far_too_new", "ko") == "실패했습니다 (far_too_new)"
