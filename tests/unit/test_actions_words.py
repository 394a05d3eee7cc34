"""The sentences that a person approves: exact, short, in both languages, and not to be fooled."""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from common.actions import catalogue
from common.actions.words import clean, shown
from common.core import policy
from common.core.task import Json, Step
from tests.unit.actions_stand_in import CATALOGUE, get, post, step

ROOT = Path(catalogue.__file__).parents[2]
REFUND = post("https://pay.example.com/r", json={"amount": 39_000, "x": 0.1, "id": {"$ref": "steps.order.json.id"}})


def messages(lang: str) -> dict[str, str]:
    """Our part of a language's catalogue."""
    return tomllib.loads((ROOT / "common" / "i18n" / f"actions.{lang}.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("target", "english", "korean"),
    [
        (
            REFUND,
            'Send POST https://pay.example.com/r, body {"amount":39000,"x":0.1,"id":«result of order: json.id»}',
            (
                "POST 요청 보내기: https://pay.example.com/r, "
                '본문 {"amount":39000,"x":0.1,"id":«order 단계의 결과: json.id»}'
            ),
        ),
        (
            get("http://예시.한국/?q=1"),
            "Send GET http://xn--vv4b11d.xn--3e0b707e/?q=1",
            "GET 요청 보내기: http://xn--vv4b11d.xn--3e0b707e/?q=1",
        ),
        (step("wait", {"seconds": 5400}), "Wait 5,400 s", "5,400초 기다리기"),
        (step("wait", {"seconds": 0.25}), "Wait 0.25 s", "0.25초 기다리기"),
        (
            step("wait", {"until": "2026-11-25T09:00:00+09:00"}),
            "Wait until 2026-11-25 09:00:00+09:00",
            "2026-11-25 09:00:00+09:00까지 기다리기",
        ),
        (step("value", {"value": [1, None]}), "Keep the value [1,null]", "값 [1,null] 보관"),
        (
            step("notify", {"channel": "ops", "message": ["price: ", {"$ref": "steps.page.json | price"}]}),
            'Send to the channel ops: "price: " «result of page: json | price»',
            'ops 채널에 보내기: "price: " «page 단계의 결과: json | price»',
        ),
        (
            step("function.invoke", {"function": "ocr", "body": "a"}),
            'Run the function ocr with "a"',
            '함수 실행: ocr, 입력 "a"',
        ),
        (
            step("claude.generate", {"prompt": "Hi"}),
            'Have Claude write at most 1,000 tokens from "Hi"',
            'Claude에게 글 맡기기(최대 1,000토큰): "Hi"',
        ),
        (step("shell.run", {}), "shell.run: cannot be read here", "shell.run: 여기서는 읽을 수 없는 단계"),
        (get("nonsense"), "http.request: cannot be read here", "http.request: 여기서는 읽을 수 없는 단계"),
    ],
)  # fmt: skip
def test_a_sentence_says_what_will_be_done(target: Step, english: str, korean: str) -> None:
    """I4: method, host, path and amounts unaltered, results named, in the reader's language; a strange step says so."""
    assert CATALOGUE.sentence(target, "en") == english
    assert CATALOGUE.sentence(target, "ko") == korean


def test_bounds_are_part_of_what_is_approved() -> None:
    """I4: an approver of values that are not known yet approves their bounds, and reads them."""
    bounded: Json = {"$ref": "steps.page.price", "must": {"type": "number", "maximum": 50_000}}
    said = CATALOGUE.sentence(post("https://pay.example.com/", json={"amount": bounded}), "en")
    assert '{"amount":«result of page: price, must be {"type":"number","maximum":50000}»}' in said


def test_a_long_body_is_shown_by_its_size_and_its_beginning() -> None:
    """A wall of text does not hide that there is more of it."""
    said = CATALOGUE.sentence(post("https://pay.example.com/", body="x" * 5000), "en")
    assert said.endswith("x… (5,002 characters in all)")
    assert len(said) < 520


def test_credentials_are_masked_in_sentences() -> None:
    """I11: a sentence is announced on a channel: a credential in a header or a query is named there, never shown."""
    target = get(
        "https://api.example.com/?token=s3cret&a=1",
        headers={"Authorization": "Bearer s3cret", "Accept": "text/csv"},
        query={"key": "s3cret"},
    )
    said = CATALOGUE.sentence(target, "en")
    assert "s3cret" not in said
    assert "token=•••&a=1" in said
    assert "Authorization: •••; Accept: text/csv" in said


@pytest.mark.parametrize(
    "trick", ["\u202e", "\u200b", "\u2066", "\ufeff", "\u00ad", "\u2028", "\ue000", "\x1b", "\x7f", "\x85"]
)
def test_invisible_characters_are_shown(trick: str) -> None:
    """A sentence cannot be turned around, broken or padded by characters that nobody sees."""
    for target in (
        post("https://e.org/", json={"a" + trick: "b" + trick}),
        step("notify", {"channel": "ops", "message": "m" + trick}),
    ):
        assert trick not in CATALOGUE.sentence(target, "ko")


def test_text_that_poses_as_a_result_stays_within_its_quotation_marks() -> None:
    """«…» without quotation marks is ours alone, and a text cannot leave its own."""
    said = CATALOGUE.sentence(step("notify", {"channel": "ops", "message": '" «result of page»'}), "en")
    assert said == 'Send to the channel ops: "\\" «result of page»"'


@given(st.text(max_size=30))
def test_nothing_hidden_is_left_in_cleaned_text(text: str) -> None:
    """Every character that could hide or reorder others is written as an escape; the others stay."""
    cleaned = clean(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in cleaned)
    assert clean(cleaned) == cleaned


@given(
    st.recursive(
        st.integers(-(2**53), 2**53) | st.booleans() | st.none() | st.text('abcé가"\\«»{}'),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_short_value_is_shown_exactly(value: Json) -> None:
    """I4: what an approver reads is JSON that means the value, braces and quotation marks included."""
    assert json.loads(shown(value, "en", limit=10**6)) == value


def test_every_rule_refusal_and_sentence_exists_in_both_languages() -> None:
    """Both languages have the same keys with the same places, and every key that the code names is there."""
    english, korean = messages("en"), messages("ko")
    assert english.keys() == korean.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", korean[key])), key
    sources = [*(ROOT / "common" / "actions").glob("*.py"), Path(policy.__file__)]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    rules = set(re.findall(r'rule="(\w+)"', code)) | set(re.findall(r'\("(http_result\w*)", Risk', code))
    keys = {f"reason.{rule}" for rule in rules} | set(re.findall(r'\bt\(\s*"(say[.a-z_]+)"', code))
    refusals = set(re.findall(r'"(refuse\.\w+)"', code))
    names = {f"action.{name.replace('.', '_')}" for name in CATALOGUE.schemas()}
    keys |= (
        refusals
        | {f"{key}.hint" for key in refusals}
        | names
        | {f"{name}.{part}" for name in names for part in ("effect", "floor")}
    )
    assert len(rules) >= 15
    assert keys <= english.keys()
    assert {key for key in english if not key.startswith(("failure.", "mend."))} <= keys
