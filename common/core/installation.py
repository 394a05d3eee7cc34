"""Settings as they are written: in a fresh installation's environment, and by the settings API. Pure.

One parser a name, so that what the environment may say and what the API may say cannot drift apart.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import idna

from common.core.errors import FieldError, Invalid
from common.core.policy import Function, Host, Pause, Policy
from common.core.spending import NANO
from common.core.task import Json, Risk

BUDGET_MOST_USD: Final = 1_000_000
NAME: Final = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,62}$")
HOST_NAME: Final = re.compile(r"^(?=.{1,253}$)[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$")
PORT_MOST: Final = 65535


def _fault(pointer: str, detail: str, hint: str = "") -> Invalid:
    return Invalid((FieldError(f"#/value{pointer}", detail, hint),))


# --- one value ------------------------------------------------------------------------------------------------------


def host_from(text: str, pointer: str = "") -> Host:
    """`name`, `name:port` or `[v6]:port`, with `;idempotent` where POST may be repeated under a key."""
    place, *flags = [part.strip() for part in text.lower().split(";")]
    if "/" in place:
        raise _fault(pointer, f"{text!r} names no host", "without a scheme or a path, e.g. api.example.com")
    unknown = [flag for flag in flags if flag != "idempotent"]
    if unknown:
        raise _fault(pointer, f"{unknown[0]!r} is no flag of a host", "the only one is ;idempotent")
    if place.startswith("["):
        name, closed, port = place[1:].partition("]")
        port = port.removeprefix(":")
        name = _address6(name)
        right = bool(closed and name)
    else:
        name, _, port = place.partition(":")
        name = _ascii(name)
        right = HOST_NAME.match(name) is not None
    if not right:
        raise _fault(
            pointer, f"{text!r} names no host", "e.g. api.example.com, 127.0.0.1:9100, pay.example.com;idempotent"
        )
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= PORT_MOST):
        raise _fault(pointer, f"{port!r} is no port", "1 to 65535")
    return Host(name=name, port=int(port) if port else None, idempotent="idempotent" in flags)


def _address6(text: str) -> str:
    """An IPv6 address as URLs are compared (actions/address.py); '' of anything else, which could not be read back."""
    try:
        return str(ipaddress.IPv6Address(text)) if "%" not in text else ""
    except ValueError:
        return ""


def _ascii(name: str) -> str:
    """A host's name as addresses are compared (IDNA 2008); one that has no such form is left, and refused."""
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _http_url(text: str, pointer: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port  # read only here: a port that is no number raises
    except ValueError:
        raise _fault(pointer, "cannot be read as a URL", "e.g. http://127.0.0.1:9200") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(c.isspace() for c in text):
        raise _fault(pointer, "must be an http or https URL", "e.g. http://127.0.0.1:9200")
    return text


def _named(text: str, pointer: str) -> str:
    if not NAME.match(text):
        raise _fault(pointer, f"{text!r} is no name", "small letters, digits, - _ and ., at most 63")
    return text


def _pairs(text: str, what: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, rest = part.partition("=")
        if not equals:
            raise _fault("", f"{part!r}: write {what} as name=url", f"{what}=https://…")
        pairs[name.strip()] = rest.strip()
    return pairs


# --- one parser a setting -------------------------------------------------------------------------------------------


def _policy(value: Json) -> Json:
    given = _object(value, {"autorun", "self_approval"})
    autorun = given.get("autorun", Risk.LOW.value)
    if not isinstance(autorun, str) or autorun not in {risk.value for risk in Risk}:
        raise _fault("/autorun", "must be low, medium, high or critical")
    alone = given.get("self_approval")
    if alone is not None and not isinstance(alone, bool):
        raise _fault("/self_approval", "must be true, false, or null: on while there is one person")
    return {"autorun": autorun, "self_approval": alone}


def _hosts(value: Json) -> Json:
    listed = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise _fault("", "must be a list of hosts", '["api.example.com", "127.0.0.1:9100"]')
    parsed: list[Json] = []
    for index, item in enumerate(listed):
        pointer = f"/{index}"
        if isinstance(item, dict):
            item = _host_text(item, pointer)  # noqa: PLW2901 - the same host, as text
        if not isinstance(item, str):
            raise _fault(pointer, "must be a host")
        host = host_from(item.strip(), pointer)
        if host.model_dump() not in parsed:
            parsed.append(host.model_dump())
    return parsed


def _host_text(item: dict[str, Json], pointer: str) -> str:
    unknown = sorted(set(item) - {"name", "port", "idempotent"})
    if unknown:
        raise _fault(f"{pointer}/{unknown[0]}", "unknown field")
    name = item.get("name")
    if not isinstance(name, str):
        raise _fault(f"{pointer}/name", "must be a host's name")
    place = f"[{name}]" if ":" in name else name
    port = "" if item.get("port") is None else f":{item['port']}"
    return f"{place}{port}" + (";idempotent" if item.get("idempotent") is True else "")


def _functions(value: Json) -> Json:
    listed: Json = dict(_pairs(value, "ocr")) if isinstance(value, str) else value
    parsed: dict[str, Json] = {}
    for name, item in _object(listed, None).items():
        _named(name, f"/{name}")
        entry = _object({"url": item} if isinstance(item, str) else item, {"url", "idempotent"}, f"/{name}")
        url = entry.get("url")
        if not isinstance(url, str):
            raise _fault(f"/{name}/url", "must be an http or https URL")
        bare, flag, rest = url.partition(";idempotent")
        marked = entry.get("idempotent", bool(flag))
        if not isinstance(marked, bool) or rest:
            raise _fault(f"/{name}/idempotent", "must be true or false")
        parsed[name] = {"url": _http_url(bare.strip(), f"/{name}/url"), "idempotent": marked}
    return parsed


def _channels(value: Json) -> Json:
    listed: Json = dict(_pairs(value, "ops")) if isinstance(value, str) else value
    parsed: dict[str, Json] = {}
    for name, url in _object(listed, None).items():
        if not isinstance(url, str):
            raise _fault(f"/{name}", "must be an http or https URL")
        parsed[_named(name, f"/{name}")] = _http_url(url, f"/{name}")
    return parsed


def _notify(value: Json) -> Json:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _fault("", "must be a channel's name, or null")
    return _named(value, "")


def _budget(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _fault("", "must be dollars a month", '"25"')
    try:
        dollars = Decimal(str(value))
    except InvalidOperation:
        raise _fault("", "must be dollars a month", '"25"') from None
    if not dollars.is_finite() or not 0 <= dollars <= BUDGET_MOST_USD:
        raise _fault("", f"must be 0 to {BUDGET_MOST_USD} dollars a month")
    return format(dollars.normalize(), "f")


def _time_zone(value: Json) -> Json:
    if not isinstance(value, str) or not value or (value != "UTC" and value not in available_timezones()):
        raise _fault("", "is no time zone of the IANA database", "e.g. Asia/Seoul")
    return "UTC" if value == "UTC" else ZoneInfo(value).key


def _object(value: Json, known: set[str] | None, pointer: str = "") -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _fault(pointer, "must be an object")
    unknown = sorted(set(value) - known) if known is not None else []
    if unknown:
        raise _fault(f"{pointer}/{unknown[0]}", "unknown field")
    return value


SETTINGS: Final[Mapping[str, Callable[[Json], Json]]] = {
    "policy": _policy,
    "hosts": _hosts,
    "functions": _functions,
    "channels": _channels,
    "notify": _notify,
    "budget_usd": _budget,
    "time_zone": _time_zone,
}


def parse_setting(name: str, value: Json) -> Json:
    """The value as it is stored; Invalid with a pointer (`#/value/…`) to what is wrong.

    Lists may also be given as the environment writes them. `pause` has a route of its own and is refused here.
    """
    if name == "pause":
        hint = "PUT /pause stops, DELETE /pause resumes"
        raise Invalid((FieldError("#/name", "pause has a route of its own", hint),))
    if name not in SETTINGS:
        listed = ", ".join(sorted(SETTINGS))
        raise Invalid((FieldError("#/name", f"there is no setting {name!r}", f"there are: {listed}"),))
    return SETTINGS[name](value)


def check_announced(channels: Json, notify: Json, changed: str) -> None:
    """Invalid if what waits would be announced on a channel that is not there: nobody would hear of it, nor of that.

    Args:
        channels: as they would be stored.
        notify: likewise.
        changed: which of the two is about to be.
    """
    if notify is None or (isinstance(channels, dict) and notify in channels):
        return
    if changed == "notify":
        raise _fault("", f"there is no channel {notify!r}", "list it in the setting `channels` first")
    raise _fault("", f"what waits is announced on {notify!r}", "keep it, or change the setting `notify` first")


def policy_from(stored: Mapping[str, Json], *, version: int, pause: Json, members: int) -> Policy:
    """The effective policy of stored settings (None: not set).

    Args:
        stored: by name, as `parse_setting` returns them, a workspace's own before the installation's.
        version: what the gate compares.
        pause: the effective pause, `{"why", "by"}` or None.
        members: how many people there are: self-approval, unless it is set, is on while there is one.
    """
    stored = {name: SETTINGS[name](value) for name, value in stored.items() if value is not None}
    rules = _object(stored.get("policy") or {}, None)
    alone = rules.get("self_approval")
    hosts = stored.get("hosts")
    notify = stored.get("notify")
    return Policy(
        version=version,
        autorun=Risk(str(rules.get("autorun") or Risk.LOW.value)),
        hosts=tuple(Host.model_validate(host) for host in hosts) if isinstance(hosts, list) else (),
        functions={
            name: Function.model_validate(value) for name, value in _object(stored.get("functions") or {}, None).items()
        },
        channels={name: str(url) for name, url in _object(stored.get("channels") or {}, None).items()},
        notify=None if notify is None else str(notify),
        self_approval=alone if isinstance(alone, bool) else members <= 1,
        pause=Pause.model_validate(pause) if isinstance(pause, dict) else None,
        time_zone=str(stored.get("time_zone") or "UTC"),
        budget_nanodollars=nanodollars(stored.get("budget_usd")),
    )


def nanodollars(budget_usd: Json) -> int:
    """A stored budget as integer nanodollars; the shipped $25 if it is not set."""
    return int(Decimal(str(25 if budget_usd is None else budget_usd)) * NANO)
