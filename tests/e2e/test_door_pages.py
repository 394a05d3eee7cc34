"""nginx's own pages in a real browser: both languages, wide and on a phone; they look again, and lose no word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.nginx.pages import SECONDS
from tests.door import Door, front_door
from tests.e2e.test_pages import CHROMIUM, FLAGS, PATIENCE_MS, View, accessible

WORDS = "a text that took a while"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for this file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """Nobody behind it."""
    with front_door() as found:
        yield found


@pytest.fixture(params=[("en", 1280, True), ("en", 390, False), ("ko", 390, True), ("ko", 1280, False)])
def view(request: pytest.FixtureRequest) -> View:
    """How somebody looks at it."""
    return View(*request.param)


@pytest.fixture
def page(chromium: Browser, view: View) -> Iterator[Page]:
    """A window; the browser had nothing to complain about but the status itself."""
    context = chromium.new_context(
        viewport={"width": view.width, "height": 844},
        locale=view.lang,
        java_script_enabled=view.script,
        color_scheme="light",
    )
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    context.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    yield context.new_page()
    context.close()
    assert [said for said in complaints if "503" not in said] == []


def test_a_page_looks_like_the_product_and_looks_again_by_itself(page: Page, door: Door, view: View) -> None:
    """Its own style applies under its policy; when the function is back, its page is there."""
    answer = page.goto(door.url + "/tasks")
    assert answer is not None
    assert answer.status == 503
    expect(page.get_by_role("heading", level=1)).to_have_text(view.say("door.restarting"))
    expect(page.get_by_role("status")).to_have_text(view.say("door.again", n=SECONDS))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 243)"
    if view.script:
        accessible(page)
    if view.lang == "en":  # with script and without; it takes its five seconds each time
        with door.answered():
            expect(page.locator("textarea")).to_be_visible(timeout=SECONDS * 1000 + PATIENCE_MS)
            assert page.url == door.url + "/tasks"


def test_a_form_that_met_no_function_still_has_its_words(page: Page, door: Door, view: View) -> None:
    """The page says so, and does not send it again by itself; going back shows what was typed."""
    with door.answered():
        page.goto(door.url + "/")
        page.locator("textarea").fill(WORDS)
    page.get_by_role("button").click()
    expect(page.get_by_text(view.say("door.doubt"))).to_be_visible()
    with door.answered():
        page.go_back()
        expect(page.locator("textarea")).to_have_value(WORDS)
