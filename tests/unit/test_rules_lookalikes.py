"""Pairs that look alike: one is taken, the other is not, or means something else. Doubt is a person's."""

from __future__ import annotations

import pytest

from tests.unit.wordings import TAKEN, kind_of, steps_of

URL = "https://a.example/x"
LEFT_TO_A_PERSON = [
    # negated
    (f"fetch {URL}", f"don't fetch {URL}"),
    (f"fetch {URL}", f"never fetch {URL}"),
    (f"{URL} 가져와", f"{URL} 가져오지 마"),
    (f"{URL} 가져와줘", f"{URL} 가져오지 말아줘"),
    (f"{URL} 가져와", f"{URL} 말고 https://b.example/y 가져와"),
    (f"{URL} 가져와줘", f"{URL} 안 가져와도 돼"),
    (f'POST {{"a": 1}} to {URL}', f'do not POST {{"a": 1}} to {URL}'),
    (f'{URL} 에 "안녕" 보내줘', f'{URL} 에 "안녕" 보내지 말아줘'),
    ("ocr 함수 실행해줘", "ocr 함수 실행하지 마세요"),
    ("remind me at 9 to call Ann", "remind me at 9 not to call Ann"),
    ("3시에 회의 알림 줘", "3시에 회의 알림 주지 마"),
    ("3시에 회의 있다고 알려줘", "3시에 회의 있다고 알려주지 마"),
    ("3시에 회의 있다고 알려줘", "3시에 날씨 알려줘"),  # that asks for the weather
    # for another recipient than whoever asks
    ("30분 있다가 점검 끝났다고 알려줘", "30분 있다가 oncall 채널에 점검 끝났다고 알려줘"),
    ("3시에 회의 있다고 알려줘", "3시에 김 대리에게 회의 있다고 알려줘"),
    ("3시에 회의 알림 보내줘", "3시에 영업팀에 회의 알림 보내줘"),
    (f"get error from {URL}", f"find error in {URL}"),  # that searches the page
    (f"get price from {URL}", f"get the price of {URL}"),
    (f"fetch {URL}", "fetch https://a.example,https://b.example"),
    # a question, or something that already happened
    (f"{URL} 가져와줘", f"{URL} 가져와야 할까?"),
    (f"{URL} 가져와줘", f"{URL} 가져왔어?"),
    (f"fetch {URL}", f"should I fetch {URL}?"),
    (f"fetch {URL}", f"who fetched {URL}"),
    # conditional
    (f"check that {URL} is up", f"if {URL} is up then fetch https://b.example/y"),
    (f"check that {URL} is up", f"check if {URL} is down"),
    ("3시에 우산 챙기라고 알려줘", "3시에 비 오면 우산 챙기라고 알려줘"),
    ("remind me at 3pm to take the umbrella", "remind me at 3pm to take the umbrella if it rains"),
    (f"{URL} 가져와줘", f"{URL} 살아 있으면 가져와줘"),
    # several clauses, or something left over
    (f"fetch {URL}", f"fetch {URL} and https://b.example/y"),
    (f"fetch {URL}", f"fetch {URL} without the cache"),
    (f"fetch {URL}", f"fetch {URL} with header X-A: 1"),
    (f"fetch {URL}", f"fetch {URL} and delete it"),
    (f"extract price from {URL}", f"extract price and name from {URL}"),
    (f"compare {URL} and https://b.example/y", f"compare {URL} and https://b.example/y and https://c.example/z"),
    (f"compare {URL} and https://b.example/y", f"compare {URL} and {URL}"),
    (f"compare {URL} and https://b.example/y", f"compare {URL} at 3pm and https://b.example/y"),
    ("remind me at 3pm to call Ann", "remind me at 3pm to call Ann and email Bob"),
    ("remind me at 3pm to call Ann", f"remind me at 3pm to call Ann then post {URL}"),
    ("run the ocr function", "run the ocr function twice"),
    (f'post {{"a": 1}} to {URL}', f'post {{"a": 1}} to {URL} and https://b.example/y'),
    # another method, or a body that is none
    (f'post {{"a": 1}} to {URL}', f'put {{"a": 1}} to {URL}'),
    (f"fetch {URL}", f"delete {URL}"),
    (f'post "hello" to {URL}', f"post hello to {URL}"),
    (f"post '{{\"a\": 1}}' to {URL}", f"post '{{\"a\": }}' to {URL}"),
    (f'post {{"a": 1, "b": 2}} to {URL}', f'post {{"a": 1, "a": 2}} to {URL}'),
    (f'post {{"ref": "now"}} to {URL}', f'post {{"at": {{"$ref": "now"}}}} to {URL}'),
    # a name that nobody listed
    ("run ocr", "run payroll"),
    ("ocr 실행해줘", "급여 실행해줘"),
    # times
    ("remind me at 3pm to call Ann", "remind me every day at 3pm to call Ann"),
    ("3시에 회의 알림 줘", "매일 3시에 회의 알림 줘"),
    ("3시에 회의 알림 줘", "3시까지 회의 알림 줘"),
    ("3시에 회의 알림 줘", "3시쯤 회의 알림 줘"),
    ("3시에 회의 알림 줘", "3시 회의 알림 줘"),  # remind of the meeting at three, but when?
    ("remind me at 9 to call Ann", "remind me at 9 or so to call Ann"),
    ("remind me at 9 to call Ann", "remind me at 9 sharp call Ann"),
    ("remind me to call Ann tomorrow at 9", "remind me to call Ann tomorrow"),
    ("remind me at 3pm to call Ann", "remind me at 3pm to call Ann at 4pm"),
    (f"fetch {URL} at 3pm", f"fetch {URL} by 3pm"),
    (f"fetch {URL} in 10 minutes", f"fetch {URL} within 10 minutes"),
    (f"fetch {URL} in 10 minutes", f"fetch {URL} every 10 minutes"),
    (f"fetch {URL} in 10 minutes", f"fetch {URL} 10 minutes ago"),
    (f"10분 뒤에 {URL} 가져와줘", f"10분 전에 {URL} 가져와줘"),
    (f"10분 뒤에 {URL} 가져와줘", f"10분마다 {URL} 가져와줘"),
    (f"10분 뒤에 {URL} 가져와줘", f"10분 안에 {URL} 가져와줘"),
    (f"at 23:00 fetch {URL}", f"at 25:00 fetch {URL}"),
    ("오후 3시에 회의 알림 줘", "오늘 오전 9시에 회의 알림 줘"),  # it is ten: that has passed
    # an address whose end nobody can tell
    ("https://ko.example/wiki/를 가져와", "https://ko.example/wiki/한국을 가져와"),
]


