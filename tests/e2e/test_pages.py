"""The pages in a real browser: both languages, wide and on a phone, with and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from common.i18n import t
from tests.e2e.conftest import Stack

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS: Final = 15_000  # of a machine that does other things too; what is waited for takes a second at most
PAGES: Final = ("/", "/inbox", "/recipes", "/settings", "/people", "/docs")


@dataclass(frozen=True)
class View:
    """How somebody looks at the pages."""

    lang: str
    width: int
    script: bool

    def say(self, key: str, **values: object) -> str:
        """A message in the view's language."""
        return t(key, self.lang, **values)


VIEWS: Final = [View(lang, width, js) for lang in ("en", "ko") for width in (1280, 390) for js in (True, False)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for this file; gone afterwards, since it brings an event loop of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=VIEWS, ids=lambda v: f"{v.lang}-{v.width}-{'script' if v.script else 'plain'}")
def view(request: pytest.FixtureRequest) -> View:
    """Each way of looking."""
    found: View = request.param
    return found


@pytest.fixture
def window(chromium: Browser, view: View) -> Iterator[BrowserContext]:
    """A window without any session; at the end it had nothing to complain about."""
    context = chromium.new_context(
        viewport={"width": view.width, "height": 844 if view.width < 400 else 900},
        locale=view.lang,
        java_script_enabled=view.script,
    )
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    context.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    context.on("weberror", lambda e: complaints.append(str(e.error)))
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def page(window: BrowserContext, stack: Stack) -> Page:
    """A page of the signed-in admin."""
    window.add_cookies([{"name": "aiw", "value": stack.token, "url": stack.url}])
    return window.new_page()


