"""The thousand tasks: half Korean, half English; 600 different ones, of which 90 need the strong model; 400 repeats.

As long as such tasks are: four of ten are a line, four have a paragraph around it, two are a forwarded mail. None
speaks of "today" or "last week": what does is shared within the hour only, so that a repeat of it is often none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from bench.claude.scenarios import HARD, PLAIN, Drawn, Lang
from tests.metered.knowledge import Known

TASKS: Final = 1000
REPEATS: Final = 0.4
ESCALATED: Final = 0.15  # of the different ones
SEED: Final = 24
LINES: Final = 0.4  # a line and nothing else
PARAGRAPHS: Final = 0.4  # the rest are mails

AROUND: Final[Mapping[Lang, Sequence[str]]] = {
    "en": (
        "Hello, this came up in the meeting and nobody around the table had an answer.",
        "The supplier keeps changing the layout of the page, so please look twice and do not trust the first line.",
        "Our colleague who used to do this by hand has moved to another department.",
        "Finance asks for the figures without tax, the warehouse asks for them with tax; either is fine.",
        "If something on the page contradicts the older note, the page is right and the note is out of date.",
        "Keep it short, most people here read such things on a phone between two appointments.",
        "There was a complaint that the answer was correct but impossible to find in the thread.",
        "The numbers do not have to be exact to the last unit, but the order of magnitude has to be right.",
        "Please do not write to the supplier, we only want to know where we stand.",
        "We had the same question twice in spring and both times the answer was lost when the mailbox was moved.",
        "Anything that is marked as draft on their side is not binding and should be left out.",
        "Thank you, and kind regards from all of us here.",
    ),
    "ko": (
        "안녕하세요, 회의에서 나온 이야기인데 참석자 중에 아무도 답을 몰라서 부탁드립니다.",
        "거래처가 페이지 구성을 자주 바꿔서 첫 줄만 보고 믿으면 안 되니 한 번 더 확인해 주세요.",
        "원래 이 일을 손으로 하던 동료가 다른 부서로 옮겼습니다.",
        "재무팀은 세금 뺀 금액을, 창고는 세금 포함 금액을 원하는데 어느 쪽이든 괜찮습니다.",
        "페이지 내용이 예전 메모와 다르면 페이지가 맞고 메모가 오래된 것입니다.",
        "다들 이동 중에 휴대폰으로 읽으니 되도록 짧게 부탁드립니다.",
        "답은 맞는데 대화방에서 찾을 수가 없다는 불만이 있었습니다.",
        "숫자가 마지막 자리까지 정확할 필요는 없지만 자릿수는 맞아야 합니다.",
        "거래처에 연락하지는 말아 주세요, 우리 상황만 알고 싶습니다.",
        "봄에 같은 질문이 두 번 있었는데 메일함을 옮기면서 답이 두 번 다 사라졌습니다.",
        "그쪽에서 임시라고 적은 것은 굳은 내용이 아니니 빼 주세요.",
        "감사합니다, 저희 모두 안부 전합니다.",
    ),
}


@dataclass(frozen=True, slots=True)
class Submitted:
    """One task as it is handed in."""

    text: str
    lang: Lang


@dataclass(frozen=True, slots=True)
class Workload:
    """Tasks in the order in which they come, and what the model knows of their texts."""

    tasks: Sequence[Submitted]
    known: Mapping[str, Known]


def workload(tasks: int = TASKS, seed: int = SEED) -> Workload:
    """The same at every call."""
    rng = Random(seed)  # noqa: S311 - a workload, not a key
    distinct = tasks - round(tasks * REPEATS)
    hard = round(distinct * ESCALATED)
    known: dict[str, Known] = {}
    first: list[Submitted] = []
    places = set(rng.sample(range(distinct), hard))
    for number in range(distinct):
        lang: Lang = "ko" if number % 2 else "en"
        kinds = HARD if number in places else PLAIN
        text, meant = kinds[rng.randrange(len(kinds))](Drawn(rng, lang, number))
        text = _around(text, rng, lang)
        known[text] = meant
        first.append(Submitted(text, lang))
    # A repeat comes at any time after the first: what is popular is asked again more often.
    popular = [first[int(distinct * rng.random() ** 2)] for _ in range(tasks - distinct)]
    order = list(first)
    for again in popular:
        order.insert(rng.randint(order.index(again) + 1, len(order)), again)
    return Workload(order, known)


def _around(line: str, rng: Random, lang: Lang) -> str:
    """The line alone, in a paragraph, or at the end of a mail."""
    kind = rng.random()
    if kind < LINES:
        return line
    around = AROUND[lang]
    if kind < LINES + PARAGRAPHS:
        return " ".join([*rng.sample(around[:-1], rng.randint(3, 6)), line])
    paragraphs = [" ".join(rng.sample(around[:-1], rng.randint(6, 10))) for _ in range(rng.randint(4, 6))]
    subject = "전달: " if lang == "ko" else "Fwd: "
    return "\n\n".join([subject + line[:40], *paragraphs, line, around[-1]])
