"""How a request is worded around its content: politeness in front, verb endings behind. Pattern text, nothing else.

Only what is listed is filler; a word that no pattern accounts for keeps the sentence from matching.
"""

from __future__ import annotations

from typing import Final

EN_FRONT: Final = (
    r"(?:(?:hey|hi|hello|ok|okay),? )?"
    r"(?:(?:please|kindly|just|now),? |(?:can|could|would|will) you (?:please |kindly |just )?"
    r"|i(?:'d| would) like you to |i (?:want|need) you to )?"
)
EN_BACK: Final = r"(?:,? (?:please|thanks|thank you|for me|now|right now|asap))*"

KO_FRONT: Final = r"(?:(?:안녕하세요|안녕|저기요|저기|혹시|지금|바로|좀|한번|한 번|이제|자)[,.!]? )*"
KO_MIDDLE: Final = r"(?:(?:좀|한번|한 번|지금|바로|빨리) ?)*"
KO_BACK: Final = (
    r"(?:[.!?~,]* ?(?:감사합니다|감사해요|고마워요?|고맙습니다"
    r"|부탁해요?|부탁드려요|부탁드립니다|부탁합니다))?"
)

# After a verb in its -아/-어 form: 줘, 주세요, 주시겠어요, 줄래 … Not here, and so never matched: -지 마, -지 말고,
# -았/었-, -(으)면, -고, -니까, -도 돼.
_GIVE: Final = (
    r"(?:줘요?|주라|주세요|주셔요|주십시오|주시오|줄래요?|주실래요|주시겠어요|주시겠습니까"
    r"|줄 수 있(?:어요?|나요?|을까요?)|주실 수 있(?:어요|나요|을까요|으신가요)"
    r"|주시기 바랍니다|주시면 (?:감사하겠습니다|좋겠습니다|좋겠어요|됩니다)"
    r"|봐요?|봐 ?줘요?|봐 ?주세요|보세요|보십시오|다오|놔|놔 ?줘)"
)
_ASK: Final = r"(?: ?(?:부탁해요?|부탁드려요|부탁드립니다|부탁드릴게요|부탁합니다|부탁|바랍니다|바람|요망))"


def verb(*stems: str) -> str:
    """A request with one of these verbs, each in its -아/-어 form: `가져와` takes 가져와줘 and 가져와 주세요."""
    return rf"(?:{'|'.join(stems)})(?:요|라| ?{_GIVE})?"


def action(*nouns: str) -> str:
    """A request with 하다: `조회` takes 조회, 조회해, 조회해 주세요, 조회하세요, 조회를 부탁드립니다."""
    do = rf"(?:해(?:요|라| ?{_GIVE})?|하세요|하십시오|하시오|하라|하기)"
    return rf"(?:{'|'.join(nouns)})(?:(?:을|를)? ?{do}|(?:을|를)?{_ASK})?"


def english(body: str) -> str:
    """A whole English sentence."""
    return rf"{EN_FRONT}(?:{body}){EN_BACK}"


def korean(body: str) -> str:
    """A whole Korean sentence."""
    return rf"{KO_FRONT}(?:{body}){KO_BACK}"
