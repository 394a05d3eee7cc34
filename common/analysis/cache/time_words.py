"""Whether a text may mean something else at another time: then its answer serves only for a while. Pure.

A word too many only costs a hit; one too few has yesterday's answer serve today.
"""

from __future__ import annotations

import re
from typing import Final

from common.analysis.short_texts import remembered

# --- English ----------------------------------------------------------------------------------------------------------

_WORDS: Final = frozenset(
    {
        "now", "current", "currently", "today", "tonight", "tomorrow", "yesterday", "morning", "mornings", "noon",
        "afternoon", "afternoons", "evening", "evenings", "midnight", "night", "nights", "monday", "tuesday",
        "wednesday", "thursday", "friday", "saturday", "sunday", "mondays", "tuesdays", "wednesdays", "thursdays",
        "fridays", "saturdays", "sundays", "weekday", "weekdays", "weekend", "weekends", "january", "february",
        "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "ago",
        "since", "until", "before", "after", "later", "latest", "recent", "recently", "soon", "overdue", "expire",
        "expired", "clock", "am", "pm",
    }
)  # fmt: skip
_POINTING: Final = frozenset({"this", "next", "last", "past", "coming", "previous", "every", "each"})
_SPANS: Final = frozenset(
    {"hour", "day", "week", "month", "quarter", "year", "time", "hours", "days", "weeks", "months"}
)
_WORD: Final = re.compile("[a-z]+")
_CLOCK: Final = re.compile(r"(?<![\d.:])\d{1,2}:\d\d(?![\d:])|\d ?[ap]\.?m\b")

# --- Korean -----------------------------------------------------------------------------------------------------------

# A unit is one only behind a numeral, and only where the word ends with it or with particles: 10초 뒤에, 두 시까지, and
# neither 초안 (a draft), 분석 (an analysis), 주문 (an order) nor 3분할 (in three parts). A span is a time only by what
# it stands to: 일주일 뒤에 is one, 일주일 늦게 is as long at any time.
_NATIVE: Final = "한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|열한|열두|스무"
_SINO: Final = "[일이삼사오육칠팔구]?[십백천][일이삼사오육칠팔구]?|[삼사오육칠팔구]|몇|수"
_POINTS: Final = "시|일|월|년|분기"
_LENGTHS: Final = "초|분|시간|주일?|주간|개월|달|해"
_NAMED: Final = "하루|이틀|사흘|나흘|닷새|엿새|열흘|보름|며칠|몇일|일주일|반년|반나절|반 ?시간|잠시|잠깐|조금|한참|얼마"
_PARTICLES: Final = (
    "(?: ?(?:쯤|경|정도|가량|말|초|중순|중|짜리|치|반|에서|에|엔|의|은|는|이|가|을|를|도|로|으로|과|와|밖에|만|요))*"
    "(?![가-힣])"
)
_TO: Final = f" ?(?:전|후|뒤|이전|이후|이내|내에|내로|동안|간격|마다|만에|까지|부터){_PARTICLES}"
_WITHIN: Final = f" 안{_PARTICLES}"
_AT: Final = f"(?:{_TO}|{_WITHIN}|{_PARTICLES})"
_FAR: Final = f"(?:{_TO}|{_WITHIN})"
_DIGITS: Final = rf"\d ?(?:(?:{_POINTS}){_AT}|(?:{_LENGTHS})(?:{_TO}| ?안{_PARTICLES}))"
_WRITTEN: Final = "|".join(
    (
        f"(?:{_SINO}) ?(?:(?:{_POINTS}){_AT}|(?:{_LENGTHS}){_FAR})",
        # People are counted as 한 분, 두 분: minutes are not.
        f"(?:{_NATIVE}) ?(?:시{_AT}|(?:시간|주일?|주간|달|해){_FAR})",
        f"(?:{_NAMED})(?:{_TO}| ?안{_PARTICLES})",
    )
)
# Words that begin a word, and so are no part of another: 안내일정, 구매주문, 사용자정의, 중요일정 hold no time.
_BEGINNING: Final = (
    "오늘|내일|모레|글피|어제|어젯밤|엊그제|엊저녁|그제(?![야서])|그저께|지금|방금|아까|이번|다음(?! ?과 같)|지난|저번"
    "|작년|재작년|올해|금년|내년|후년|요일|주말|평일|매일|매주|매달(?![리려린렸])|매월|매년|아침|점심|저녁|오전|오후|새벽"
    "|정오(?!표)|자정|한밤|금일|명일|익일|당일|전일|금주|차주|내주|금월|전월|익월|당월|월초|월말|연초|연말"
    "|나중|이따|곧(?![가-힣])"
)
# A word of its own, for longer ones begin with it: 낮은 is low, 밤나무 is a tree.
_ALONE: Final = "(?:밤|낮)(?:에|에는|엔|까지|부터|마다|의|중|사이|늦게)?(?![가-힣])|밤낮"
_ANYWHERE: Final = "[월화수목금토일]요일|현재|최근|이후|이전(?![하해할한된됩되시])|(?<!무)기한|마감(?!재)"
_KOREAN: Final = re.compile(f"{_DIGITS}|(?<![가-힣])(?:{_WRITTEN}|{_BEGINNING}|{_ALONE})|{_ANYWHERE}")


@remembered
def speaks_of_time(text: str) -> bool:
    """Whether it may mean something else at another time."""
    folded = text.casefold()
    words = set(_WORD.findall(folded))
    if not _WORDS.isdisjoint(words) or _CLOCK.search(folded):
        return True
    if not _POINTING.isdisjoint(words) and not _SPANS.isdisjoint(words):
        return True
    return not text.isascii() and _KOREAN.search(text) is not None
