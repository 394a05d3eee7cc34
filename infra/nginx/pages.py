"""What a person with a browser gets where nginx answers by itself: one small page, whole in itself, in their language.

Rendered to files when nginx is started, since nginx chooses and does not write: a folder for each way of asking and
language, in it a file for each status.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from common.i18n import LANGUAGES, t

Verb = Literal["get", "post"]
VERBS: Final[tuple[Verb, ...]] = ("get", "post")

HERE: Final = Path(__file__).parent
STYLE: Final = (HERE / "page.css").read_text("utf-8")
SECONDS: Final = 5  # until a page that may be there by then is asked for again; the header `Refresh` asks for it
# As on the dashboard's own pages, but that the style stands inside: it is named by its hash, and nothing else may load.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'sha256-"
    + b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Own:
    """An answer of nginx's own.

    Args:
        what: its words in the catalogue, `door.WHAT`.
        passes: it may be well the next time.
        doubt: what was sent may have reached a function.
    """

    what: str
    passes: bool = False
    doubt: bool = False


# By the status that nginx found. Where it stopped before the headers (414, 505, most of 400), nobody knows who reads.
OWN: Final[Mapping[int, Own]] = {
    400: Own("malformed"),
    404: Own("not_found"),
    405: Own("not_allowed"),
    408: Own("late", passes=True),
    413: Own("too_large"),
    494: Own("large_headers"),
    500: Own("error", passes=True, doubt=True),
    501: Own("malformed"),
    502: Own("restarting", passes=True, doubt=True),
    503: Own("restarting", passes=True, doubt=True),
    504: Own("slow", passes=True, doubt=True),
}


def write_pages(folder: Path, base: str) -> None:
    """Write all of them under `folder`, for nginx's user alone. `base`: the path under which the pages are reached."""
    for verb in VERBS:
        for lang in LANGUAGES:
            place = folder / f"{verb}.{lang}"
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            for status in OWN:
                (place / str(status)).write_text(page(status, verb, lang, base), "utf-8")


def page(status: int, verb: Verb, lang: str, base: str = "") -> str:
    """One page. What was sent is never sent again by itself: only a page that was asked for is."""
    own = OWN[status]
    back = ""
    if own.passes and verb == "post":
        back = "door.doubt" if own.doubt else "door.back"
    return (
        _environment()
        .get_template("page.html")
        .render(
            lang=lang,
            base=base,
            what=own.what,
            back=back,
            again=own.passes and verb == "get",
            seconds=SECONDS,
            style=Markup(STYLE),  # noqa: S704 - our own file: escaped, its quotes would end its rules
            t=partial(_t, lang),
        )
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _t(lang: str, key: str, **values: object) -> str:
    return t(key, lang, **values)
