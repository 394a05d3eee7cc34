"""`why`: all that does not move, by what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import click

from cli.client import Client
from cli.command import command, means
from cli.screen import Cell, Screen, clean, short
from cli.show import failure, show_reason, title, waiting_line
from cli.tasks import identifier

if TYPE_CHECKING:
    from cli.answers import Json, TaskPage, TaskView

OPEN_STATES: Final = ("manual", "awaiting_approval", "received", "analyzing", "queued", "running")
# What a person can end comes first, what ends by itself last.
ORDER: Final = ("person", "approval", "paused", "budget", "provider", "backoff", "delay", "analysis", "worker")
PAGE: Final = 200
PAGES: Final = 5
SHOWN: Final = 8


@command("why")
@click.argument("task_id", metavar="[ID]", required=False)
@click.pass_context
def why(ctx: click.Context, task_id: str | None) -> None:
    """Why a task does not move, or all that do not."""
    client, screen = means(ctx)
    if task_id is not None:
        task = cast("TaskView", client.get(f"/tasks/{identifier(task_id, ctx)}"))
        if screen.as_json:
            waits: dict[str, object] = {"waiting_for": task["waiting_for"], "error": task["error"]}
            screen.json({"id": task["id"], "state": task["state"], **waits})
        else:
            _one(screen, task)
        return
    tasks, all_seen = _open_tasks(client)
    groups = {what: found for what in ORDER if (found := [t for t in tasks if _what(t) == what])}
    if screen.as_json:
        screen.json({"items": [_for_programs(what, found) for what, found in groups.items()], "complete": all_seen})
        return
    for what, found in groups.items():
        _group(screen, what, found)
    if not all_seen:
        screen.tell("cli.why.more", n=len(tasks))
    if not groups:
        screen.tell("cli.why.none")


def _one(screen: Screen, task: TaskView) -> None:
    screen.print(f"{short(task['id'])}  {screen.state(task['state'])}  {clean(title(task), one_line=True)}")
    waiting = task["waiting_for"]
    screen.print("  " + (waiting_line(screen, waiting) if waiting else screen.say("cli.why.moves")))
    if waiting and waiting["what"] == "approval":
        for reason in task["reasons"]:
            show_reason(screen, reason["floor"], reason["text"])
    if task["error"]:
        screen.print(f"  {screen.paint(screen.say('cli.task.error'), 'red')} {failure(screen, task['error']['code'])}")
        mend = screen.name("mend", task["error"]["code"])
        screen.print("  " + (screen.say("mend.other") if mend == task["error"]["code"] else mend))


def _open_tasks(client: Client) -> tuple[list[TaskView], bool]:
    """Tasks that have not ended, oldest wait first, and whether these are all."""
    tasks: list[TaskView] = []
    cursor: str | None = None
    for _ in range(PAGES):
        page = cast("TaskPage", client.get("/tasks", {"state": OPEN_STATES, "limit": PAGE, "cursor": cursor}))
        tasks += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return sorted(tasks, key=lambda task: task["waiting_for"]["since"] if task["waiting_for"] else ""), cursor is None


def _what(task: TaskView) -> str | None:
    return task["waiting_for"]["what"] if task["waiting_for"] else None


def _for_programs(what: str, tasks: list[TaskView]) -> dict[str, Json]:
    shown: list[Json] = [
        {"id": t["id"], "title": title(t), "since": w["since"], "look_again_at": w["look_again_at"], "who": w["who"],
         "command": w["command"]}
        for t in tasks
        if (w := t["waiting_for"])
    ]  # fmt: skip
    return {"what": what, "tasks": shown}


def _group(screen: Screen, what: str, tasks: list[TaskView]) -> None:
    heading = screen.say("cli.why.group", what=screen.name("waiting", what), n=len(tasks))
    screen.print(screen.paint(heading, "bold"))
    heads = [screen.say(f"cli.why.{head}") for head in ("id", "since", "who", "command", "task")]
    rows = []
    for task in tasks[:SHOWN]:
        waiting = task["waiting_for"]
        if waiting is not None:
            who = screen.name("role", waiting["who"]) if waiting["who"] else "-"
            cells = [short(task["id"]), screen.ago(waiting["since"]), who, waiting["command"] or "-"]
            rows.append([Cell(text) for text in [*cells, title(task)]])
    screen.table(heads, rows)
    if len(tasks) > SHOWN:
        screen.tell("cli.why.others", n=len(tasks) - SHOWN)
    screen.print()
