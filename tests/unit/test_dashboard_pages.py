"""The pages: who gets in, what a form must carry, whose words are shown, and that both languages say everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.testclient import TestClient

from common.auth import code_hash, sha256_of
from common.core import errors
from common.core.installation import parse_setting
from common.core.lifecycle import KINDS
from common.core.task import RISKS, State
from common.i18n import catalogue
from common.routes import FUNCTIONS, FunctionName
from functions.dashboard import rendering
from functions.dashboard.handler import app
from functions.dashboard.session import Flash, put_flash, take_flash
from functions.dashboard.setting_forms import shown, typed
from tests.unit.desk import Desk, desk

VALUE = {"plan": {"steps": [{"id": "v", "action": "value", "args": {"value": {"secret_looking": 39000}}}]}}
REFUND = {
    "plan": {
        "steps": [
            {
                "id": "refund",
                "action": "http.request",
                "args": {"method": "POST", "url": "https://pay.example.com/refunds", "json": {"amount": 39000}},
            }
        ]
    }
}
HERE = {"Origin": "http://testserver"}


class Inside(httpx2.AsyncBaseTransport):
    """Takes what a form sends on to the function that it names, in this process."""

    def __init__(self, at: Desk) -> None:
        """`at`: whose clients answer."""
        self.at = at

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        name: FunctionName = next(f for f in FUNCTIONS if f == request.url.path.split("/")[2])
        path = request.url.raw_path.decode().removeprefix(f"/function/{name}")
        body = await request.aread()
        headers = {
            k: v
            for k, v in request.headers.items()
            if k in {"authorization", "content-type", "if-match", "accept-language"}
        }
        client = self.at.clients[name]
        got = await run_in_threadpool(lambda: client.request(request.method, path, content=body, headers=headers))
        return httpx2.Response(got.status_code, content=got.content, headers={"content-type": "application/json"})


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """The five functions over memory, with a signing key."""
    (tmp_path / "signing.key").write_bytes(b"k" * 32)
    with desk(secrets_dir=str(tmp_path)) as it:
        app.state.function.way = Inside(it)
        yield it


def browser(at: Desk, role: str | None = None) -> TestClient:
    """A browser of its own, signed in as a new person of that role."""
    client = TestClient(app, follow_redirects=False)
    if role is not None:
        secret = at.token(role, f"{role} at the page")["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]  # a role's name
        client.cookies.set("aiw", secret)
    return client


def csrf_in(page: str) -> str:
    """The token of the page's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def code_for(at: Desk, role: str = "operator") -> str:
    """A sign-in code of a new person."""
    person = at.container.people.add_person(at.workspace, "Jiwoo", role)  # type: ignore[arg-type]  # a role's name
    at.container.people.issue(at.workspace, person.id, "sign_in_code", code_hash("7F3K-QM2P"), None)
    return "7F3K-QM2P"


def submitted(at: Desk, body: object) -> str:
    """The id of a submitted task."""
    headers = at.token("operator", "who submits")
    return str(at.clients["analyze"].post("/api/v1/tasks", json=body, headers=headers).json()["id"])


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


# --- what a form must carry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        (HERE, False),
    ],
)
def test_a_form_of_another_site_or_session_changes_nothing(at: Desk, headers: dict[str, str], token: bool) -> None:  # noqa: FBT001  # a case's second half
    """A decision needs this site's own page of this very session."""
    task = submitted(at, REFUND)
    client = browser(at, "admin")
    csrf = csrf_in(client.get(f"/tasks/{task}").text) if token else "0" * 64
    answer = client.post(f"/tasks/{task}/cancel", data={"csrf": csrf}, headers=headers)
    assert answer.status_code == 403
    [held] = at.container.queue.get(at.workspace, [at.container.reads.resolve_id(at.workspace, task[-8:])[0]])
    assert held.state is State.AWAITING_APPROVAL


def test_an_unknown_host_is_refused(at: Desk) -> None:
    """A name that was made to point here reads nothing, cookie or not."""
    client = browser(at, "admin")
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    for host in ("127.0.0.1:8000", "localhost", "gateway:8080", "dashboard"):
        assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_message_that_we_did_not_write_is_not_shown(at: Desk) -> None:
    """Flash messages are signed: nobody puts words into our mouth."""
    response, settings = Response(), at.container.settings
    put_flash(response, settings, Flash("bad", "안녕", ("a: b",)))
    value = response.headers["set-cookie"].partition(";")[0].partition("=")[2].strip('"')
    assert take_flash({"aiw_flash": value}, settings) == Flash("bad", "안녕", ("a: b",))
    assert take_flash({"aiw_flash": "x" + value}, settings) is None
    assert take_flash({}, settings) is None
    put_flash(response, settings, Flash("bad", "가" * 9999, ("나" * 9999,) * 99))
    assert len(response.headers.getlist("set-cookie")[1]) < 4000


# --- deciding ---------------------------------------------------------------------------------------------------------


def approved_by(client: TestClient, task: str, verb: str) -> str:
    """Press a button of a task's page; the next page."""
    page = client.get(f"/tasks/{task}").text
    digest = re.search(r'name="digest" value="([^"]+)"', page)
    assert digest
    data = {"csrf": csrf_in(page), "digest": digest[1], "note": "looked at"}
    answer = client.post(f"/tasks/{task}/{verb}", data=data, headers=HERE)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/tasks/{task}"
    return client.get(answer.headers["location"]).text


