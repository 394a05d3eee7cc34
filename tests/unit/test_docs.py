"""The documents are held to the product: links resolve, commands and settings exist, both READMEs say as much."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from cli.__main__ import aiw
from common.adapters.postgres.connection import SCHEMA
from common.config import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
READMES = (ROOT / "README.md", ROOT / "README.ko.md")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
# What the launcher, the supervisor and the command line read besides the functions' settings.
BESIDE_SETTINGS = frozenset({
    "DATA", "DEBUG", "GATEWAY", "LANG", "NGINX", "POSTGRES_BIN", "REGISTRY", "SEED", "TAG", "TEST_FAST", "TOKEN", "URL",
    "VALKEY_SERVER",
})  # fmt: skip


def text_of(page: Path) -> str:
    """A page, whatever the machine's own encoding is."""
    return page.read_text(encoding="utf-8")


def links(page: Path) -> list[str]:
    """Where a page leads, pictures too."""
    return [first or second for first, second in LINK.findall(FENCE.sub("", text_of(page)))]


def name_of(page: Path) -> str:
    """A page as tests call it."""
    return str(page.relative_to(ROOT))


def slug(heading: str) -> str:
    """A heading's anchor, as forges make it."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def headings(page: Path) -> list[tuple[int, str]]:
    """Level and text of each heading, those inside of code blocks left out."""
    plain = FENCE.sub("", text_of(page))
    return [(len(marks), text) for marks, text in re.findall(r"^(#{1,6}) (.+)$", plain, re.MULTILINE)]


def commands(page: Path) -> Iterator[list[str]]:
    """The words after `./aiw` wherever a line of a code block begins with it, or with `$ ./aiw`."""
    for block in FENCE.findall(text_of(page)):
        for line in block.splitlines():
            found = re.match(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*\./aiw\b(.*)", line)
            if found:
                yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """A reader who follows a link inside of the repository arrives, also at the heading."""
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / unquote(path)).resolve() if path else page
        if not there.exists() or (anchor and unquote(anchor) not in {slug(text) for _, text in headings(there)}):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    """Whoever copies a command from a page is understood by the command line."""
    for words in commands(page):
        context = click.Context(aiw, info_name="aiw")
        name, rest = first_command(words[: words.index("--")] if "--" in words else words)
        if not name:
            continue
        command = aiw.get_command(context, name)
        assert command is not None, f"there is no ./aiw {name}"
        if isinstance(command, click.Group):
            inner = next((word for word in rest if not word.startswith("-")), None)
            assert inner is None or command.get_command(context, inner) is not None, f"no ./aiw {name} {inner}"
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.partition("=")[0] for word in rest if word.startswith("--")}
        if not isinstance(command, click.Group):
            assert used <= known | {"--json", "--lang", "--help"}, f"./aiw {name}: {sorted(used - known)}"


def first_command(words: list[str]) -> tuple[str, list[str]]:
    """The command's name and what follows it; "" if the line shows the form only."""
    with_value = {"--data", "--port", "--lang"}
    rest = iter(words)
    for word in rest:
        if word in with_value:
            next(rest, None)
        elif not word.startswith("-"):
            return ("", []) if not re.fullmatch(r"[a-z]+", word) else (word, list(rest))
    return "", []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_is_named_is_read(page: Path) -> None:
    """An environment variable that a page speaks of does something."""
    named = set(re.findall(r"\bAIW_([A-Z][A-Z_]*[A-Z])\b", text_of(page)))
    known = {name.upper() for name in Settings.model_fields} | BESIDE_SETTINGS
    assert named - known == set()


def test_what_is_read_beside_the_settings_is_really_read() -> None:
    """The list above cannot keep a name alive that no code, stack.yml or test looks at any more."""
    sources = [ROOT / "aiw", ROOT / "stack.yml"]
    for folder in ("cli", "infra", "common", "tests/simulator"):
        sources += (ROOT / folder).rglob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert {name for name in BESIDE_SETTINGS if f"AIW_{name}" not in text} == set()


def test_both_readmes_have_the_same_headings() -> None:
    """Whoever reads Korean is told as much: the same outline, the same commands, the same links."""
    english, korean = READMES
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(korean)]
    told = [[first_command(words)[0] for words in commands(page)] for page in READMES]
    assert told[0] == told[1]
    led = [{re.sub(r"-(en|ko)(?=[.-])", "", to) for to in links(page) if "README" not in to} for page in READMES]
    assert led[0] == led[1]


@pytest.mark.parametrize("page", READMES, ids=name_of)
def test_the_start_that_is_shown_is_todays(page: Path) -> None:
    """The first thing that a reader compares with their own screen is of the present schema."""
    assert re.findall(r"schema (\d{4}) \.", text_of(page)) == [f"{SCHEMA:04d}"]


def test_every_path_that_is_named_exists() -> None:
    """A page that names a file of the repository names one that is there."""
    folders = "common|functions|cli|infra|tests|docs|template|bench"
    for page in PAGES:
        named = set(re.findall(rf"`((?:{folders})/[\w./-]+)`", text_of(page)))
        missing = sorted(path for path in named if not (ROOT / path).exists())
        assert missing == [], name_of(page)


def test_pictures_are_small() -> None:
    """A clone stays small, and a page loads at once."""
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) >= 4
    assert {picture.name for picture in pictures if picture.stat().st_size > 200_000} == set()
