"""What an admin does: settings, pause, people and tokens; and the queue's depth, which everybody may see."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Header, Query, Response

from common import api
from common.auth import code_hash, new_code, new_secret, sha256_of
from common.core.errors import Conflict, FieldError, Invalid, NotFound
from common.core.installation import SETTINGS, check_announced, parse_setting
from common.core.task import State
from common.page import page_from
from common.ports import WAKE_KINDS, Principal, SettingRow, TokenRow
from common.web import Who, Wired
from common.wiring import Container

CODE_LASTS: Final = timedelta(minutes=10)
VERSION: Final = re.compile(r'(?:W/)?"?(\d{1,9})"?')
ANNOUNCED: Final = ("channels", "notify")  # of these each names what the other holds
IfMatch = Annotated[str | None, Header(alias="If-Match", description="the version that was read")]


# --- settings ---------------------------------------------------------------------------------------------------------


def list_settings(query: Annotated[api.PageQuery, Query()], who: Who, wired: Wired) -> api.SettingList:
    """Every setting, by name."""
    page, following = page_from(settings_of(who, wired), query, lambda setting: setting.name)
    return api.SettingList(items=page, next=following)


def settings_of(who: Principal, wired: Container) -> list[api.Setting]:
    """Every setting, the workspace's own or what it inherits from the installation."""
    rows = {row.name: row for row in wired.workspace.settings(who.workspace)}
    return [_setting_view(rows.get(name) or _unset(name)) for name in sorted({*rows, *SETTINGS})]


def get_setting(name: str, who: Who, wired: Wired, response: Response) -> api.Setting:
    """One setting; `ETag` is what `If-Match` wants."""
    row = _setting(name, who, wired)
    response.headers["ETag"] = f'"{row.version}"'
    return _setting_view(row)


def put_setting(
    name: str, body: api.SettingValue, who: Who, wired: Wired, response: Response, if_match: IfMatch = None
) -> api.Setting:
    """Change one, if its version is still the one named. 409 if it is not, 422 if none is named."""
    _setting(name, who, wired)
    value = parse_setting(name, body.value)
    if name in ANNOUNCED:
        found = {other: _setting(other, who, wired).value for other in ANNOUNCED} | {name: value}
        check_announced(found["channels"], found["notify"], changed=name)
    expected = _expected(if_match)
    changed = wired.workspace.put(who.workspace, name, value, expected, who.person)
    if changed is None:
        msg = f"{name} was changed meanwhile: its version is {_setting(name, who, wired).version}. Read it again"
        raise Conflict(msg)
    if name == "budget_usd" and wired.queue.hasten(who.workspace, "budget"):
        wired.notifier.publish([WAKE_KINDS[State.RECEIVED], WAKE_KINDS[State.QUEUED]])
    # The threshold may have moved: what waits is assessed again at once rather than within a minute.
    wired.notifier.publish([WAKE_KINDS[State.QUEUED], WAKE_KINDS[State.AWAITING_APPROVAL]])
    response.headers["ETag"] = f'"{changed.version}"'
    return _setting_view(changed)


def _setting(name: str, who: Principal, wired: Wired) -> SettingRow:
    for row in wired.workspace.settings(who.workspace):
        if row.name == name:
            return row
    if name in SETTINGS:  # known, and set nowhere yet
        return _unset(name)
    raise NotFound(f"no setting {name[:64]!r}")


def _unset(name: str) -> SettingRow:
    return SettingRow(name=name, version=0, value=None, inherited=True)


def _expected(if_match: str | None) -> int:
    matched = VERSION.fullmatch(if_match.strip()) if if_match else None
    if matched is None:
        hint = 'GET it first and send its version, e.g. If-Match: "3"'
        raise Invalid((FieldError("If-Match", "the header is missing" if not if_match else "not a version", hint),))
    return int(matched[1])


def _setting_view(row: SettingRow) -> api.Setting:
    return api.Setting(name=row.name, version=row.version, value=row.value, inherited=row.inherited)


# --- pause ------------------------------------------------------------------------------------------------------------


def pause(body: api.PauseRequest, who: Who, wired: Wired) -> api.PauseView:
    """Stop all execution. Once this has answered, nothing begins."""
    wired.workspace.pause(who.workspace, body.why, who.person)
    return pause_view(who, wired)