def test_approving_shows_sentence_and_digest_and_runs_exactly_that(at: Desk) -> None:
    """I4: what was on the screen is what was approved, and nothing ran before it."""
    task = submitted(at, REFUND)
    client = browser(at, "approver")
    page = client.get(f"/tasks/{task}").text
    assert "https://pay.example.com/refunds" in page
    assert "v1:sha256:" in page
    assert at.far.seen == []
    after = approved_by(client, task, "approve")
    assert "Approved. It runs as soon as a worker is free" in after
    at.wake("execute")
    assert len(at.far.seen) == 1
    assert "Succeeded" in client.get(f"/tasks/{task}").text


def test_rejecting_ends_it_unrun(at: Desk) -> None:
    """A rejected task is over, with the note."""
    task = submitted(at, REFUND)
    after = approved_by(browser(at, "approver"), task, "reject")
    assert "Rejected. Nothing was run" in after
    assert "looked at" in after
    assert at.far.seen == []


def test_an_operator_sees_what_waits_and_has_no_button_for_it(at: Desk) -> None:
    """Whoever may not decide gets no form, and the API refuses one that was made by hand."""
    task = submitted(at, REFUND)
    client = browser(at, "operator")
    page = client.get(f"/tasks/{task}").text
    assert f"/tasks/{task}/approve" not in page
    client.post(f"/tasks/{task}/approve", data={"csrf": csrf_in(page), "digest": "x"}, headers=HERE)
    assert "Your role does not allow this" in client.get(f"/tasks/{task}").text


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


def test_what_another_function_refuses_is_said_in_the_readers_words(at: Desk) -> None:
    """A problem becomes a message of the next page, in Korean for whoever reads Korean."""
    task = submitted(at, VALUE)
    client = browser(at, "operator")
    client.cookies.set("aiw_lang", "ko")
    token = csrf_in(client.get(f"/tasks/{task}").text)
    client.post(f"/tasks/{task}/retry", data={"csrf": token}, headers=HERE)
    page = client.get(f"/tasks/{task}").text
    assert 'role="alert"' in page
    assert "현재 상태에서는 할 수 없습니다" in page


def test_a_function_that_does_not_answer_is_named_and_nothing_breaks(at: Desk) -> None:
    """The far function is down: a message, not an error page."""

    def down(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down", request=request)

    app.state.function.way = httpx2.MockTransport(down)
    client = browser(at, "operator")
    token = csrf_in(client.get("/").text)
    assert client.post("/tasks", data={"csrf": token, "text": "x"}, headers=HERE).status_code == 303
    assert "does not answer" in client.get("/").text


def test_submitting_and_previewing_from_the_box(at: Desk) -> None:
    """A submitted text leads to its page; a preview stores nothing."""
    client = browser(at, "operator")
    token = csrf_in(client.get("/").text)
    shown_page = client.post("/preview", data={"csrf": token, "text": "회식 장소 알아봐줘"}, headers=HERE)
    assert shown_page.status_code == 200
    assert "회식 장소 알아봐줘</textarea>" in shown_page.text
    assert at.store.tasks == {}
    answer = client.post("/tasks", data={"csrf": token, "text": "회식 장소 알아봐줘"}, headers=HERE)
    assert re.fullmatch(r"/tasks/[0-9a-f-]{36}", answer.headers["location"])
    assert "회식 장소 알아봐줘" in client.get(answer.headers["location"]).text


def test_pause_settings_and_people_work_by_form(at: Desk) -> None:
    """An admin can do by page what the API can."""
    client = browser(at, "admin")
    token = csrf_in(client.get("/").text)
    client.post("/pause", data={"csrf": token, "why": "inventory day"}, headers=HERE)
    assert "inventory day" in client.get("/").text
    client.post("/resume", data={"csrf": token}, headers=HERE)
    assert "inventory day" not in client.get("/").text
    hosts = {"csrf": token, "version": "0", "value": "api.example.com\r\n127.0.0.1:9100;idempotent"}
    client.post("/settings/hosts", data=hosts, headers=HERE)
    assert "127.0.0.1:9100;idempotent</textarea>" in client.get("/settings").text
    client.post("/people", data={"csrf": token, "name": "Haneul", "role": "viewer"}, headers=HERE)
    page = client.get("/people").text
    found = re.search(r'/people/([0-9a-f-]{36})/code"[^>]*>(?:(?!</li>).)*?Haneul', page, re.DOTALL)
    assert found
    once = client.post(f"/people/{found[1]}/code", data={"csrf": token}, headers=HERE).text
    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", once)
    client.post(f"/people/{found[1]}/remove", data={"csrf": token}, headers=HERE)
    assert "Haneul" not in client.get("/people").text


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


def test_settings_are_typed_as_they_are_shown() -> None:
    """A setting that is shown and saved unchanged stays what it was."""
    hosts = parse_setting("hosts", "api.example.com, 127.0.0.1:9100;idempotent, [::1]:80")
    functions = parse_setting("functions", "ocr=http://127.0.0.1:9200;idempotent, tts=http://127.0.0.1:9300")
    channels = parse_setting("channels", "ops=https://hooks.example.com/a")
    for name, value in (("hosts", hosts), ("functions", functions), ("channels", channels)):
        assert parse_setting(name, typed(name, {"value": shown(name, value)})) == value
    policy = typed("policy", {"autorun": "medium", "self_approval": "alone"})
    assert parse_setting("policy", policy) == {"autorun": "medium", "self_approval": None}
