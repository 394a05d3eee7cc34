"""Ordinary wordings by the recipe that takes them, and what `rules` makes of a text."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from common.analysis.rules.reader import Rules
from common.core.policy import Function, Policy
from common.core.task import Attempt, Json, Plan, Request, State, Task
from common.ports import Answer, NotAnswered, Question

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)  # a Tuesday; 10:00 in Seoul
SEOUL = Policy(time_zone="Asia/Seoul", functions={"ocr": Function(url="http://127.0.0.1:9200")})
PERSON = UUID(int=1)


def task_of(text: str, lang: str = "en", plan: Plan | None = None, trail: tuple[Attempt, ...] = ()) -> Task:
    """A task with this text, being analysed."""
    request = Request(text=text, lang="ko" if lang == "ko" else "en", requested_by=PERSON)
    return Task(id=UUID(int=2), workspace=UUID(int=3), state=State.ANALYZING, request=request, plan=plan, trail=trail)


def ask(text: str, policy: Policy = SEOUL, now: datetime = NOW) -> Answer | NotAnswered:
    """What `rules` says of a text."""
    return read(Question(task=task_of(text), policy=policy), now)


def read(question: Question, now: datetime = NOW) -> Answer | NotAnswered:
    """What the rules say of one."""
    [said] = Rules(lambda: now).analyze([question])
    return said


def steps_of(text: str, policy: Policy = SEOUL, now: datetime = NOW) -> list[tuple[str, dict[str, Json]]] | None:
    """The steps as (action, arguments); None where a person has to look."""
    answer = ask(text, policy, now)
    return [(step.action, step.args) for step in answer.steps] if isinstance(answer, Answer) else None


def kind_of(text: str) -> str | None:
    """The recipe that takes a text."""
    answer = ask(text)
    return answer.kind if isinstance(answer, Answer) else None


TAKEN = {
    "fetch": [
        "fetch https://a.example/x",
        "Fetch https://a.example/x.",
        "GET https://a.example/x",
        "please get the page at https://a.example/x",
        "Could you please download https://a.example/x?",
        "show me https://a.example/x",
        "what is at https://a.example/x?",
        "make a GET request to https://a.example/x",
        'fetch "https://a.example/x" for me, thanks',
        "https://a.example/x 가져와",
        "https://a.example/x를 가져와줘",
        "https://a.example/x 를 좀 불러와 주시겠어요?",
        "https://a.example/x 내용 보여줘",
        "https://a.example/x 조회 부탁드립니다.",
        "https://a.example/x 의 본문을 읽어와 주세요",
        "안녕하세요, https://a.example/x 가져와 주실 수 있나요? 감사합니다",
        "https://a.example/x 로 GET 요청 보내줘",
    ],
    "health_check": [
        "check that https://a.example/health is up",
        "check if https://a.example/health is still alive",
        "is https://a.example/health up?",
        "health check https://a.example/health",
        "ping https://a.example/health",
        "please check the health of https://a.example/health",
        "can you verify https://a.example/health responds",
        "https://a.example/health 살아 있는지 확인해줘",
        "https://a.example/health 가 정상인지 점검해 주세요",
        "https://a.example/health 헬스체크 부탁해요",
        "https://a.example/health 상태 확인해 주십시오",
        "https://a.example/health 잘 되는지 봐줘",
        "https://a.example/health 살아있어?",
    ],
    "remind": [
        "remind me at 3pm to call Ann",
        "Please remind me tomorrow at 9 to send the report",
        "tomorrow at 9, remind me to send the report",
        "remind me to stretch in 10 minutes",
        "in 10 minutes remind me to stretch",
        "set a reminder for 3pm to call Ann",
        'remind me at 15:00 "call Ann, then Bob at 4"',
        "3시에 회의 알림 줘",
        "오후 3시 30분에 치과 가라고 알려주세요",
        "내일 오전 9시에 보고서 제출 알림 보내줘",
        "10분 뒤에 물 마시라고 알려줘",
        "한 시간 후에 저에게 회의 리마인드 부탁드립니다",
        "세 시 반에 회의 있다고 알려줄래?",
    ],
    "post": [
        'POST {"order": 17} to https://a.example/orders',
        'send {"order": 17} to https://a.example/orders please',
        "post '{\"order\": 17}' to https://a.example/orders",
        'make a POST request to https://a.example/orders with {"order": 17}',
        "post [1, 2] to https://a.example/orders",
        'post "hello there" to https://a.example/orders',
        'https://a.example/orders 에 {"order": 17} POST해줘',
        '{"order": 17}을 https://a.example/orders 로 보내 주세요',
        'https://a.example/orders 로 "안녕하세요" 라고 전송해줘',
    ],
    "extract": [
        "extract data.price from https://a.example/p",
        "get the price field from https://a.example/p",
        "what is the price at https://a.example/p?",
        "fetch https://a.example/p and extract items[0].name",
        'get "unit price" from https://a.example/p',
        "https://a.example/p 에서 data.price 값을 뽑아줘",
        "https://a.example/p의 price 알려줘",
        'https://a.example/p 에서 "가격" 필드를 추출해 주세요',
        "https://a.example/p 가져와서 price 보여줘",
    ],
    "compare": [
        "compare https://a.example/1 with https://a.example/2",
        "diff https://a.example/1 and https://a.example/2",
        "please compare the pages https://a.example/1 and https://a.example/2",
        "show me the differences between https://a.example/1 and https://a.example/2",
        "https://a.example/1 와 https://a.example/2 를 비교해줘",
        "https://a.example/1, https://a.example/2 비교 부탁합니다",
        "https://a.example/1 이랑 https://a.example/2 차이 알려줘",
    ],
    "wait_then": [
        "in 10 minutes fetch https://a.example/x",
        "wait 10 minutes, then check that https://a.example/x is up",
        "fetch https://a.example/x in half an hour",
        "at 3pm, please fetch https://a.example/x",
        'tomorrow at 9 post {"a": 1} to https://a.example/x',
        "10분 뒤에 https://a.example/x 가져와줘",
        "https://a.example/x 를 10분 뒤에 가져와 주세요",
        "10분 기다렸다가 https://a.example/x 살아 있는지 확인해줘",
        "오후 3시에 ocr 함수 실행해줘",
        "1시간 30분 후에 https://a.example/1 와 https://a.example/2 비교해줘",
    ],
    "function": [
        "run the ocr function",
        "invoke function thumbnails",
        'call the ocr function with {"page": 3}',
        "run ocr",
        "ocr 함수 실행해줘",
        'ocr 함수를 {"page": 3}로 호출해 주세요',
        "함수 ocr 실행 부탁드려요",
    ],
}
