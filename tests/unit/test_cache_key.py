"""What shares an answer, and what never may."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from common.analysis.cache.key import Basis, catalogue_hash, key_of, normalised, shape
from common.analysis.cache.time_words import speaks_of_time
from common.core.policy import Function, Host, Policy
from common.core.task import Json, Origin, Request, State, Task
from common.ports import Question

HOME, OTHER = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
BASIS = Basis(("small", "strong"), "analysis.2", "0" * 64)


def asked(text: str, policy: Policy | None = None, home: UUID = HOME, **request: Any) -> Question:  # noqa: ANN401 - any field of a request
    """A question about a text."""
    made = Request(**{"text": text, "requested_by": UUID(int=3), **request})
    return Question(
        task=Task(id=UUID(int=4), workspace=home, state=State.ANALYZING, request=made), policy=policy or Policy()
    )


def key(text: str, basis: Basis = BASIS, now: datetime = NOON, **given: Any) -> str:  # noqa: ANN401 - as above
    """Its key."""
    return key_of(asked(text, **given), basis, now)


# Each pair reads alike to a hurried eye, and asks for something else.
LOOK_ALIKES = [
    ("pay invoice 1041", "pay invoice 1047"),
    ("pay 1000 won to Kim", "pay 10000 won to Kim"),
    ("refund 1.5 dollars", "refund 15 dollars"),
    ("refund 1,5 dollars", "refund 1.5 dollars"),
    ("fetch https://api.example.com/a", "fetch https://api.example.org/a"),
    ("fetch https://api.example.com/a", "fetch https://api-example.com/a"),
    ("fetch https://example.com/a", "fetch https://exampIe.com/a"),
    ("fetch https://example.com/a", "fetch http://example.com/a"),
    ("fetch https://example.com/a", "fetch https://example.com/A"),
    ("fetch https://example.com/a", "fetch https://example.com/a/"),
    ("fetch https://example.com:8443/a", "fetch https://example.com:8444/a"),
    ("delete the old backups", "do not delete the old backups"),
    ("delete the old backups", "delete the bold backups"),
    ("restart if it is down", "restart unless it is down"),
    ("report for 2026-11-24", "report for 2026-11-25"),
    ("report for 11/12/2026", "report for 12/11/2026"),
    ("order 17 parts", "order １７ parts"),
    ("send it to the ops channel", "send it to the ops\u200b channel"),
    ("send it to the ops channel", "send it to the ops\u00a0channel"),
    ("send it to the ops channel", "send it to the ops\u3000channel"),
    ("send it to ops", "send it to орs"),  # Cyrillic
    ("notify Ops", "notify ops"),
    ("notify US", "notify us"),
    ("Kim에게 보내줘", "Kim에게서 보내줘"),
    ("김 대리가 승인", "김 대리를 승인"),
    ("서버를 재시작해줘", "서버는 재시작하지 마"),
    ("백업을 지워줘", "백업을 지우지 말아줘"),
    ("주문 3건을 취소해줘", "주문 3건만 취소해줘"),
    ("안 보낸 메일을 보내줘", "보낸 메일을 보내줘"),
    ("stop the job.", "stop the job?"),
    ("a - b", "a + b"),
    ("first\nsecond", "first second"),
    ('say "a  b"', 'say "a b"'),
    ('send {"a": "x  y"}', 'send {"a": "x y"}'),
    ("「가  나」라고 보내줘", "「가 나」라고 보내줘"),
    ("user\u202egnp.exe", "usergnp.exe"),
    ("cost\uff04 5", "cost$ 5"),
]

SAME = [
    ("pay invoice 1041", "  pay   invoice\t1041 \n"),
    ("café", "cafe\u0301"),
    ("한글 보고서", unicodedata.normalize("NFD", "한글 보고서")),
    ("first\nsecond", "first  \r\n  second\r\n"),
    ('say "a  b"', '  say "a  b"\n'),
]


@pytest.mark.parametrize(("left", "right"), LOOK_ALIKES)
def test_look_alikes_never_share_an_answer(left: str, right: str) -> None:
    """A digit, a host, a negation, a date, a case, a particle, a character that only looks the same: another key."""
    assert left != right
    assert key(left) != key(right)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_the_same_request_is_recognised(left: str, right: str) -> None:
    """Blanks around and between, ways to write a line's end, and compositions of one character do not matter."""
    assert left != right
    assert key(left) == key(right)


def test_everything_that_an_answer_depends_on_is_in_the_key() -> None:
    """I10, I12: workspace, origin, language, inputs' shape, names in the prompt, zone, models, prompt, actions."""
    policy = Policy(functions={"ocr": Function(url="http://a")}, channels={"ops": "https://a"})
    keys = [
        key("a task"),
        key("a task", home=OTHER),
        key("a task", origin=Origin.TOKEN),
        key("a task", origin=Origin.DERIVED),
        key("a task", lang="ko"),
        key("a task", inputs={"order": 1}),
        key("a task", inputs={"order": "1"}),
        key("a task", inputs={"order": {"id": 1}}),
        key("a task", inputs={"order": [1]}),
        key("a task", inputs={"order": []}),
        key("a task", inputs={"Order": 1}),
        key("a task", policy=policy),
        key("a task", policy=policy.model_copy(update={"functions": {}})),
        key("a task", policy=policy.model_copy(update={"channels": {}})),
        key("a task", policy=Policy(channels={"ocr": "https://a"}, functions={"ops": Function(url="http://a")})),
        key("a task", policy=Policy(time_zone="Asia/Seoul")),
        key("a task", basis=replace(BASIS, models=("strong", "small"))),
        key("a task", basis=replace(BASIS, models=("small",))),
        key("a task", basis=replace(BASIS, prompt_version="analysis.3")),
        key("a task", basis=replace(BASIS, catalogue="1" * 64)),
    ]
    assert len(set(keys)) == len(keys)


