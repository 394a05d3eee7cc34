"""The sentences that the recipes take, Korean and English. Data: every pattern is matched against a whole sentence."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from common.analysis.rules.endings import (
    EN_BACK,
    EN_FRONT,
    KO_BACK,
    KO_FRONT,
    KO_MIDDLE,
    action,
    english,
    korean,
    verb,
)
from common.analysis.rules.sentence import BARE, JSON as J, QUOTE as Q, TIME as T, URL as U, WAIT as W


@cache
def compiled(text: str) -> re.Pattern[str]:
    """A sentence's pattern, compiled when it is first tried: all of them take 40 ms, which listing is spared."""
    return re.compile(text, re.IGNORECASE)


# --- fetch ------------------------------------------------------------------------------------------------------------

_EN_OBJECT: Final = (
    r"(?:(?:web ?)?page|website|site|contents?|text|body|response|json|html|data|document|file|url|link|address)"
)
_KO_OBJECT: Final = r"(?:웹 ?페이지|페이지|사이트|내용|본문|데이터|응답|결과|주소|링크|문서|파일|JSON|HTML)"
_KO_FETCH: Final = "|".join((
    verb("가져와", "가지고 와", "갖고 와", "불러와", "읽어와", "읽어", "받아와", "받아", "긁어와", "가져다"),
    verb("내려받아", "다운받아", "다운로드 받아"),
    r"가져오세요|가져오십시오|가져오기|불러오세요|불러오기|읽어오세요|받아오세요|읽기",
    action("조회", "다운로드", "GET", "GET 요청"),
))  # fmt: skip
FETCH: Final = (
    english(
        rf"(?:fetch|get|download|retrieve|grab|load|read|show me|give me|bring me|show) (?:me )?"
        rf"(?:the )?(?:{_EN_OBJECT} (?:(?:of|at|from|on|behind) )?)?{U}"
        rf"|what(?:'s| is) (?:at|on) {U}|what does {U} (?:say|return|answer|contain)"
        rf"|(?:make|send|do|issue|perform) an? (?:http )?get(?: request)? (?:on|to|of|for|against) {U}"
    ),
    korean(
        rf"{U}(?:을|를|에서|의|에 있는)?(?: ?{_KO_OBJECT}(?:을|를|만)?)? ?{KO_MIDDLE}(?:{_KO_FETCH})"
        rf"|{U}(?:에서|의|에 있는)? ?{_KO_OBJECT}(?:을|를|만)? ?{KO_MIDDLE}(?:{verb('보여', '알려')})"
        rf"|{U}(?:에|으로|로) GET ?(?:요청)?(?:을|를)? ?{KO_MIDDLE}(?:{verb('보내', '날려')}|{action('요청')})"
    ),
)
NEAR_FETCH: Final = re.compile(r"fetch|download|\bget\b|retrieve|가져|불러|조회|다운", re.IGNORECASE)

# --- health check -----------------------------------------------------------------------------------------------------

_UP: Final = r"(?:up|alive|healthy|ok|okay|online|reachable|responding|available|working|running|live|accessible)"
_CHECK: Final = r"(?:check|verify|confirm|test|see|find out|tell me|make sure)"
_ALIVE: Final = (
    r"(?:살아 ?있는지|살아 ?있나|정상인지|(?:정상 ?)?(?:작동|동작|응답)하는지|응답이 오는지"
    r"|접속이? ?되는지|열리는지|떠 ?있는지|괜찮은지|되는지|돌아가는지)"
)
HEALTH: Final = (
    english(
        rf"{_CHECK} (?:that |if |whether )?{U} "
        rf"(?:is (?:still )?{_UP}(?: and running)?|still works|works|responds|answers|loads)"
        rf"|is {U} (?:still )?{_UP}"
        rf"|(?:(?:do|run|perform|make) )?(?:an? )?health[ -]?check (?:(?:on|of|for|against) )?{U}|ping {U}"
        rf"|check (?:the )?(?:health|status|availability|uptime) of {U}|{U} health[ -]?check"
    ),
    korean(
        rf"{U}(?:이|가|은|는)? ?(?:아직 |잘 |제대로 |정상적으로 )*{_ALIVE} ?{KO_MIDDLE}"
        rf"(?:{action('확인', '체크', '점검')}|{verb('봐', '알려', '살펴')})"
        rf"|{U}(?:의|에 대한)? ?(?:서버 )?(?:상태|헬스|가용성)(?:을|를)? ?{KO_MIDDLE}"
        rf"(?:{action('확인', '체크', '점검')})"
        rf"|{U}(?:을|를|에|에 대해)? ?{KO_MIDDLE}(?:{action('헬스 ?체크')})"
        rf"|{U}(?:이|가|은|는)? ?(?:아직 |잘 )?(?:살아 ?있어요?|살아 ?있나요|살아 ?있니|정상이야|정상인가요|정상입니까)"
    ),
)
NEAR_HEALTH: Final = re.compile(
    r"health|\bping\b|\balive\b|\bis (?:still )?up\b|uptime|\bcheck\b|헬스|상태|살아|정상|점검|확인", re.IGNORECASE
)

