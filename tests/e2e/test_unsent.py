"""What is typed into a page survives what goes wrong, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect, sync_playwright

from tests.e2e.conftest import Stack
from tests.e2e.test_pages import CHROMIUM, FLAGS, PATIENCE_MS, accessible, refund

BOX = "무엇을 할까요?"


@pytest.fixture(scope="module")
def korean() -> Iterator[BrowserContext]:
    """A Korean reader's browser, on a phone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(locale="ko-KR", viewport={"width": 390, "height": 844})
        context.set_default_timeout(PATIENCE_MS)
        yield context
        browser.close()


@pytest.fixture
def page(korean: BrowserContext, stack: Stack) -> Iterator[Page]:
    """A page of the signed-in admin."""
    korean.add_cookies([{"name": "aiw", "value": stack.token, "url": stack.url}])
    page = korean.new_page()
    yield page
    page.close()


def signed_in_again(page: Page, stack: Stack) -> None:
    """Sign in with a code, on the page that asks for one."""
    page.locator("#code").fill(stack.ask("POST", "/api/v1/sign-in-codes", {})["code"])
    page.get_by_role("button", name="로그인", exact=True).click()


def test_a_session_that_ends_in_the_middle_of_a_text(page: Page, stack: Stack, korean: BrowserContext) -> None:
    """The text is in the box again after signing in, and was not handed in meanwhile."""
    page.goto(stack.url)
    page.get_by_label(BOX).fill("세션이 끝난 동안 쓴 글")
    korean.clear_cookies()
    page.get_by_role("button", name="제출", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("로그인이 만료되어")
    accessible(page)
    signed_in_again(page, stack)
    expect(page.get_by_label(BOX)).to_have_value("세션이 끝난 동안 쓴 글")
    assert stack.ask("GET", "/api/v1/tasks?q=%EC%84%B8%EC%85%98%EC%9D%B4")["items"] == []
    page.reload()  # sends nothing again
    expect(page).to_have_url(stack.url + "/")


def test_a_session_that_ends_in_the_middle_of_a_decision(page: Page, stack: Stack, korean: BrowserContext) -> None:
    """I4: the note is back in its field, beside what waits now; nothing is decided before another press."""
    task, path = refund(stack, "unsent")
    page.goto(f"{stack.url}/tasks/{task}")
    page.locator("#note").fill("영수증 확인")
    korean.clear_cookies()
    stack.ask("POST", f"/api/v1/tasks/{refund(stack, 'beside')[0]}/cancel", {})  # the page is told, and looks again
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="승인", exact=True).click()
    signed_in_again(page, stack)
    expect(page.locator("#note")).to_have_value("영수증 확인")
    expect(page.locator("#unsent")).to_be_hidden()
    expect(page).to_have_url(f"{stack.url}/tasks/{task}")
    accessible(page)
    assert stack.target.requests(path) == 0
    page.get_by_role("button", name="승인", exact=True).click()
    expect(page.locator("#timeline")).to_contain_text("영수증 확인")
    assert stack.state(task) == "succeeded"


def test_a_server_that_is_gone_costs_no_page(page: Page, stack: Stack) -> None:
    """While nothing answers a form is not let go: the text stays, and goes when there is an answer again."""

    def gone(route: Route) -> None:
        route.abort("connectionrefused")

    everything = f"{stack.url}/**"
    page.goto(stack.url)
    expect(page.locator("#live")).to_have_class("live on", timeout=PATIENCE_MS)
    page.get_by_label(BOX).fill("내일 오전 9시에 보고서 제출하라고 알려줘")
    page.route(everything, gone)
    page.evaluate("document.getElementById('live').classList.remove('on')")  # as when the stream breaks
    page.get_by_role("button", name="제출", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("연결되지 않아 보내지 않았습니다")
    expect(page.get_by_label(BOX)).to_have_value("내일 오전 9시에 보고서 제출하라고 알려줘")
    accessible(page)
    page.unroute(everything)
    page.get_by_role("button", name="제출", exact=True).click()
    expect(page.locator("h1")).to_have_text("내일 오전 9시에 보고서 제출하라고 알려줘")
