"""The pages for nginx's own answers: every one is there, whole in itself, and promises what is so."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from common.i18n import LANGUAGES, t
from functions.dashboard.rendering import HEADERS as DASHBOARD, STATIC
from infra.nginx.pages import HEADERS, OWN, SECONDS, STYLE, VERBS, Verb, page, write_pages
from infra.nginx.render import PROBLEMS

ALL: Final = [(status, verb, lang) for status in OWN for verb in VERBS for lang in LANGUAGES]
CUSTOM: Final = re.compile(r"(--[a-z-]+): ([^;]+);")


class Seen(HTMLParser):
    """Tags and what they name."""

    def __init__(self, text: str) -> None:
        """Read at once."""
        super().__init__()
        self.tags: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        given = dict(attrs)
        self.tags.add(tag)
        self.places |= {given[name] or "" for name in ("href", "src", "action") if name in given}


def test_every_answer_of_nginx_that_a_browser_can_meet_has_its_page(tmp_path: Path) -> None:
    """414 and 505 come before the headers, so nobody knows who reads them."""
    assert set(PROBLEMS) - set(OWN) == {414, 505}
    write_pages(tmp_path, "")
    write_pages(tmp_path, "")
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"{verb}.{lang}/{status}" for status, verb, lang in ALL}


@pytest.mark.parametrize(("status", "verb", "lang"), ALL)
def test_a_page_is_whole_in_itself(status: int, verb: Verb, lang: str) -> None:
    """Nothing is loaded, nothing runs, every text is there, and a base cannot leave its attribute."""
    text = page(status, verb, lang, '/a"><b>')
    seen = Seen(text)
    assert seen.places <= {'/a"><b>/', "", "data:,"}
    assert not seen.tags & {"script", "img", "form", "iframe", "b"}
    assert "door." not in text
    assert "page." not in text
    assert (t("door.again", lang, n=SECONDS) in text) == (verb == "get" and OWN[status].passes)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_passes_says_what_to_do_with_a_form(lang: str) -> None:
    """Where a form's words are; and that it may have been done, where that is so."""
    for status, own in OWN.items():
        get, post = page(status, "get", lang), page(status, "post", lang)
        assert (get != post) == own.passes
        assert not own.doubt or own.passes


def test_the_headers_are_the_dashboards_and_the_style_is_named_by_its_hash() -> None:
    """Nothing may load, run or frame; only this very style applies."""
    policy = HEADERS["Content-Security-Policy"]
    assert {**DASHBOARD, "Content-Security-Policy": policy} == HEADERS
    [style] = re.findall(r"<style>(.*?)</style>", page(502, "get", "en"), re.DOTALL)
    assert style == STYLE
    assert f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for rule in ("base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy
        assert rule in DASHBOARD["Content-Security-Policy"]


def test_the_style_is_the_products() -> None:
    """Every colour, shadow and font of it is the dashboard's, in light and in dark."""
    light, dark = (set(CUSTOM.findall(part)) for part in _halves(STYLE))
    theirs_light, theirs_dark = (set(CUSTOM.findall(part)) for part in _halves((STATIC / "app.css").read_text("utf-8")))
    assert light
    assert dark
    assert light <= theirs_light
    assert dark <= theirs_dark


def _halves(css: str) -> tuple[str, str]:
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    return light, rest.partition("\n}\n")[0]