@pytest.mark.parametrize(("taken", "left"), LEFT_TO_A_PERSON)
def test_of_two_that_look_alike_only_the_certain_one_is_taken(taken: str, left: str) -> None:
    """One word more, a negation or a condition: no recipe."""
    assert kind_of(taken) is not None
    assert kind_of(left) is None


ANOTHER_PLAN = [
    (f"get price from {URL}", f"get the page from {URL}"),
    (f"fetch {URL}", f"fetch {URL} in 10 minutes"),
    (f"fetch {URL}", f"ping {URL}"),
    ("오전 3시에 회의 알림 줘", "오후 3시에 회의 알림 줘"),
    ("3시간 뒤에 회의 알림 줘", "3시에 회의 알림 줘"),
    (f"extract Price from {URL}", f"extract price from {URL}"),
    (f'post {{"a": "1"}} to {URL}', f'post {{"a": 1}} to {URL}'),
    (f'post "1" to {URL}', f"post [1] to {URL}"),
    ("tomorrow at 9 remind me to pay", "remind me at 9 pm to pay"),
    (f"compare {URL} with https://b.example/y", f"compare https://b.example/y with {URL}"),
    ("fetch https://a.example/x(1)", "fetch https://a.example/x(1"),
    (f"fetch {URL}", f"fetch {URL}#top"),
]


@pytest.mark.parametrize(("one", "other"), ANOTHER_PLAN)
def test_of_two_that_look_alike_each_has_its_own_plan(one: str, other: str) -> None:
    """A letter's case, a quotation mark or a particle decides, and both are read exactly."""
    first, second = steps_of(one), steps_of(other)
    assert first is not None
    assert second is not None
    assert first != second


SPOILED = [
    "don't {}", "never {}", "if it rains, {}", "when I say so, {}", "explain how to {}", "why {}", "{} but not today",
    "{} and then delete everything", "{}, then tell Bob", "{} unless it is Sunday", "{} every hour",
    "만약 비가 오면 {}", "절대 {}", "{} 는 하지 마", "{} 말고 삭제해", "{} 그리고 전부 삭제해줘",
    "매일 {}", "{} 라고 하지 마",
]  # fmt: skip


@pytest.mark.parametrize("spoiled", SPOILED)
def test_no_sentence_survives_a_word_that_turns_it(spoiled: str) -> None:
    """Every wording that is taken, negated, made conditional, repeated or followed by another errand: none is taken."""
    survivors = [text for texts in TAKEN.values() for text in texts if kind_of(spoiled.format(text)) is not None]
    assert survivors == []
