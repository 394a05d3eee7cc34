"""`doctor`: is this installation well? Seen from outside, as whoever uses it sees it."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import click

from cli.client import API, REFUSED, UNREACHABLE, Client, Options, Refusal, Stop
from cli.command import command, means
from cli.operate import KEY_FILES
from cli.screen import Screen, pad

if TYPE_CHECKING:
    from cli.answers import Json

FUNCTIONS: Final = ("analyze", "execute", "approve", "schedule", "dashboard")
API_VERSION: Final = API.rpartition("/v")[2]
SKEW_SECONDS: Final = 5.0
LOW_DISK_BYTES: Final = 500 * 1024 * 1024
SLOW_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do if it is not well."""

    what: str
    well: bool
    said: str
    mend: str = ""


@command("doctor")
@click.pass_context
def doctor(ctx: click.Context) -> int:
    """Look at everything that a running installation needs."""
    options, (client, screen) = ctx.ensure_object(Options), means(ctx)
    findings: list[Finding] = []
    for finding in _look(options, client, screen):
        findings.append(finding)
        _print(screen, finding)
    if screen.as_json:
        screen.json({"well": all(f.well for f in findings), "findings": [asdict(f) for f in findings]})
    if not findings[0].well:
        return UNREACHABLE
    return 0 if all(f.well for f in findings) else REFUSED


def _print(screen: Screen, finding: Finding) -> None:
    mark = screen.paint("✓", "green") if finding.well else screen.paint("✗", "red")
    lead = f"{mark} {pad(finding.what, 10)} "
    screen.print(lead + finding.said)
    if not finding.well:
        screen.paragraph("→ " + finding.mend, indent=" " * 13)


def _look(options: Options, client: Client, screen: Screen) -> Iterator[Finding]:
    reached = _server(client, screen)
    yield reached
    if reached.well:
        yield from (_function(client, screen, name) for name in FUNCTIONS)
        yield _clock(client, screen)
        yield _pause(client, screen)
        yield _versions(client, screen)
    if not os.environ.get("AIW_URL") or options.chosen:
        yield _disk(options, screen)
        yield _key(options, screen)


def _server(client: Client, screen: Screen) -> Finding:
    what, began = screen.say("cli.doctor.server"), time.monotonic()
    try:
        client.get("/queue")
    except Stop as stop:
        answers = isinstance(stop, Refusal)
        said = screen.say("cli.doctor.refused", what=stop) if answers else screen.say(stop.key, **stop.values)
        return Finding(what, well=False, said=said, mend=screen.say("cli.doctor.mend_server"))
    took = time.monotonic() - began
    said = screen.say("cli.doctor.answers", url=client.url, ms=round(took * 1000))
    return Finding(what, well=took < SLOW_SECONDS, said=said, mend=screen.say("cli.doctor.mend_slow"))


def _function(client: Client, screen: Screen, name: str) -> Finding:
    status = client.probe(f"/function/{name}/_/ready")
    well = status == HTTPStatus.OK
    said = screen.say("cli.doctor.ready" if well else "cli.doctor.not_ready", status=status or "-")
    return Finding(name, well=well, said=said, mend=screen.say("cli.doctor.mend_function", name=name))


def _clock(client: Client, screen: Screen) -> Finding:
    told = client.server_time()
    skew = abs(time.time() - parsedate_to_datetime(told).timestamp()) if told else 0.0
    return Finding(
        screen.say("cli.doctor.clock"),
        well=skew < SKEW_SECONDS,
        said=screen.say("cli.doctor.skew", seconds=round(skew)),
        mend=screen.say("cli.doctor.mend_clock"),
    )


def _pause(client: Client, screen: Screen) -> Finding:
    queue = cast("dict[str, Json]", client.get("/queue"))
    paused = bool(queue["paused"])
    said = screen.say("cli.doctor.paused" if paused else "cli.doctor.not_paused")
    return Finding(screen.say("cli.doctor.execution"), well=not paused, said=said, mend="./aiw resume")


def _versions(client: Client, screen: Screen) -> Finding:
    document = cast("dict[str, dict[str, str]]", client.get("/openapi.json"))
    theirs = document["info"]["version"]
    return Finding(
        screen.say("cli.doctor.versions"),
        well=theirs.partition(".")[0] == API_VERSION,
        said=screen.say("cli.doctor.version", theirs=theirs, python=platform.python_version()),
        mend=screen.say("cli.doctor.mend_version"),
    )


def _disk(options: Options, screen: Screen) -> Finding:
    place = options.data
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    said = screen.say("cli.doctor.free", free=f"{free / 1024**3:.1f}", path=options.data)
    return Finding(screen.say("cli.doctor.disk"), free > LOW_DISK_BYTES, said, screen.say("cli.doctor.mend_disk"))


def _key(options: Options, screen: Screen) -> Finding:
    """A key is wished for, not needed: `rules` works without, so its absence is said and is no fault."""
    kept = [path for name in KEY_FILES.values() if (path := options.data / "secrets" / name).is_file()]
    if not kept:
        given = any(os.environ.get(name) for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"))
        return Finding("Claude", well=True, said=screen.say("cli.doctor.key_env" if given else "cli.doctor.no_key"))
    readable = [str(path) for path in kept if path.stat().st_mode & 0o077]
    said = screen.say("cli.doctor.key_open" if readable else "cli.doctor.key")
    return Finding("Claude", well=not readable, said=said, mend=f"chmod 600 {' '.join(readable)}")