def test_what_no_model_sees_is_not_in_the_key() -> None:
    """I10: who asked, values of inputs, where names lead, thresholds and hosts: policy looks at them at each use."""
    same = {
        key("a task", inputs={"order": 17, "to": "Kim"}),
        key("a task", inputs={"to": "Lee", "order": 99.5}),
    }
    assert len(same) == 1
    policies = (
        Policy(version=1, functions={"ocr": Function(url="http://a")}, channels={"ops": "https://a"}),
        Policy(
            version=2,
            functions={"ocr": Function(url="http://b", idempotent=True)},
            channels={"ops": "https://b"},
            hosts=(Host(name="example.com"),),
        ),
    )
    assert len({key("a task", policy=policy) for policy in policies}) == 1
    assert key("a task") == key("a task", requested_by=UUID(int=9), tags=("x",), priority_given=True)


def test_a_text_that_speaks_of_time_shares_within_the_hour() -> None:
    """A weekday means something else tomorrow; a text without time means the same for ever."""
    for text in (
        "if it is monday, restart it",
        "오늘 매출을 요약해줘",
        "check it after 15:00",
        "the sales of last week",
        "remind me at 9 am",
    ):
        assert speaks_of_time(text), text
        assert key(text) == key(text, now=NOON + timedelta(minutes=50)), text
        assert key(text) != key(text, now=NOON + timedelta(hours=1)), text
        assert key(text) != key(text, now=NOON + timedelta(days=1)), text
    assert key("fetch the price page") == key("fetch the price page", now=NOON + timedelta(days=9))
    half = Policy(time_zone="Asia/Kolkata")  # its hours begin when others' are half over
    assert key("do it now", policy=half) != key("do it now", policy=half, now=NOON + timedelta(minutes=30))
    assert key("do it now", policy=Policy(time_zone="no zone")) == key("do it now", policy=Policy(time_zone="no zone"))


@pytest.mark.parametrize(
    "text",
    [
        "snow is falling",
        "http://127.0.0.1:9100/x",
        "the dayroom",
        "annual maypole",
        "it weighs 12 grams",
        "fetch this page",
    ],
)
def test_not_every_word_speaks_of_time(text: str) -> None:
    """Parts of other words do not."""
    assert not speaks_of_time(text)


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    """Normalised is normalised."""
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_two_texts_share_only_if_they_differ_in_blanks(left: str, right: str) -> None:
    """Whatever is left of two texts without their blanks is the same, to the character, if they share a key."""
    if key(left) == key(right):
        assert _bare(left) == _bare(right)


@given(st.text(min_size=1, max_size=40), st.integers(0, 39), st.characters())
def test_one_other_character_is_another_request(text: str, place: int, character: str) -> None:
    """A character put in place of another makes another key, unless both are blanks or the same once composed."""
    place %= len(text)
    other = text[:place] + character + text[place + 1 :]
    assert (key(text) == key(other)) == (normalised(text) == normalised(other))


def _bare(text: str) -> str:
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(character for character in composed if character not in " \t\n\r")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_a_shape_says_nothing_of_values(value: Json) -> None:
    """I11: of inputs only names and types go into a key."""
    words: list[str] = []
    stack = [shape(value)]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack += node.values()
        elif isinstance(node, list):
            stack += node
        else:
            words.append(str(node))
    assert set(words) <= {"null", "boolean", "number", "string", "array", "object"}


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4), st.randoms())
def test_the_order_of_inputs_does_not_matter(inputs: dict[str, Json], random: Any) -> None:  # noqa: ANN401 - hypothesis' own
    """The same names and types in another order are the same inputs."""
    names = list(inputs)
    random.shuffle(names)
    assert key("x", inputs=inputs) == key("x", inputs={name: inputs[name] for name in names})


def test_a_key_is_what_the_database_takes() -> None:
    """64 hex digits, whatever the text holds; a lone surrogate included."""
    for text in ("a", "\ud800", "\x00", "", "가" * 20_000):
        made = key(text)
        assert len(made) == 64
        assert set(made) <= set("0123456789abcdef")
    assert key("\ud800") != key("\ufffd")


def test_the_catalogues_hash_follows_its_schemas() -> None:
    """Another argument, or another word about it, is another catalogue; the order of keys is not."""
    one: dict[str, dict[str, Json]] = {"wait": {"a": 1, "b": 2}}
    assert catalogue_hash(one) == catalogue_hash({"wait": {"b": 2, "a": 1}})
    assert catalogue_hash(one) != catalogue_hash({"wait": {"a": 1, "b": 3}})