def accessible(page: Page) -> None:
    """Nothing that axe finds wrong, and nothing that sticks out to the side."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def looked_at(page: Page, view: View) -> None:
    """Check a page, where a script may run in it; wide in one language and narrow in the other tells all there is."""
    if view.script and (view.lang, view.width) in {("en", 1280), ("ko", 390)}:
        accessible(page)


def refund(stack: Stack, name: str) -> tuple[str, str]:
    """A task that waits for approval, and the path of its effect."""
    path = f"/refunds/{name}"
    args = {"method": "POST", "url": f"http://{stack.target.strict}{path}", "json": {"amount": 39000}}
    plan = {"steps": [{"id": "refund", "action": "http.request", "args": args}]}
    return stack.submit({"plan": plan, "tags": ["refund"]}), path


def until(page: Page, view: View, text: str) -> None:
    """Wait for a text: with a script it comes by itself, without one the page is asked for again."""
    found = page.get_by_text(text, exact=True).first
    for _ in range(PATIENCE_MS // 500):
        if view.script:
            break
        if found.is_visible():
            return
        page.wait_for_timeout(500)
        page.reload()
    expect(found).to_be_visible(timeout=PATIENCE_MS)


def test_signing_in_by_link_and_out_again(window: BrowserContext, stack: Stack, view: View) -> None:
    """A link shows a button, the button signs in, the tasks are there; signing out ends it."""
    link = stack.ask("POST", "/api/v1/sign-in-codes", {})["url"]
    page = window.new_page()
    page.goto(link)
    looked_at(page, view)
    page.get_by_role("button", name=view.say("page.sign_in.do")).click()
    expect(page).to_have_url(stack.url + "/")
    expect(page.get_by_label(view.say("page.submit.label"))).to_be_visible()
    looked_at(page, view)
    page.locator("details.menu").last.locator("summary").click()
    page.get_by_role("button", name=view.say("page.sign_out")).click()
    expect(page).to_have_url(re.compile("/sign-in$"))
    page.goto(stack.url + "/inbox")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Finbox$"))
    looked_at(page, view)


def test_approving_what_is_on_the_screen(page: Page, stack: Stack, view: View) -> None:
    """I4: the sentence and the digest are shown; nothing is sent before the button, exactly one request after it."""
    task, path = refund(stack, f"{view.lang}-{view.width}-{view.script}")
    page.goto(f"{stack.url}/inbox")
    page.locator(f'a[href="/tasks/{task}"]').click()
    digest = stack.ask("GET", f"/api/v1/tasks/{task}/approval")["digest"]
    expect(page.get_by_text(digest, exact=True)).to_be_visible()
    expect(page.locator(".decide .sentences li")).to_contain_text(f"http://{stack.target.strict}{path}")
    looked_at(page, view)
    assert stack.target.requests(path) == 0
    page.locator("#note").fill("checked")
    page.get_by_role("button", name=view.say("page.approve")).click()
    expect(page.get_by_role("status").filter(has_text=view.say("page.done.approve"))).to_be_visible()
    until(page, view, view.say("state.succeeded"))
    assert stack.state(task) == "succeeded"
    assert stack.target.requests(path) == 1
    expect(page.locator("#timeline")).to_contain_text("checked")
    looked_at(page, view)


def test_rejecting_runs_nothing(page: Page, stack: Stack, view: View) -> None:
    """A rejected task is cancelled with the note, and the far side never hears of it."""
    task, path = refund(stack, f"no-{view.lang}-{view.width}-{view.script}")
    page.goto(f"{stack.url}/tasks/{task}")
    page.locator("#note").fill("wrong amount")
    page.get_by_role("button", name=view.say("page.reject")).click()
    expect(page.get_by_role("status").filter(has_text=view.say("page.done.reject"))).to_be_visible()
    expect(page.locator("#head .chip")).to_have_text(view.say("state.cancelled"))
    expect(page.locator("#facts")).to_contain_text("wrong amount")
    assert stack.target.requests(path) == 0
    looked_at(page, view)


def test_finding_out_why_and_closing_it_by_hand(page: Page, stack: Stack, view: View) -> None:
    """What nobody could plan says why and what mends it; a person does it and says so."""
    page.goto(stack.url)
    page.get_by_label(view.say("page.submit.label")).fill("회식 장소 알아봐줘")
    page.get_by_role("button", name=view.say("page.submit.do"), exact=True).click()
    expect(page).to_have_url(re.compile(r"/tasks/[0-9a-f-]{36}$"))
    until(page, view, view.say("page.manual.title"))
    expect(page.locator("#now")).to_contain_text(view.say("failure.no_recipe"))
    expect(page.locator("#now")).to_contain_text(view.say("mend.no_recipe"))
    looked_at(page, view)
    page.locator("#resolve-fold summary").click()
    page.get_by_label(view.say("page.resolve.note")).fill("예약했습니다")
    page.get_by_label(view.say("page.resolve.result")).fill('{"place": "을지로"}')
    page.get_by_role("button", name=view.say("page.resolve.do"), exact=True).click()
    expect(page.locator("#head .chip")).to_have_text(view.say("state.succeeded"))
    expect(page.locator("#timeline")).to_contain_text("예약했습니다")
    looked_at(page, view)


def test_pausing_and_resuming(page: Page, stack: Stack, view: View) -> None:
    """A banner says that and why everything stands; a task waits by that name; resuming lets it go on."""
    page.goto(stack.url)
    page.locator("details.menu").first.locator("summary").click()
    page.get_by_label(view.say("page.pause.why")).fill("stocktaking")
    looked_at(page, view)
    page.get_by_role("button", name=view.say("page.pause.do")).click()
    banner = page.locator(".banner")
    expect(banner).to_contain_text("stocktaking")
    try:
        plan = {"steps": [{"id": "v", "action": "value", "args": {"value": 1}}]}
        task = str(stack.ask("POST", "/api/v1/tasks", {"plan": plan})["id"])
        page.goto(f"{stack.url}/tasks/{task}")
        what = view.say("page.waits_for", what=view.say("waiting.paused"))
        expect(page.locator("#now")).to_contain_text(what)
        looked_at(page, view)
        page.goto(stack.url)
        banner.get_by_role("button", name=view.say("page.resume")).click()
        expect(banner).to_have_count(0)
    finally:
        stack.ask("DELETE", "/api/v1/pause")
    assert stack.state(task) == "succeeded"


@pytest.mark.parametrize(
    ("scheme", "lang", "width"),
    [("light", "en", 1280), ("dark", "en", 1280), ("light", "ko", 390), ("dark", "ko", 390)],
)
def test_every_page_is_clean_in_light_and_dark(
    chromium: Browser, stack: Stack, scheme: str, lang: str, width: int
) -> None:
    """Axe finds nothing, nothing sticks out, and the console stays silent, on every page."""
    refund(stack, f"axe-{scheme}-{lang}-{width}")
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, locale=lang, color_scheme="dark" if scheme == "dark" else "light"
    )
    complaints: list[str] = []
    context.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    context.add_cookies([{"name": "aiw", "value": stack.token, "url": stack.url}])
    page = context.new_page()
    for path in PAGES:
        page.goto(stack.url + path)
        for fold in page.locator("main details").all()[:3]:
            fold.evaluate("fold => { fold.open = true }")
        accessible(page)
    context.close()
    assert complaints == []


def test_the_list_stays_fresh_by_itself_and_leaves_what_is_being_written(chromium: Browser, stack: Stack) -> None:
    """A task that somebody else submits appears without reloading, and the half-written text stays where it is."""
    context = chromium.new_context(locale="en")
    context.add_cookies([{"name": "aiw", "value": stack.token, "url": stack.url}])
    page = context.new_page()
    page.goto(stack.url)
    expect(page.locator("#live.on")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_label("What should be done?").fill("half a thought")
    task, _ = refund(stack, "live")
    row = page.locator(f'a[href="/tasks/{task}"]')
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    stack.ask("POST", f"/api/v1/tasks/{task}/cancel", {})
    expect(page.locator("li.row", has=row).locator(".chip")).to_have_text("Cancelled", timeout=PATIENCE_MS)
    expect(page.get_by_label("What should be done?")).to_have_value("half a thought")
    context.close()


def test_an_unknown_step_is_decided_by_whoever_looked(chromium: Browser, stack: Stack) -> None:
    """I6: a POST without an answer is never repeated; a person says that it happened, and the task goes on."""
    path = "/held/charge-by-page"
    stack.target.hold()
    args = {"method": "POST", "url": f"http://{stack.target.strict}{path}", "json": {"amount": 1}, "timeout": 1}
    steps = [
        {"id": "charge", "action": "http.request", "args": args},
        {"id": "note", "action": "value", "args": {"value": "noted"}},
    ]
    task = stack.submit({"plan": {"steps": steps}})
    digest = stack.ask("GET", f"/api/v1/tasks/{task}/approval")["digest"]
    stack.ask("POST", f"/api/v1/tasks/{task}/approve", {"digest": digest})
    assert stack.state(task) == "manual"
    stack.target.release()
    context = chromium.new_context(locale="en")
    context.add_cookies([{"name": "aiw", "value": stack.token, "url": stack.url}])
    page = context.new_page()
    page.goto(f"{stack.url}/tasks/{task}")
    expect(page.locator("#now")).to_contain_text("nobody knows whether it happened")
    accessible(page)
    page.get_by_role("button", name="It happened").click()
    expect(page.locator("#head .chip")).to_have_text("Succeeded", timeout=PATIENCE_MS)
    assert stack.target.requests(path) == 1
    context.close()