# --- remind at --------------------------------------------------------------------------------------------------------

# A free message must be one plain clause: nothing recurring, negated or conditional, no second errand, no second time.
DOUBTFUL: Final = re.compile(
    r"\b(?:and|or|then|but|also|if|unless|when|whenever|while|until|till|after|before|except|instead|otherwise|every|each"
    r"|daily|weekly|monthly|not|never|don'?t|doesn'?t|no longer|cancel|today|tonight|tomorrow|yesterday|next|tonite"
    r"|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|noon|midnight|am|pm|o'?clock|please)\b"
    r"|\bat \d|\d ?[ap]m\b|\d:\d"
    r"|매일|매주|매월|매달|매년|매시간|마다|\d ?시|\d ?분|시간 ?(?:뒤|후)"
    r"|오늘|내일|모레|어제|요일|오전|오후|다음 ?(?:주|달|날)"
    r"|지 ?마|지 ?말|말고|않|안 |못 |아니|대신|그리고|그러면|그 ?다음|하고 |고 나서"
    r"|채널(?:에|로)|(?:에게|한테|께|팀에) (?!.*라고$)"  # for somebody else: a reminder has one recipient
    r"|(?:한|은|린) (?:다음|뒤|후)|때까지|면(?= |$)|거든|경우|아니면|또는|혹은|부터|까지"
    r"|[\ue000-\ue00f;:,.!?]",
    re.IGNORECASE,
)
# "회의 있다고 알려줘": what is to be said ends before 고, but "마시라고" keeps its 라.
KO_QUOTATIVE: Final = re.compile(r"([라다자])고$|(?<=[가-힣a-zA-Z0-9])(?:을|를)$")
_M: Final = rf"(?P<message>{Q}|[^\ue000-\ue00f]{{1,200}}?)"
_KO_AT: Final = rf"{KO_FRONT}{T},? (?:저에게 |저한테 |나한테 |나에게 )?"
REMIND: Final = (
    # What follows a time is a message only behind a word that says so: "at 9 or so", "at 9 sharp" are other times.
    rf"{EN_FRONT}remind me,? {T}(?:(?: to|:| that| about|,) {_M}|:? (?P<quoted>{Q})){EN_BACK}",
    rf"{EN_FRONT}{T},? (?:please )?remind me (?:(?:to|that|about|of) {_M}|:?(?P<quoted>{Q})){EN_BACK}",
    rf"{EN_FRONT}remind me (?:to|that|about|of) {_M},? {T}{EN_BACK}",
    (
        rf"{EN_FRONT}(?:set|create|make) (?:me )?a reminder,? (?:for )?{T}"
        rf"(?:(?: to|:| that| about| for) {_M}|:? (?P<quoted>{Q})){EN_BACK}"
    ),
    rf"{EN_FRONT}(?:set|create|make) (?:me )?a reminder (?:to|about|for) {_M} {T}{EN_BACK}",
    # "3시에 날씨 알려줘" asks for the weather: 알려줘 is a reminder only of what is quoted, "-라고", "-다고", "-자고".
    (
        rf"{_KO_AT}(?:(?P<message>[^\ue000-\ue00f]{{1,200}}?[라다자]고)|(?P<quoted>{Q})(?:이?라고)?)"
        rf" ?{KO_MIDDLE}{verb('알려')}{KO_BACK}"
    ),
    (
        rf"{_KO_AT}{_M}(?:이?라고)? ?{KO_MIDDLE}"
        rf"(?:(?:알림|리마인더)(?:을|를)? ?(?:{verb('보내', '울려', '띄워', '맞춰', '줘')}|{action('설정')}|주세요)"
        rf"|{verb('상기시켜')}|{action('알림', '리마인드')}){KO_BACK}"
    ),
)
NEAR_REMIND: Final = re.compile(r"remind|reminder|notify me|알림|알려|리마인|상기|깨워", re.IGNORECASE)

