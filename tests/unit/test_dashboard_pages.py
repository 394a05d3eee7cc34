"""The pages: who gets in, whose words are shown, and that both languages say everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from common.auth import sha256_of
from common.core import errors
from common.core.lifecycle import KINDS
from common.core.task import RISKS, State
from common.i18n import catalogue
from functions.dashboard import rendering
from functions.dashboard.handler import app
from tests.unit.browsing import HERE, VALUE, browsed, browser, code_for, csrf_in, submitted
from tests.unit.desk import Desk, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """The five functions over memory, with a signing key."""
    with browsed(tmp_path) as it:
        yield it


# --- getting in -------------------------------------------------------------------------------------------------------


def test_opening_the_link_decides_nothing_and_the_button_signs_in_once(at: Desk) -> None:
    """A mail scanner that fetches the link leaves the code usable; of two presses one gets in."""
    code, client = code_for(at), browser(at)
    for _ in range(2):
        assert client.get(f"/in/{code}").status_code == 200
    signed = client.post(f"/in/{code}", headers=HERE)
    assert signed.status_code == 303
    cookie = signed.headers["set-cookie"]
    assert cookie.startswith("aiw=aiw_")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert client.get("/").status_code == 200
    assert browser(at).post(f"/in/{code}", headers=HERE).status_code == 401


def test_a_code_may_be_typed_and_leads_back_to_where_one_was_going(at: Desk) -> None:
    """`next` is followed inside the product only."""
    code, client = code_for(at), browser(at)
    sent = client.get("/inbox")
    assert sent.headers["location"] == "/sign-in?next=%2Finbox"
    signed = client.post("/sign-in", data={"code": code.lower().replace("-", " "), "next": "/inbox"}, headers=HERE)
    assert signed.headers["location"] == "/inbox"
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example"):
        page = browser(at).get("/sign-in", params={"next": elsewhere}).text
        assert 'name="next" value="/"' in page


def test_signing_in_is_limited_by_address_and_altogether(at: Desk) -> None:
    """Guessing is slow: the eleventh try of an address waits, and so does the sixty-first of everybody."""
    client = browser(at)
    tries = [client.post("/sign-in", data={"code": "0000-0000"}, headers=HERE) for _ in range(11)]
    assert [t.status_code for t in tries] == [401] * 10 + [429]
    assert int(tries[-1].headers["retry-after"]) > 0
    statuses = [
        client.post("/sign-in", data={"code": "x"}, headers=HERE | {"X-Forwarded-For": f"192.0.2.{n}"}).status_code
        for n in range(60)
    ]
    assert statuses.count(401) == 50
    assert statuses[-1] == 429


def test_signing_out_ends_the_session_everywhere(at: Desk) -> None:
    """The session's secret is worth nothing afterwards, in this browser or any other."""
    client = browser(at, "operator")
    secret = client.cookies["aiw"]
    token = csrf_in(client.get("/").text)
    assert client.post("/sign-out", data={"csrf": token}, headers=HERE).status_code == 303
    assert at.container.people.principal(sha256_of(secret)) is None
    again = browser(at)
    again.cookies.set("aiw", secret)
    assert again.get("/").status_code == 303


# --- whose words are shown --------------------------------------------------------------------------------------------


def test_a_viewer_sees_no_value(at: Desk) -> None:
    """Values of plans, results and histories are not for viewers, on any page."""
    task = submitted(at, VALUE)
    at.wake("execute")
    client = browser(at, "viewer")
    for path in ("/", f"/tasks/{task}", "/inbox"):
        page = client.get(path).text
        assert "39000" not in page
        assert "secret_looking" not in page
    assert client.get(f"/tasks/{task}/results/v").status_code == 403
    for path in ("/settings", "/people"):
        assert client.get(path).status_code == 403


def test_a_list_of_foreign_text_is_escaped(at: Desk) -> None:
    """What people and far sides wrote is text, never markup."""
    task = submitted(at, {"text": "<img src=x onerror=alert(1)>", "tags": ["<b>"]})
    client = browser(at, "operator")
    for path in ("/", f"/tasks/{task}"):
        page = client.get(path).text
        assert "<img" not in page
        assert "&lt;img src=x" in page


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/inbox",
        "/costs",
        "/costs?month=2026-01",
        "/recipes",
        "/settings",
        "/people",
        "/docs",
        "/sign-in",
        "/in/7F3K-QM2P",
    ],
)
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_every_page_is_strict_and_speaks_both_languages(at: Desk, path: str, lang: str) -> None:
    """No inline script or style, nothing from outside, no message without words."""
    client = browser(at, "admin")
    answer = client.get(path, params={"lang": lang})
    assert answer.status_code == 200
    assert f'<html lang="{lang}"' in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", answer.text)
    assert not re.search(r'(?:src|href)="https?://', answer.text)
    assert "page." not in re.sub(r"<pre.*?</pre>|<[^>]+>|\w+\.example\S*", "", answer.text, flags=re.DOTALL)


