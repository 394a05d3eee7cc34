"""What people hand in: sentences in two languages, and the plan that each means. Hosts and names are drawn.

A plan holds no host, number or name that its text does not, so it may be remembered; none is one that the rules know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from tests.metered.knowledge import Known

Lang = Literal["ko", "en"]
Steps = tuple[tuple[str, str, Mapping[str, object]], ...]

SHOPS: Final = (
    "harbour",
    "maple",
    "northgate",
    "orchard",
    "pinewood",
    "quarry",
    "riverside",
    "saffron",
    "tulip",
    "umbra",
)
THINGS: Final = (
    ("office chairs", "사무용 의자"), ("A4 paper", "A4 용지"), ("USB-C docks", "USB-C 독"), ("coffee beans", "원두"),
    ("label printers", "라벨 프린터"), ("safety gloves", "안전 장갑"), ("desk lamps", "책상 조명"),
    ("pallet wrap", "포장용 랩"), ("server rails", "서버 레일"), ("first-aid kits", "구급상자"),
)  # fmt: skip
BRANCHES: Final = (
    ("Seoul", "서울"), ("Busan", "부산"), ("Daegu", "대구"), ("Incheon", "인천"), ("Jeju", "제주"), ("Suwon", "수원"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a text is about."""

    rng: Random
    lang: Lang
    number: int

    @property
    def url(self) -> str:
        """An address of its own."""
        return (
            f"https://{self.rng.choice(SHOPS)}-{self.number}.example/{self.rng.choice(('offers', 'stock', 'status'))}"
        )

    @property
    def thing(self) -> str:
        """What is bought and sold."""
        return self.said(*self.rng.choice(THINGS))

    @property
    def branch(self) -> str:
        """Where."""
        return self.said(*self.rng.choice(BRANCHES))

    def said(self, english: str, korean: str) -> str:
        """In the text's language."""
        return korean if self.lang == "ko" else english


Scenario = Callable[[Drawn], tuple[str, Known]]


def _get(name: str, url: str) -> tuple[str, str, Mapping[str, object]]:
    return (name, "http.request", {"url": url})


def _show(name: str, reference: str) -> tuple[str, str, Mapping[str, object]]:
    return (name, "value", {"value": {"$ref": reference}})


def _write(name: str, ask: str, *references: str) -> tuple[str, str, Mapping[str, object]]:
    return (name, "claude.generate", {"prompt": [ask, *({"$ref": reference} for reference in references)]})


def summary(drawn: Drawn) -> tuple[str, Known]:
    """A page in two sentences."""
    url, thing = drawn.url, drawn.thing
    text = drawn.said(
        f"Read {url} and tell us in two sentences what is new about the {thing} there, prices first.",
        f"{url} 내용을 읽고 {thing} 관련해서 새로 바뀐 점을 가격부터 두 문장으로 정리해서 알려줘.",
    )
    ask = drawn.said(
        f"Two sentences, prices first: what is new about the {thing}?",
        f"{thing}에서 새로 바뀐 점을 가격부터 두 문장으로.",
    )
    says = drawn.said(
        f"Reads the page about {thing} and sums up in two sentences what is new.",
        f"{thing} 페이지를 읽고 새로 바뀐 점을 두 문장으로 정리합니다.",
    )
    steps = (_get("page", url), _write("words", ask, "steps.page.text"), _show("shown", "steps.words.text"))
    return text, Known(kind="page_summary", summary=says, steps=steps)


def comparison(drawn: Drawn) -> tuple[str, Known]:
    """Two offers side by side."""
    first, second, thing = drawn.url, drawn.url + "?other", drawn.thing
    text = drawn.said(
        f"We have two offers for {thing}: {first} and {second}. Which one is cheaper with delivery, and why?",
        f"{thing} 견적이 두 개예요: {first} 그리고 {second}. 배송비까지 하면 어느 쪽이 더 싼지 이유와 함께 비교해줘.",
    )
    ask = drawn.said(
        "Which of these two offers is cheaper with delivery, and why?",
        "두 견적 중 배송비까지 하면 어느 쪽이 더 싼지, 이유는?",
    )
    says = drawn.said(
        f"Reads both offers for {thing} and says which is cheaper with delivery.",
        f"{thing} 견적 두 개를 읽고 배송비까지 어느 쪽이 싼지 비교합니다.",
    )
    steps = (
        _get("first", first),
        _get("second", second),
        _write("verdict", ask, "steps.first.text", "steps.second.text"),
        _show("shown", "steps.verdict.text"),
    )
    return text, Known(kind="compare_offers", summary=says, steps=steps)