# --- POST -------------------------------------------------------------------------------------------------------------

_B: Final = rf"[{J}{Q}]"
POST: Final = (
    english(
        rf"(?:post|send|submit) (?:the |this )?(?:json |body |payload |text |data )?{_B} (?:to|at) {U}"
        rf"|(?:do|make|send|perform) an? (?:http )?post (?:request )?(?:to|on|against) {U},? "
        rf"(?:with|using) (?:the )?(?:json |body |payload |text |data )?{_B}"
        rf"|post (?:to )?{U},? ?(?:with|:)? ?(?:the )?(?:json |body |payload |text |data )?{_B}"
    ),
    korean(
        rf"{U}(?:에|에다|으로|로)? ?(?:JSON |본문 |데이터 )?{_B}(?:을|를|라고|이라고)? ?{KO_MIDDLE}"
        rf"(?:POST(?:로|으로|를)? ?)?(?:{verb('보내', '날려')}|{action('POST', '포스트', '전송')})"
        rf"|{_B}(?:을|를)? ?{U}(?:에|에다|으로|로) ?{KO_MIDDLE}(?:POST(?:로|으로|를)? ?)?"
        rf"(?:{verb('보내', '날려')}|{action('POST', '포스트', '전송')})"
    ),
)
NEAR_POST: Final = re.compile(r"\bpost\b|\bsend\b|\bsubmit\b|보내|전송|포스트|올려", re.IGNORECASE)

# --- extract a field --------------------------------------------------------------------------------------------------

PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\[\d{1,4}\])*")
# Words that name the page as a whole, or nothing in particular: never the name of a JSON field.
NOT_FIELDS: Final = frozenset({
    "page", "pages", "webpage", "website", "site", "content", "contents", "text", "body", "response", "json", "html",
    "data", "document", "file", "url", "link", "address", "it", "them", "that", "this", "these", "those",
    "everything", "all", "something", "anything", "nothing", "what", "me", "us", "stuff", "things", "thing", "status",
    "health", "info", "information", "details", "results", "result", "summary", "list", "news", "latest", "updates",
    "update", "get", "post", "and", "or", "not", "only",
})  # fmt: skip
_F: Final = rf"(?P<field>{Q}|{PATH.pattern})"
_KO_MARK: Final = r" ?(?:필드 ?값|필드|값|항목|키)?(?:을|를|만|이|은|는)?"
_EN_MARK: Final = r"(?: (?:field|value|key|property|attribute))?"
EXTRACT: Final = (
    english(
        rf"(?:get|fetch|extract|read|pull|pick|grab|return|show me|give me|tell me) "
        rf"(?:me )?(?:only |just )?(?:the )?"
        rf"(?:(?:field|value|key)(?: of)? )?{_F}{_EN_MARK} (?:from|at|in|on|out of) "
        rf"(?:the )?(?:(?:json|response|page|answer|result) )?(?:(?:of|at|from) )?{U}"
    ),
    english(rf"what(?:'s| is) (?:the )?(?:(?:field|value|key)(?: of)? )?{_F}{_EN_MARK} (?:at|in|on|from) {U}"),
    english(
        rf"(?:fetch|get|load|read) {U},? and (?:then )?(?:extract|return|show me|give me|tell me|get) "
        rf"(?:only |just )?(?:the )?{_F}{_EN_MARK}"
    ),
    korean(
        rf"{U}(?:에서|의|에 있는|에서 나온)? ?(?:(?:JSON|응답|결과|페이지)(?:에서|의)? )?{_F}{_KO_MARK} ?{KO_MIDDLE}"
        rf"(?:{verb('가져와', '뽑아', '뽑아와', '꺼내', '꺼내와', '알려', '읽어', '읽어와', '보여')}"
        rf"|{action('추출', '조회')}|뭐야|뭔가요|무엇인가요|얼마야|얼마인가요)"
    ),
    korean(
        rf"{U}(?:을|를)? (?:가져와서|조회해서|읽어서|불러와서) {_F}{_KO_MARK} ?{KO_MIDDLE}"
        rf"(?:{verb('뽑아', '알려', '보여', '꺼내')}|{action('추출')})"
    ),
)
NEAR_EXTRACT: Final = re.compile(r"extract|\bfield\b|\bvalue\b|\bkey\b|필드|추출|뽑|항목|\b값", re.IGNORECASE)

