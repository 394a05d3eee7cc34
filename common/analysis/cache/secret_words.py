"""What looks like a password, a key or a token: such text is remembered nowhere (I11). Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

LONG: Final = 24  # characters of one token; shorter ones are names and numbers
BITS: Final = 3.6  # a character's entropy in a token that nobody would type; words stay below
HEX: Final = 32  # digits: keys, and digests, which cannot be told apart from them

_KNOWN: Final = re.compile(
    r"\b(?:aiw_\w{6}|sk-[\w-]{8}|gh[pousr]_\w{16}|github_pat_\w{8}|glpat-[\w-]{8}|xox[abeoprs]-[\w-]{8}|xapp-[\w-]{8}"
    r"|A(?:KIA|SIA)[A-Z0-9]{12}|AIza[\w-]{20}|ya29\.[\w-]{8}|eyJ[\w-]{8,200}\.[\w-]{4}|[rs]k_(?:live|test)_\w{8}|npm_\w{20}"
    r"|hooks\.slack\.com/services/\w)"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY|://[^/\s@:]*:[^/\s@]+@",
)
_NAMES: Final = (
    r"(?:(?<![A-Za-z])(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|private)[_ -]?key|credentials?|otp"
    r"|pin)(?![A-Za-z])|비밀번호|패스워드|암호|비번|토큰|인증 ?키|인증 ?번호|비밀 ?키|api ?키)"
    r"(?:\s*(?:은|는|이|가|을|를))?"
)
# said outright, whatever it is; or beside the word, and no word itself
_SAID: Final = re.compile(rf"{_NAMES}\s*(?:\bis\b|[:=]|->|→)\s*[^\s]{{4,}}", re.IGNORECASE)
_BESIDE: Final = re.compile(rf"{_NAMES}\s*[\"'`]?(?P<value>[^\s\"'`,;.]{{4,}})", re.IGNORECASE)
_AUTHORISATION: Final = re.compile(r"\b(?:bearer|basic)\s+[\w.~+/=-]{8}", re.IGNORECASE)
_TOKEN: Final = re.compile(rf"[A-Za-z0-9+/_=-]{{{LONG},}}")
_HEX: Final = re.compile(rf"(?<![0-9A-Za-z])[0-9a-fA-F]{{{HEX},}}(?![0-9A-Za-z])")
_WORD: Final = re.compile(r"[^\W\d_]+")


# One of these stands in whatever the patterns above find: looking for them costs a tenth.
_MARKS: Final = (
    "aiw_", "sk-", "gh", "glpat-", "xox", "xapp-", "AKIA", "ASIA", "AIza", "ya29.", "eyJ", "k_live_", "k_test_", "npm_",
    "hooks.slack.com", "PRIVATE KEY", "@",
)  # fmt: skip
_HINTS: Final = (
    "pass", "pwd", "secret", "token", "key", "credential", "otp", "pin", "비밀", "패스워드", "암호", "비번", "토큰",
    "인증", "키",
)  # fmt: skip


def looks_secret(text: str) -> bool:
    """Whether something in it may be one. A wrong yes costs a call."""
    if any(mark in text for mark in _MARKS) and _KNOWN.search(text):
        return True
    folded = text.lower()
    if any(hint in folded for hint in _HINTS) and _beside_its_name(text):
        return True
    if ("bearer" in folded or "basic" in folded) and _AUTHORISATION.search(text):
        return True
    tokens = _TOKEN.findall(text)
    return any(_HEX.search(token) or any(map(_random, token.split("/"))) for token in tokens)


def _beside_its_name(text: str) -> bool:
    if _SAID.search(text):
        return True
    return any(not _WORD.fullmatch(match["value"]) for match in _BESIDE.finditer(text))


def _random(token: str) -> bool:
    """Capitals, small letters and digits in an order that no language has."""
    if len(token) < LONG:
        return False
    kinds = (str.isupper, str.islower, str.isdigit)
    if not all(any(kind(character) for character in token) for kind in kinds):
        return False
    counts = Counter(token).values()
    return -sum(n / len(token) * math.log2(n / len(token)) for n in counts) > BITS