def test_filters_live_in_the_address_and_survive_paging(at: Desk) -> None:
    """Tabs keep the search, the search keeps the tab, and a strange value is no error."""
    for _ in range(31):
        submitted(at, VALUE)
    client = browser(at, "operator")
    page = client.get("/?state=queued&state=running&risk=low&q=").text
    assert 'name="state" value="queued"' in page
    older = re.search(r'href="/(\?[^"]*cursor=[^"]+)"', page)
    assert older
    assert "state=queued" in older[1]
    assert "risk=low" in older[1]
    second = client.get("/" + older[1].replace("&amp;", "&")).text
    assert second.count('class="row"') == 1
    assert client.get("/?risk=&kind=&tag=").status_code == 200


def test_links_begin_with_the_configured_base(tmp_path: Path) -> None:
    """Behind a gateway the pages live under a path: every link and form stays under it."""
    (tmp_path / "signing.key").write_bytes(b"k" * 32)
    with desk(secrets_dir=str(tmp_path)) as it:
        at_base = it.container.settings.model_copy(update={"public_url": "https://testserver/function/dashboard"})
        object.__setattr__(it.container, "settings", at_base)
        client = TestClient(app, follow_redirects=False, base_url="https://testserver")
        assert client.get("/").headers["location"] == "/function/dashboard/sign-in"
        page = client.get("/sign-in").text
        links = re.findall(r'(?:href|src|action)="(/[^"?]*)', page)
        assert links
        assert all(link.startswith("/function/dashboard/") for link in links)
        signed = client.post(f"/in/{code_for(it)}", headers={"Origin": "https://testserver"})
        assert signed.headers["location"] == "/function/dashboard/"
        assert signed.headers["set-cookie"].startswith("__Host-aiw=")
        assert "Secure" in signed.headers["set-cookie"]


def test_static_files_are_three_and_no_path_leads_elsewhere(at: Desk) -> None:
    """Only what is meant to be served is served."""
    client = browser(at)
    for name in ("app.css", "app.js", "icon.svg"):
        assert client.get(f"/static/{name}").status_code == 200
    for path in ("/static/../handler.py", "/static/%2e%2e/handler.py", "/static/nothing"):
        assert client.get(path).status_code in {303, 404}


def test_a_wrong_address_is_a_page_for_a_person_and_a_problem_for_a_program(at: Desk) -> None:
    """Nobody is shown JSON for a typing error in the address bar; no program is shown a page."""
    client = browser(at, "operator")
    page = client.get("/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "no page has this address" in page.text
    assert 'href="/inbox"' in page.text
    assert browser(at).get("/nothing", headers={"Accept": "text/html"}).status_code == 404
    for path, accept in (("/nothing", "*/*"), ("/api/v1/nothing", "text/html")):
        answer = client.get(path, headers={"Accept": accept})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_long_text_is_a_title_and_whole_below_and_reasons_that_say_the_same_stand_once(at: Desk) -> None:
    """A page begins with what it is about, however long that is."""
    client = browser(at, "approver")
    text = "아주 긴 요청입니다. " * 40
    page = client.get(f"/tasks/{submitted(at, {'text': text})}").text
    title = re.search(r"<h1>([^<]*)</h1>", page)
    assert title
    assert len(title[1]) <= 240
    assert text.strip() in page
    post = {"action": "http.request", "args": {"method": "POST", "url": "https://pay.example.com/refunds"}}
    twelve = {"plan": {"steps": [{"id": f"s{n}", **post} for n in range(12)]}}
    page = client.get(f"/tasks/{submitted(at, twelve)}").text
    assert page.count("POST may change something at pay.example.com") == 1
    assert "<code>s11</code>" in page


def test_what_cannot_be_taken_back_is_asked_once_more(at: Desk) -> None:
    """No single press removes a person or locks a browser out; one's own session is named."""
    client = browser(at, "admin")
    at.token("viewer", "Haneul")
    page = client.get("/people").text
    assert page.count("this browser") == 1
    for form in re.findall(r'<form method="post" action="[^"]*/(?:remove|revoke)">', page):
        before = page[: page.index(form)]
        assert before.rstrip().endswith("</summary>")


# --- words ------------------------------------------------------------------------------------------------------------


def test_both_languages_say_the_same_things() -> None:
    """No message is missing in one language, and both fill the same places."""
    english, korean = catalogue("en"), catalogue("ko")
    for key in english:
        if key.startswith(("page.", "state.", "event.", "waiting.", "failure.", "mend.", "risk.", "role.", "problem.")):
            assert key in korean, key
    for key in set(english) & set(korean):
        if key.startswith("page."):
            assert set(re.findall(r"{(\w+)", korean[key])) <= {*re.findall(r"{(\w+)", english[key]), "month", "name"}


def test_every_state_event_risk_and_problem_has_words() -> None:
    """What the lifecycle and the error tree can say, the catalogue can say."""
    words = catalogue("en")
    assert {f"state.{state.value}" for state in State} <= set(words)
    assert {f"event.{kind}" for kind in KINDS} <= set(words)
    assert {f"risk.{risk.value}" for risk in RISKS} <= set(words)
    left: list[type[errors.AppError]] = [errors.AppError]
    while left:
        kind = left.pop()
        assert f"problem.{kind.code}" in words
        left += kind.__subclasses__()


def test_every_message_that_a_template_names_exists() -> None:
    """A typing error in a template is found here, not by a reader."""
    for template in (rendering.HERE / "templates").iterdir():
        for key in re.findall(r'\bt\(\s*["\']([\w.]+[a-z_])["\']\s*[,)]', template.read_text()):
            assert key in catalogue("en"), f"{template.name}: {key}"
