"""Looking at tasks: `ls`, `show`, `logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import click

from cli.client import NOT_SUCCEEDED, Client
from cli.command import command, language_of, means
from cli.moment import Moment
from cli.screen import RISK_COLOURS, STATE_COLOURS, Cell, Screen, short
from cli.show import ENDED, exit_code, show_event, show_task, title, wait_for

if TYPE_CHECKING:
    from cli.answers import EventPage, EventView, TaskPage, TaskView

STATES: Final = ("received", "analyzing", "awaiting_approval", "queued", "running", "manual", "succeeded", "cancelled")
RECENT_TASKS: Final = 20
RECENT_EVENTS: Final = 50
RISKS: Final = ("low", "medium", "high", "critical")


@command("ls")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, metavar="STATE", help="cli.opt.state")
@click.option("--risk", type=click.Choice(RISKS), metavar="RISK", help="cli.opt.risk")
@click.option("--kind", metavar="KIND", help="cli.opt.kind")
@click.option("--tag", metavar="TAG", help="cli.opt.with_tag")
@click.option("-q", "words", metavar="WORDS", help="cli.opt.words")
@click.option("--since", type=Moment(ago=True), metavar="TIME", help="cli.opt.since")
@click.option("--until", type=Moment(ago=True), metavar="TIME", help="cli.opt.until")
@click.option("--limit", type=click.IntRange(1, 200), default=20, metavar="N", help="cli.opt.limit")
@click.option("--cursor", metavar="CURSOR", help="cli.opt.cursor")
@click.pass_context
def ls(ctx: click.Context, /, states: tuple[str, ...], words: str | None, **filters: object) -> None:
    """Tasks, newest first."""
    client, screen = means(ctx)
    found = cast("TaskPage", client.get("/tasks", {"state": states, "q": words, **filters}))
    if screen.as_json:
        screen.json(found)
    elif not found["items"]:
        screen.tell("cli.ls.none")
    else:
        heads = [screen.say(f"cli.ls.{head}") for head in ("id", "state", "risk", "age", "what")]
        screen.table(heads, [_row(screen, task) for task in found["items"]])
        if found["next"]:
            screen.tell("cli.ls.more", cursor=found["next"])


def _row(screen: Screen, task: TaskView) -> list[Cell]:
    risk = task["risk"]
    return [
        Cell(short(task["id"])),
        Cell(screen.name("state", task["state"]), STATE_COLOURS.get(task["state"], "")),
        Cell(screen.name("risk", risk) if risk else "-", RISK_COLOURS.get(risk or "", "")),
        Cell(screen.ago(task["created_at"])),
        Cell(title(task)),
    ]


@command("show")
@click.argument("task_id", metavar="ID")
@click.option("--wait", is_flag=True, help="cli.opt.wait")
@click.pass_context
def show(ctx: click.Context, task_id: str, wait: bool) -> int:  # noqa: FBT001 - click's
    """Everything that is known of a task."""
    client, screen = means(ctx)
    task = cast("TaskView", client.get(f"/tasks/{identifier(task_id, ctx)}"))
    if wait:
        task = wait_for(client, task)
    if screen.as_json:
        screen.json(task)
    else:
        show_task(screen, task)
    return exit_code(task) if wait else 0


@command("logs")
@click.argument("task_id", metavar="[ID]", required=False)
@click.option("-f", "--follow", is_flag=True, help="cli.opt.follow")
@click.pass_context
def logs(ctx: click.Context, task_id: str | None, follow: bool) -> int:  # noqa: FBT001 - click's
    """A task's history, or the workspace's events; with -f as they happen."""
    client, screen = means(ctx)
    path = f"/tasks/{identifier(task_id, ctx)}/events" if task_id else "/events"
    if follow:
        return _follow(client, screen, path, one=task_id is not None)
    found = cast("EventPage", client.all(path)) if task_id else _recent(client)
    if screen.as_json:
        screen.json(found)
        return 0
    for event in found["items"]:
        show_event(screen, event, with_task=task_id is None)
    if not found["items"]:
        screen.tell("cli.logs.none")
    return 0


def _recent(client: Client) -> EventPage:
    """The last events of the newest tasks: the workspace's own stream only tells what comes."""
    newest = cast("TaskPage", client.get("/tasks", {"limit": RECENT_TASKS}))
    found = [cast("EventPage", client.all(f"/tasks/{task['id']}/events"))["items"] for task in newest["items"]]
    events = sorted((event for items in found for event in items), key=lambda event: (event["at"], event["seq"]))
    return {"items": events[-RECENT_EVENTS:], "next": None}


def _follow(client: Client, screen: Screen, path: str, *, one: bool) -> int:
    """Events until Ctrl-C; those of one task until it ended."""
    for message in client.stream(path):
        event = cast("EventView", message.body)
        if screen.as_json:
            screen.json(event)
        else:
            show_event(screen, event, with_task=not one)
        if one and event["to_state"] in ENDED:
            return 0 if event["to_state"] == "succeeded" else NOT_SUCCEEDED
    return 0


def identifier(given: str, ctx: click.Context) -> str:
    """An id, or its ending, safe in a path. The server finds the task that is meant."""
    found = given.strip().lower().removeprefix("…")
    if not found or not set(found) <= set("0123456789abcdef-"):
        screen = Screen(language_of(ctx))
        raise click.BadParameter(screen.say("cli.usage.id", value=given), ctx, param_hint="ID")
    return found
