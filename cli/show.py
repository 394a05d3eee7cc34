"""How a task is put on screen: one line, or everything that is known of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, cast

from cli.client import NOT_SUCCEEDED, Client
from cli.screen import Screen, clean, short
from common.i18n import failure_said

if TYPE_CHECKING:
    from cli.answers import EventView, Json, PlanView, TaskView, WaitingView

WAIT_SECONDS = 50  # one `?wait=`; under the server's own limit of 60
ENDED = frozenset({"succeeded", "cancelled"})
SETTLED = ENDED | {"awaiting_approval", "manual"}


def wait_for(client: Client, task: TaskView) -> TaskView:
    """Wait until a task ended, or waits for a person."""
    while task["state"] not in SETTLED:
        path = f"/tasks/{task['id']}"
        task = cast("TaskView", client.get(path, {"wait": WAIT_SECONDS}, seconds=WAIT_SECONDS + 15))
    return task


def exit_code(task: TaskView) -> int:
    """What a program is told of a task that was waited for."""
    return 0 if task["state"] == "succeeded" else NOT_SUCCEEDED


def title(task: TaskView) -> str:
    """A task in a few words: its text, or the actions of its plan."""
    if task["text"]:
        return task["text"]
    steps = task["plan"]["steps"] if task["plan"] else []
    return " → ".join(_named(step["action"], step["args"]) for step in steps) or (task["kind"] or "")


def _named(action: str, args: dict[str, Json]) -> str:
    told = [args[name] for name in ("method", "url", "function", "channel", "seconds", "until") if args.get(name)]
    return " ".join([action, *(str(value) for value in told)])


def show_line(screen: Screen, task: TaskView) -> None:
    """One line: what it is now, and what it waits for."""
    said = screen.say("cli.task.line", id=short(task["id"]), state=screen.state(task["state"]))
    waiting = task["waiting_for"]
    if waiting:
        said += " · " + waiting_line(screen, waiting)
    screen.print(said)


def waiting_line(screen: Screen, waiting: WaitingView) -> str:
    """What a task waits for, since when, until when, for whom, and the command that helps."""
    what = screen.name("waiting", waiting["what"])
    parts = [screen.say("cli.task.waits", what=what, since=screen.ago(waiting["since"]))]
    if waiting["who"]:
        parts.append(screen.say("cli.task.who", who=clean(screen.name("role", waiting["who"]))))
    if waiting["look_again_at"] and waiting["what"] in {"delay", "backoff", "budget", "provider"}:
        parts.append(screen.say("cli.task.again", when=screen.ago(waiting["look_again_at"])))
    if waiting["command"]:
        parts.append(screen.paint(clean(waiting["command"]), "bold"))
    return " · ".join(parts)


def show_task(screen: Screen, task: TaskView) -> None:
    """Everything that is known of a task."""
    screen.print(f"{screen.paint(task['id'], 'bold')}  {screen.state(task['state'])}")
    if task["text"]:
        screen.paragraph(task["text"])
    rows = [
        ("risk", screen.risk(task["risk"])),
        ("waiting", waiting_line(screen, task["waiting_for"]) if task["waiting_for"] else ""),
        ("kind", clean(task["kind"] or "")),
        ("by", f"{clean(task['requested_by'])} · {screen.ago(task['created_at'])}"),
        ("finished", screen.ago(task["finished_at"]) if task["finished_at"] else ""),
        ("priority", str(task["priority"])),
        ("tags", clean(", ".join(task["tags"]))),
        ("attempts", str(task["attempts"]) if task["attempts"] else ""),
        ("cost", f"${task['cost_usd']}" if task["cost_usd"].strip("0.") else ""),
    ]
    for name, value in rows:
        if value:
            screen.print(f"  {screen.paint(screen.say(f'cli.task.{name}'), 'dim')} {value}")
    for reason in task["reasons"]:
        show_reason(screen, reason["floor"], reason["text"])
    if task["plan"]:
        show_plan(screen, task["plan"])
    _show_end(screen, task)


def show_reason(screen: Screen, floor: str, text: str) -> None:
    """Why it is how risky."""
    screen.paragraph(text, indent="      ", first=f"    {screen.risk(floor)}: ")


def show_plan(screen: Screen, plan: PlanView) -> None:
    """The steps, as they would run."""
    screen.print(f"  {screen.paint(screen.say('cli.task.plan', number=plan['number'], source=plan['source']), 'dim')}")
    for step in plan["steps"]:
        args = json.dumps(step["args"], ensure_ascii=False)
        screen.paragraph(f"{step['id']}  {step['action']} {args}", indent="        ", first="    ")


def _show_end(screen: Screen, task: TaskView) -> None:
    error, outcome = task["error"], task["outcome"]
    if error and task["state"] != "succeeded":
        where = f" ({error['step']})" if error["step"] else ""
        status = f" · HTTP {error['status']}" if error["status"] else ""
        heading = screen.paint(screen.say("cli.task.error"), "red")
        screen.print(f"  {heading} {failure(screen, error['code'])}{where}{status}")
        if error["detail"]:
            # The detail of this one is the name of the recipe that comes nearest.
            nearest = error["code"] == "no_recipe"
            detail = screen.say("cli.task.nearest", name=error["detail"]) if nearest else error["detail"]
            screen.paragraph(detail, indent="    ")
    if outcome and task["state"] in ENDED:
        note = f": {outcome['note']}" if outcome["note"] else ""
        screen.paragraph(f"{screen.say('cli.task.outcome')} {outcome['actor']}{note}")
    if task["result"] is not None:
        screen.print(f"  {screen.paint(screen.say('cli.task.result'), 'green')}")
        screen.paragraph(pretty(task["result"]), indent="    ")


def failure(screen: Screen, code: str) -> str:
    """What went wrong, in words."""
    return failure_said(code, screen.lang)


def pretty(value: Json) -> str:
    """JSON for people."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def show_event(screen: Screen, event: EventView, *, with_task: bool) -> None:
    """A line of history."""
    at = datetime.fromisoformat(event["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lead = f"{screen.paint(at, 'dim')}  " + (f"{short(event['task_id'])}  " if with_task else f"{event['seq']:>3}  ")
    change = screen.state(event["to_state"])
    screen.print(f"{lead}{clean(event['text'], one_line=True)} → {change} · {clean(event['actor'], one_line=True)}")