# --- compare two pages ------------------------------------------------------------------------------------------------

COMPARE: Final = (
    english(
        rf"(?:compare|diff) (?:the )?(?:two )?(?:(?:pages|contents?|responses|sites|urls|answers) (?:of |at |from )?)?"
        rf"{U}(?:,)? (?:and|with|to|against|vs\.?|versus) {U}"
        rf"|show me the differences? between {U} and {U}|what(?:'s| is) the difference between {U} and {U}"
    ),
    korean(
        rf"{U}(?:과|와|이랑|랑|하고|,| 그리고)? ?{U}(?:을|를|의|이|가)? ?(?:(?:두 )?페이지를 |내용(?:을|를)? )?"
        rf"(?:서로 )?{KO_MIDDLE}"
        rf"(?:{action('비교')}|(?:차이|차이점|다른 점)(?:을|를)? ?(?:{verb('알려', '보여', '찾아')}))"
    ),
)
NEAR_COMPARE: Final = re.compile(r"compar|\bdiff(?:er\w*)?\b|versus|\bvs\b|비교|차이|다른 점", re.IGNORECASE)

# --- run a function ---------------------------------------------------------------------------------------------------

FUNCTION_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_N: Final = rf"(?P<name>{Q}|{FUNCTION_NAME.pattern})"
_WITH: Final = rf"(?:,? with (?:the )?(?:json |body |payload |input |data )?{J})?"
FUNCTION: Final = (
    english(rf"(?:run|invoke|call|execute|trigger) (?:the )?function (?:called |named )?{_N}{_WITH}"),
    english(rf"(?:run|invoke|call|execute|trigger) (?:the )?{_N}(?P<named> function)?{_WITH}"),
    korean(
        rf"{_N} ?(?P<named>함수|펑션)?(?:을|를)? ?(?:{J}(?:으로|로|을 넣어|을 넣어서|와 함께|과 함께)? ?)?{KO_MIDDLE}"
        rf"(?:{action('실행', '호출')}|{verb('돌려', '불러')})"
    ),
    korean(
        rf"(?P<named>함수|펑션) {_N}(?:을|를)? ?(?:{J}(?:으로|로|을 넣어|와 함께|과 함께)? ?)?{KO_MIDDLE}"
        rf"(?:{action('실행', '호출')}|{verb('돌려', '불러')})"
    ),
)
NEAR_FUNCTION: Final = re.compile(r"\bfunction\b|\binvoke\b|\brun\b|\bexecute\b|함수|펑션|실행|호출", re.IGNORECASE)

# --- wait, then do ----------------------------------------------------------------------------------------------------

NEAR_WAIT: Final = re.compile(r"\bwait\b|\blater\b|\bafter\b|\bin \d+|기다|뒤에|후에|이따", re.IGNORECASE)
_FIRST: Final = re.compile(
    rf"(?:{EN_FRONT}|{KO_FRONT})[{T}{W}{BARE}],?(?: (?:and then|and|then|그리고))?,? (?P<rest>.+)", re.IGNORECASE
)
_LAST: Final = re.compile(rf"(?P<rest>[^가-힣]+?),? {T}(?P<polite>{EN_BACK})", re.IGNORECASE)
_KO_INSIDE: Final = re.compile(
    rf"(?P<rest>[^{U}]*{U}(?:을|를|에서|의|에|으로|로|이|가|은|는)?) [{T}{BARE}](?P<after> .*[가-힣].*)"
)


def without_time(words: str, urls: int) -> str | None:
    """The sentence without the time at which it is to be done; None where the time may belong to a part of it only.

    In front of or behind the whole of it, or, in Korean with one address, as an adverb behind that address.
    """
    first = _FIRST.fullmatch(words)
    if first is not None:
        return first["rest"]
    last = _LAST.fullmatch(words)
    if last is not None:
        return last["rest"] + (last["polite"] or "")
    inside = _KO_INSIDE.fullmatch(words) if urls == 1 else None
    return None if inside is None else inside["rest"] + inside["after"]
