"""Times as people write them, Korean and English: "3시", "내일 오후 3시 30분", "tomorrow at 9", "in 10 minutes".

Reading is apart from resolving: `when_of` reads a match, `moment` turns it into a time given `now` and a zone. Pure.
A bare hour ("3시", "at 9") means its next occurrence by day: between 07:00 and 22:00. What is doubtful is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_STARTS: Final = 7  # a bare hour is one at which people are awake
DAY_ENDS: Final = 22
NOON: Final = 12
LAST_HOUR: Final = 23
LAST_MINUTE: Final = 59
LONGEST_WAIT: Final = timedelta(days=366)

_KO_NUMBERS: Final = {
    "한": 1, "두": 2, "세": 3, "네": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10,
    "열한": 11, "열두": 12,
}  # fmt: skip
_EN_NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "half an": 0.5,
}  # fmt: skip
_UNITS: Final = (
    (re.compile(r"일|days?", re.IGNORECASE), timedelta(days=1)),
    (re.compile(r"시간|hours?|hrs?", re.IGNORECASE), timedelta(hours=1)),
    (re.compile(r"분|min(?:ute)?s?", re.IGNORECASE), timedelta(minutes=1)),
    (re.compile(r"초|sec(?:ond)?s?", re.IGNORECASE), timedelta(seconds=1)),
)
_KO_HOUR: Final = "열한|열두|한|두|세|네|다섯|여섯|일곱|여덟|아홉|열"
_KO_PIECE: Final = rf"(?:\d{{1,5}} ?(?:일|시간|분|초)|(?:{_KO_HOUR}) ?시간)"
_KO_SPAN: Final = rf"(?P<span>{_KO_PIECE}(?: ?{_KO_PIECE}){{0,2}}(?: ?반)?|하루|반 ?시간)"
_KO_DAY: Final = r"(?P<day>오늘|내일|모레)"
_KO_DATE: Final = r"(?:(?P<year>\d{4}) ?년 )?(?P<month>\d{1,2}) ?월 (?P<dom>\d{1,2}) ?일"
_ISO_DATE: Final = r"(?P<iso>\d{4}-\d{2}-\d{2})"
_KO_HALF: Final = r"(?P<half>오전|오후|새벽|아침|점심|낮|저녁|밤)"
_KO_CLOCK: Final = (
    rf"(?:(?P<noon>정오)|(?:{_KO_HALF} ?)?(?:(?P<hour>\d{{1,2}}|(?<![가-힣])(?:{_KO_HOUR})) ?시(?!간)"
    r"(?: ?(?:(?P<minute>\d{1,2}) ?분|(?P<thirty>반)))?|(?P<clock>\d{1,2}:\d{2})))"
)
# A mark follows only where a word may end, so that "13시간", "3시까지" and "3시쯤" stay words and match no recipe.
_KO_END: Final = r"(?=$|[ ,.!?\ue000-\ue00f])"

_EN_PIECE: Final = (
    r"(?:\d{1,5}|half an|an?|one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|thirty)"
    r"[ -]?(?:days?|hours?|hrs?|minutes?|mins?|seconds?|secs?)"
)
_EN_SPAN: Final = rf"(?P<span>{_EN_PIECE}(?:(?:,? and |,? ){_EN_PIECE}){{0,2}})"
_EN_CLOCK: Final = (
    r"(?:(?P<noon>noon)|(?P<clock>\d{1,2}:\d{2})(?: ?(?P<half>[ap]\.?m\.?))?"
    r"|(?P<hour>\d{1,2})(?: ?(?P<half2>[ap]\.?m\.?)| ?o'?clock)?)"
)
# "3pm" and "3:30 pm" are times without "at"; a bare number is not.
_EN_HALF_CLOCK: Final = r"(?:(?P<hour_b>\d{1,2})|(?P<clock_b>\d{1,2}:\d{2})) ?(?P<half_b>[ap]\.?m\.?)"
_EN_DAY: Final = r"(?P<day>today|tomorrow|the day after tomorrow)"
_EN_DAY_LAST: Final = r"(?P<day2>today|tomorrow|the day after tomorrow)"
_EN_END: Final = r"(?=$|[ ,!?\ue000-\ue00f]|:(?!\d)|\.(?:$| ))"

WAIT_FIRST: Final = re.compile(
    rf"\bwait(?: for)? {_EN_SPAN}{_EN_END}|(?<!\S){_KO_SPAN.replace('span', 'span_ko')} ?"
    rf"(?:기다렸다가|기다린 ?(?:뒤|후|다음)에?|대기 ?(?:후|뒤)에?|대기했다가){_KO_END}",
    re.IGNORECASE,
)
KO_TIME: Final = re.compile(
    rf"(?<!\S)(?:{_KO_SPAN} ?(?:뒤|후|이후|있다가)에?"
    rf"|(?:(?:{_KO_DAY}|{_KO_DATE}|{_ISO_DATE}) ?)?{_KO_CLOCK}에?){_KO_END}"
)
EN_TIME: Final = re.compile(
    rf"\b(?:(?:in|after) {_EN_SPAN}|{_EN_SPAN.replace('span', 'span_later')} (?:from now|later)"
    rf"|(?:(?:(?:on )?{_ISO_DATE}|{_EN_DAY}),? )(?:at )?{_EN_CLOCK}"
    rf"|at {_EN_CLOCK.replace('P<', 'P<at_')}(?: (?:{_EN_DAY_LAST}|on {_ISO_DATE.replace('iso', 'iso2')}))?"
    rf"|{_EN_HALF_CLOCK}){_EN_END}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class When:
    """A time as written: a span from now, or a clock time with what was said of its day and half of the day."""

    span: timedelta | None = None
    hour: int = 0
    minute: int = 0
    exact: bool = True  # False: a bare hour from 1 to 12, morning or evening not said
    days: int | None = None  # from today; None: the next time that it is so late
    date: tuple[int | None, int, int] | None = None  # year (None: the next such date), month, day


def when_of(match: re.Match[str]) -> When | None:
    """What a match of the patterns above says; None if it is no time after all (25시, 13 pm)."""
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    said = {name.removeprefix("at_").removesuffix("_b"): value for name, value in found.items()}
    span = next((value for name, value in said.items() if name.startswith("span")), None)
    if span is not None:
        length = _span(span)
        return None if length is None else When(span=length)
    clock = _clock(said)
    if clock is None:
        return None
    hour, minute, exact = clock
    day = said.get("day") or said.get("day2")
    days = None if day is None else _DAYS[day.lower()]
    return When(hour=hour, minute=minute, exact=exact, days=days, date=_date(said))


_DAYS: Final = {"오늘": 0, "today": 0, "내일": 1, "tomorrow": 1, "모레": 2, "the day after tomorrow": 2}


def moment(when: When, now: datetime, time_zone: str) -> datetime | None:
    """The time that is meant, aware, after `now`. None: it has passed, does not exist there, or happens twice (DST)."""
    try:
        here = now.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        return None
    if when.span is not None:
        return here + when.span
    either = (when.hour % NOON, when.hour % NOON + NOON)
    hours = [when.hour] if when.exact else [hour for hour in either if DAY_STARTS <= hour <= DAY_ENDS]
    for day in _days(when, here):
        for hour in hours:
            meant = datetime.combine(day, time(hour, when.minute), here.tzinfo)
            if meant > here:
                certain = meant.utcoffset() == meant.replace(fold=1).utcoffset()
                return meant if certain and meant - here <= LONGEST_WAIT else None
    return None


def _days(when: When, here: datetime) -> list[datetime]:
    """The days on which it may be, best first."""
    if when.date is not None:
        year, month, dom = when.date
        years = [year] if year is not None else [here.year, here.year + 1]
        return [day for y in years if (day := _day(y, month, dom)) is not None]
    offsets = [0, 1] if when.days is None else [when.days]
    return [here.replace(tzinfo=None) + timedelta(days=offset) for offset in offsets]


def _day(year: int, month: int, dom: int) -> datetime | None:
    try:
        return datetime(year, month, dom)  # noqa: DTZ001 - a calendar day; the zone comes with the hour
    except ValueError:
        return None


_PIECES: Final = re.compile(
    rf"(?<![a-z])(\d+|{'|'.join(sorted({*_KO_NUMBERS, *_EN_NUMBERS}, key=len, reverse=True))})[ -]?"
    r"(시간|분|초|일|(?:day|hour|hr|minute|min|second|sec)s?)"
)


def _span(said: str) -> timedelta | None:
    """How long `1시간 30분`, `half an hour` or `2 days` are; None for nothing at all or more than a year."""
    said = said.lower().strip()
    if said == "하루":
        return timedelta(days=1)
    if re.fullmatch("반 ?시간", said):
        return timedelta(minutes=30)
    total = timedelta(0)
    for number, unit in _PIECES.findall(said):
        size = next((size for name, size in _UNITS if name.fullmatch(unit)), None)
        if size is None:  # pragma: no cover - every unit of the pattern is in the table
            return None
        total += size * (int(number) if number.isdigit() else {**_KO_NUMBERS, **_EN_NUMBERS}[number])
    if said.endswith("반"):
        if not re.search("시간 ?반$", said):
            return None
        total += timedelta(minutes=30)
    return total if timedelta(0) < total <= LONGEST_WAIT else None


def _clock(said: dict[str, str]) -> tuple[int, int, bool] | None:
    """(hour, minute, exact) of a clock time."""
    if "noon" in said:
        return NOON, 0, True
    digits = said.get("clock")
    if digits is not None:
        first, _, second = digits.partition(":")
        hour, minute = int(first), int(second)
        full = first.startswith("0") or hour > NOON  # "09:30" is written by the 24-hour clock
    else:
        name = said["hour"]
        hour = int(name) if name.isdigit() else _KO_NUMBERS[name]
        minute = 30 if "thirty" in said else int(said.get("minute", "0"))
        full = False
    if hour > LAST_HOUR or minute > LAST_MINUTE:
        return None
    half = said.get("half") or said.get("half2")
    if half is not None:
        hour_of_day = _by_half(hour, half.lower().replace(".", ""))
        return None if hour_of_day is None else (hour_of_day, minute, True)
    return hour, minute, full or hour > NOON or hour == 0


_HALVES: Final = {
    # what was said: the hours it may go with, and what is added to an hour below 12
    "am": (range(1, 13), 0), "오전": (range(13), 0), "새벽": (range(1, 7), 0), "아침": (range(5, 12), 0),
    "pm": (range(1, 13), 12), "오후": (range(1, 24), 12), "낮": (range(1, 13), 12), "점심": (range(1, 13), 12),
    "저녁": (range(5, 12), 12), "밤": (range(7, 12), 12),
}  # fmt: skip


def _by_half(hour: int, half: str) -> int | None:
    """The hour of the day; None where the two do not go together (밤 12시 may be either midnight)."""
    hours, added = _HALVES[half]
    if hour not in hours or (half in {"낮", "점심"} and hour in range(5, 11)):
        return None
    if hour > NOON:
        return hour
    return hour % NOON + added


def _date(said: dict[str, str]) -> tuple[int | None, int, int] | None:
    iso = said.get("iso") or said.get("iso2")
    if iso is not None:
        year, month, dom = (int(part) for part in iso.split("-"))
        return year, month, dom
    if "month" not in said:
        return None
    return (int(said["year"]) if "year" in said else None), int(said["month"]), int(said["dom"])