def resume(who: Who, wired: Wired) -> api.PauseView:
    """Let everything go on."""
    wired.workspace.pause(who.workspace, None, who.person)
    wired.notifier.publish([WAKE_KINDS[State.QUEUED], WAKE_KINDS[State.RECEIVED]])
    return pause_view(who, wired)


def pause_view(who: Principal, wired: Wired) -> api.PauseView:
    """Whether execution is stopped, and why."""
    stopped = wired.workspace.policy(who.workspace).pause
    return api.PauseView(paused=stopped is not None, why=stopped.why if stopped else None)


def queue(who: Who, wired: Wired) -> api.Queue:
    """Depth by state and priority, age of the oldest, leases by worker."""
    found = wired.reads.queue(who.workspace)
    return api.Queue(
        depth=[
            api.QueueLine(state=d.state, priority=d.priority, tasks=d.tasks, oldest_seconds=d.oldest_seconds)
            for d in found.depth
        ],
        leases=found.leases,
        paused=pause_view(who, wired).paused,
    )


# --- people and tokens ------------------------------------------------------------------------------------------------


def list_people(query: Annotated[api.PageQuery, Query()], who: Who, wired: Wired) -> api.PersonList:
    """Members of the workspace, by name."""
    page, following = page_from(people_of(who, wired), query, lambda person: f"{person.name}\n{person.id}")
    return api.PersonList(items=page, next=following)


def people_of(who: Principal, wired: Container) -> list[api.Person]:
    """All members of the workspace."""
    return [api.Person(id=p.id, name=p.name, role=p.role) for p in wired.people.people(who.workspace)]


def add_person(body: api.NewPerson, who: Who, wired: Wired) -> api.Person:
    """A new member. They sign in with a code, or work with a token."""
    person = wired.people.add_person(who.workspace, body.name, body.role)
    return api.Person(id=person.id, name=person.name, role=person.role)


def remove_person(id: UUID, who: Who, wired: Wired) -> Response:
    """End a membership with all of its tokens."""
    if not wired.people.remove_person(who.workspace, id):
        raise NotFound(f"no person {id}")
    return Response(status_code=204)


def list_tokens(query: Annotated[api.PageQuery, Query()], who: Who, wired: Wired) -> api.TokenList:
    """Valid tokens, sessions and codes, oldest first, without their secrets."""
    page, following = page_from(
        tokens_of(who, wired), query, lambda token: f"{token.created_at:%Y%m%d%H%M%S%f} {token.id}"
    )
    return api.TokenList(items=page, next=following)


def tokens_of(who: Principal, wired: Container) -> list[api.Token]:
    """All of them."""
    return [_token_view(row) for row in wired.people.tokens(who.workspace)]


def add_token(body: api.NewToken, who: Who, wired: Wired) -> api.TokenWithSecret:
    """A new token; its secret is in this answer and nowhere else."""
    secret = new_secret()
    lasts = timedelta(seconds=body.expires_in) if body.expires_in else None
    for_whom = body.person or who.person
    row = wired.people.issue(who.workspace, for_whom, "api", sha256_of(secret), lasts, body.role, issued_by=who.person)
    return api.TokenWithSecret(**_token_view(row).model_dump(), secret=secret)


def revoke_token(id: str, who: Who, wired: Wired) -> Response:
    """End a token."""
    if not wired.people.revoke(who.workspace, id):
        raise NotFound("no such token")
    return Response(status_code=204)


def sign_in_code(body: api.NewSignInCode, who: Who, wired: Wired) -> api.SignInCode:
    """A code that turns into a session, once, within ten minutes."""
    code = new_code()
    for_whom = body.person or who.person
    wired.people.issue(who.workspace, for_whom, "sign_in_code", code_hash(code), CODE_LASTS, issued_by=who.person)
    url = f"{wired.settings.public_url.rstrip('/')}/in/{code}"
    return api.SignInCode(code=code, url=url, expires_in=int(CODE_LASTS.total_seconds()))


def _token_view(row: TokenRow) -> api.Token:
    return api.Token(
        id=row.id,
        kind=row.kind,
        person=row.person_name,
        role=row.role,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
