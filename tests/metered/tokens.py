"""How many tokens a text is, estimated from above: the models' own tokenizers are not published.

Letters are counted six a token, digits three, marks two, Hangul three syllables as four tokens, and any other
character outside ASCII as two. Compared with the last tokenizer that Anthropic published (Claude 2's, which was inside
the SDK until 0.38) it is above on all that this product sends and gets: 20 % on the system text, 16 % on the schema,
10 % on English tasks, 7 % on answers, 3 % on Korean tasks. Newer models read Korean in fewer tokens than that, so it
is counted about half too dear. A fake that bills too much is the safe side for every figure that is held against a
limit or a goal; ratios between two ways are hardly touched.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# In the order of `_SIZES`: a piece of the kind that matched, and how many (numerator, denominator) tokens a character.
_PIECE: Final = re.compile(
    r"([A-Za-z]+)|([0-9]+)|([가-힣]+)|(\s*\n\s*|[ \t\r\f\v]{2,})|([!-/:-@\[-`{-~]+)|( |[\x00-\x1f\x7f])|([^\x00-\x7f])"
)
_SIZES: Final = ((1, 6), (1, 3), (4, 3), None, (1, 2), (0, 1), (2, 1))


@lru_cache(maxsize=256)
def tokens(text: str) -> int:
    """At least 1 for any text that is not empty."""
    found = 0
    for match in _PIECE.finditer(text):
        size = _SIZES[match.lastindex - 1] if match.lastindex else None
        if size is None:  # a run of blanks is one token
            found += 1
        else:
            found += -(-len(match.group()) * size[0] // size[1])
    return max(found, 1) if text else 0


def cut(text: str, most: int) -> str:
    """As much of a text as so many tokens hold."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(text[:middle]) <= most else (low, middle - 1)
    return text[:low]