def scan(drawn: Drawn) -> tuple[str, Known]:
    """A scanned paper, read by a function."""
    url, branch = drawn.url + "/scan.pdf", drawn.branch
    text = drawn.said(
        f"The delivery note of the {branch} branch was scanned: {url}. Have ocr read it, we need the total quantity.",
        f"{branch} 지점 납품서를 스캔했습니다: {url}. ocr로 읽어서 전체 수량이 얼마인지 뽑아줘.",
    )
    says = drawn.said(
        f"Has ocr read the delivery note of {branch} and shows the total quantity.",
        f"{branch} 지점 납품서를 ocr로 읽고 전체 수량을 보여줍니다.",
    )
    steps: Steps = (
        ("read", "function.invoke", {"function": "ocr", "json": {"url": url}}),
        _show("total", "steps.read.json.total"),
    )
    return text, Known(kind="read_delivery_note", summary=says, steps=steps, risk="medium")


def report(drawn: Drawn) -> tuple[str, Known]:
    """Two sources, one paragraph."""
    sales, returns, branch = drawn.url + "/sales", drawn.url + "/returns", drawn.branch
    text = drawn.said(
        f"Write the short weekly report of {branch} from {sales} and {returns}: sales first, then returns.",
        f"{branch} 주간 보고를 짧게 써줘. 자료는 {sales} 그리고 {returns} 이고 매출, 반품 순서로.",
    )
    ask = drawn.said(
        f"A short weekly report of {branch}: sales, then returns.", f"{branch} 주간 보고를 매출, 반품 순서로 짧게."
    )
    says = drawn.said(
        f"Reads sales and returns of {branch} and writes the weekly report.",
        f"{branch}의 매출과 반품 자료를 읽고 주간 보고를 씁니다.",
    )
    steps = (
        _get("sales", sales),
        _get("returns", returns),
        _write("report", ask, "steps.sales.text", "steps.returns.text"),
        _show("shown", "steps.report.text"),
    )
    return text, Known(kind="weekly_report", summary=says, steps=steps)


def reply(drawn: Drawn) -> tuple[str, Known]:
    """Words to be written."""
    thing, branch = drawn.thing, drawn.branch
    mark = f"{drawn.rng.choice(SHOPS)}-{drawn.number}"
    text = drawn.said(
        f"Draft a friendly answer to customer {mark}: the {thing} come late, {branch} is sorry, nothing to pay.",
        f"고객 {mark} 에게 답장을 써줘. {thing} 배송이 일주일 늦고 {branch} 지점이 사과하며 추가 비용은 없음.",
    )
    says = drawn.said(
        f"Drafts a friendly answer to customer {mark} about the late {thing}.",
        f"{thing} 지연에 대해 고객 {mark}에게 보낼 답장 초안을 씁니다.",
    )
    steps = (_write("draft", text), _show("shown", "steps.draft.text"))
    return text, Known(kind="draft_reply", summary=says, steps=steps)


def order(drawn: Drawn) -> tuple[str, Known]:
    """Something is bought: much is at stake."""
    url, thing, count = drawn.url + "/orders", drawn.thing, drawn.rng.randint(2, 90)
    text = drawn.said(
        f"Order {count} of the {thing} for {drawn.branch} at {url}, and tell ops once it is placed.",
        f"{drawn.branch} 지점용으로 {thing} {count}개를 {url} 에 주문하고, 끝나면 ops 채널에 알려줘.",
    )
    says = drawn.said(
        f"Places an order of {count} {thing} and tells the channel ops.",
        f"{thing} {count}개를 주문하고 ops 채널에 알립니다.",
    )
    told = drawn.said(f"Ordered: {count} {thing}", f"주문 완료: {thing} {count}개")
    steps: Steps = (
        ("place", "http.request", {"method": "POST", "url": url, "json": {"item": thing, "quantity": count}}),
        ("tell", "notify", {"channel": "ops", "message": told}),
    )
    return text, Known(kind="place_order", summary=says, steps=steps, risk="high")


def vague(drawn: Drawn) -> tuple[str, Known]:
    """What a small model is not sure of."""
    url, branch = drawn.url, drawn.branch
    text = drawn.said(
        f"Do for {branch} what was done for the others with {url}, the usual columns, and leave out what they refused.",
        f"{branch} 것도 다른 지점이랑 똑같이 {url} 로 해주세요. 항목은 늘 하던 대로, 거기서 거절한 건 빼고요.",
    )
    ask = drawn.said(
        "The usual columns of this table, without what was refused.", "늘 쓰는 항목만, 거절된 것은 빼고 표로."
    )
    says = drawn.said(
        f"Reads the table for {branch} and shows the usual columns without what was refused.",
        f"{branch} 표를 읽고 거절된 것을 뺀 항목만 보여줍니다.",
    )
    steps = (_get("table", url), _write("columns", ask, "steps.table.text"), _show("shown", "steps.columns.text"))
    return text, Known(kind="table_extract", summary=says, steps=steps, confidence=0.45)


PLAIN: Final[tuple[Scenario, ...]] = (summary, comparison, scan, report, reply)
# Asked again of the strong model: one because the small one is unsure, one because much is at stake.
HARD: Final[tuple[Scenario, ...]] = (vague, order)
