"""What a person decides: approvals, and what is to become of a task that waits or failed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, cast

import click

from cli.client import NOT_SUCCEEDED, REFUSED, Client, Options, Stop
from cli.command import command, means
from cli.screen import Screen, clean
from cli.show import exit_code, pretty, show_line, show_plan, show_reason, show_task, wait_for
from cli.tasks import identifier

if TYPE_CHECKING:
    from cli.answers import ApprovalView, Json, TaskView


@command("approve")
@click.argument("task_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="cli.opt.note")
@click.option("--digest", metavar="DIGEST", help="cli.opt.digest")
@click.option("--yes", is_flag=True, help="cli.opt.yes")
@click.option("--wait", is_flag=True, help="cli.opt.wait")
@click.pass_context
def approve(
    ctx: click.Context,
    task_id: str,
    note: str | None,
    digest: str | None,
    yes: bool,  # noqa: FBT001 - click's
    wait: bool,  # noqa: FBT001 - as above
) -> int:
    """Show exactly what would run, ask, and approve that and nothing else."""
    client, screen = means(ctx)
    path = f"/tasks/{identifier(task_id, ctx)}"
    if yes and digest is None:
        raise click.UsageError(screen.say("cli.usage.yes_needs_digest"), ctx)
    if digest is None or not yes:
        waits = cast("ApprovalView", client.get(f"{path}/approval"))
        if digest is not None and digest != waits["digest"]:
            raise Stop(REFUSED, "cli.approve.other_digest", digest=waits["digest"])
        if screen.as_json:  # a program is shown what waits, and asked nothing
            screen.json(waits)
            print("aiw: " + screen.say("cli.approve.shown", digest=waits["digest"]), file=sys.stderr)
            return NOT_SUCCEEDED
        show_approval(screen, waits)
        if not waits["may_decide"]:
            raise Stop(REFUSED, "cli.approve.not_you")
        # Only an explicit yes to what is on screen counts; the digest ties the two together (I4).
        if not click.confirm(screen.say("cli.approve.ask"), default=False, err=True):
            raise Stop(REFUSED, "cli.approve.declined")
        digest = waits["digest"]
    task = cast("TaskView", client.post(f"{path}/approve", _decision(digest, note)))
    return _after(client, screen, task, wait=wait)


@command("reject")
@click.argument("task_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="cli.opt.note")
@click.option("--digest", metavar="DIGEST", help="cli.opt.reject_digest")
@click.pass_context
def reject(ctx: click.Context, task_id: str, note: str | None, digest: str | None) -> int:
    """Refuse what waits; the task is cancelled."""
    client, screen = means(ctx)
    path = f"/tasks/{identifier(task_id, ctx)}"
    if digest is None:
        digest = cast("ApprovalView", client.get(f"{path}/approval"))["digest"]
    task = cast("TaskView", client.post(f"{path}/reject", _decision(digest, note)))
    return _after(client, screen, task, wait=False)


def _decision(digest: str, note: str | None) -> dict[str, Json]:
    return {"digest": digest, "note": note}


def show_approval(screen: Screen, waits: ApprovalView) -> None:
    """What an approver has to see before saying yes: sentences, risk and why, worst cost, the exact steps, digest."""
    screen.tell("cli.approve.heading", who=clean(waits["requested_by"]))
    for number, sentence in enumerate(waits["summary"], 1):
        screen.paragraph(sentence, indent="     ", first=f"  {number}. ")
    risk = screen.risk(waits["risk"])
    screen.tell("cli.approve.risk", risk=risk, cost=waits["worst_cost_usd"], expires=screen.ago(waits["expires_at"]))
    for reason in waits["reasons"]:
        show_reason(screen, reason["floor"], reason["text"])
    show_plan(screen, waits["plan"])
    for made in waits["decisions"]:
        note = f": {made['note']}" if made["note"] else ""
        screen.paragraph(f"{made['person']} · {screen.name('event', made['verdict'])}{note}")
    screen.tell("cli.approve.digest", digest=screen.paint(waits["digest"], "bold"))


@command("cancel")
@click.argument("task_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="cli.opt.note")
@click.pass_context
def cancel(ctx: click.Context, task_id: str, note: str | None) -> int:
    """End a task; what already runs is not torn off in the middle."""
    client, screen = means(ctx)
    task = cast("TaskView", client.post(f"/tasks/{identifier(task_id, ctx)}/cancel", {"note": note}))
    _after(client, screen, task, wait=False)
    if task["state"] != "cancelled":
        screen.tell("cli.cancel.asked")
    return 0


@command("retry")
@click.argument("task_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="cli.opt.note")
@click.option("--wait", is_flag=True, help="cli.opt.wait")
@click.pass_context
def retry(ctx: click.Context, task_id: str, note: str | None, wait: bool) -> int:  # noqa: FBT001 - click's
    """Try the same plan again."""
    return _note(ctx, task_id, "retry", {"note": note}, wait=wait)


@command("reanalyze")
@click.argument("task_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="cli.opt.note")
@click.option("--wait", is_flag=True, help="cli.opt.wait")
@click.pass_context
def reanalyze(ctx: click.Context, task_id: str, note: str | None, wait: bool) -> int:  # noqa: FBT001 - click's
    """Have the text read again."""
    return _note(ctx, task_id, "reanalyze", {"note": note}, wait=wait)


@command("resolve")
@click.argument("task_id", metavar="ID")
@click.option("--note", metavar="TEXT", help="cli.opt.resolve_note")
@click.option("--result", metavar="JSON", help="cli.opt.result")
@click.pass_context
def resolve(ctx: click.Context, task_id: str, note: str | None, result: str | None) -> int:
    """Close by hand what you did yourself; at a terminal a note that was not given is asked for."""
    if note is None:
        note = str(click.prompt(_asking(ctx, "note").say("cli.resolve.ask"), err=True))
    return _note(ctx, task_id, "resolve", {"note": note, "result": read_value(result)})


@command("outcome")
@click.argument("task_id", metavar="ID")
@click.argument("step")
@click.argument("what", metavar="[done|not_done]", type=click.Choice(["done", "not_done"]), required=False)
@click.option("--note", metavar="TEXT", help="cli.opt.note")
@click.option("--wait", is_flag=True, help="cli.opt.wait")
@click.pass_context
def outcome(
    ctx: click.Context,
    task_id: str,
    step: str,
    what: str | None,
    note: str | None,
    wait: bool,  # noqa: FBT001 - click's
) -> int:
    """Say whether a step of which nobody knows it happened; at a terminal it is asked, and has no default (I6)."""
    if what is None:
        question = _asking(ctx, "what").say("cli.outcome.ask", step=clean(step, one_line=True))
        what = "done" if click.confirm(question, default=None, err=True) else "not_done"
    return _note(ctx, task_id, "outcome", {"step": step, "outcome": what, "note": note}, wait=wait)


def _asking(ctx: click.Context, name: str) -> Screen:
    """The screen on which a person is asked for a parameter. MissingParameter where nobody sits before it."""
    screen = Screen(ctx.ensure_object(Options).lang)
    if ctx.ensure_object(Options).json or not sys.stdin.isatty():
        raise click.MissingParameter(ctx=ctx, param=next(p for p in ctx.command.params if p.name == name))
    return screen


def read_value(given: str | None) -> Json:
    """JSON where it reads as JSON, else the text itself."""
    if given is None:
        return None
    try:
        found: Json = json.loads(given)
    except ValueError:
        return given
    return found


def _note(ctx: click.Context, task_id: str, verb: str, body: dict[str, Json], *, wait: bool = False) -> int:
    client, screen = means(ctx)
    task = cast("TaskView", client.post(f"/tasks/{identifier(task_id, ctx)}/{verb}", body))
    return _after(client, screen, task, wait=wait)


def _after(client: Client, screen: Screen, task: TaskView, *, wait: bool) -> int:
    if wait:
        task = wait_for(client, task)
    if screen.as_json:
        screen.json(task)
    elif wait:
        show_task(screen, task)
    else:
        show_line(screen, task)
        if task["result"] is not None:
            screen.paragraph(pretty(task["result"]))
    return exit_code(task) if wait else 0
