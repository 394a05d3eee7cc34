"""`submit`: hand in a task."""

from __future__ import annotations

import json
import sys
import uuid
from typing import TYPE_CHECKING, cast

import click

from cli.command import command, language_of, means
from cli.moment import Moment
from cli.screen import Screen
from cli.show import exit_code, show_line, show_task, wait_for

if TYPE_CHECKING:
    from cli.answers import Json, TaskView


class Pair(click.ParamType[tuple[str, "Json"], "str | tuple[str, Json]"]):
    """`name=value`; the value is JSON where it reads as JSON, else text."""

    name = "name=value"

    def convert(
        self, value: str | tuple[str, Json], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Json]:
        """(name, value)."""
        if isinstance(value, tuple):
            return value
        name, equals, given = value.partition("=")
        if not equals or not name:
            self.fail(Screen(language_of(ctx)).say("cli.usage.pair", value=value), param, ctx)
        try:
            return name, json.loads(given)
        except ValueError:
            return name, given


@command("submit")
@click.argument("text", required=False)
@click.option("--plan", type=click.File("rb"), metavar="FILE|-", help="cli.opt.plan")
@click.option("--input", "inputs", type=Pair(), multiple=True, metavar="K=V", help="cli.opt.input")
@click.option("--wait", is_flag=True, help="cli.opt.wait")
@click.option("--priority", type=click.IntRange(0, 9), metavar="0-9", help="cli.opt.priority")
@click.option("--not-before", type=Moment(), metavar="WHEN", help="cli.opt.not_before")
@click.option("--deadline", type=Moment(), metavar="WHEN", help="cli.opt.deadline")
@click.option("--economy", is_flag=True, help="cli.opt.economy")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="cli.opt.tag")
@click.option("--key", metavar="KEY", help="cli.opt.key")
@click.pass_context
def submit(ctx: click.Context, /, wait: bool, key: str | None, **_: object) -> int:  # noqa: FBT001 - click's
    """Hand in a task, in plain language or as a typed plan."""
    client, screen = means(ctx)
    # A key of its own, so that it may be sent again when the answer is lost: nothing is done twice.
    key = key or uuid.uuid4().hex
    task = cast("TaskView", client.send("POST", "/tasks", body=_request(ctx), headers={"Idempotency-Key": key}).body)
    if wait:
        task = wait_for(client, task)
    if screen.as_json:
        screen.json(task)
    elif wait:
        show_task(screen, task)
    else:
        screen.print(task["id"])
        show_line(screen, task)
    return exit_code(task) if wait else 0


def _request(ctx: click.Context) -> dict[str, Json]:
    """The body: only what was given, so that the server's own defaults hold."""
    given, screen = ctx.params, Screen(language_of(ctx))
    text, plan = given["text"], given["plan"]
    if (text is None) == (plan is None):
        raise click.UsageError(screen.say("cli.usage.text_or_plan"), ctx)
    body: dict[str, Json] = {"lang": language_of(ctx)}
    if text == "-":
        text = sys.stdin.read()
    if text is not None:
        body["text"] = text
    if plan is not None:
        try:
            body["plan"] = json.load(plan)
        except ValueError as exc:
            raise click.BadParameter(screen.say("cli.usage.not_json", why=exc), ctx, param_hint="--plan") from exc
    if given["inputs"]:
        body["inputs"] = dict(given["inputs"])
    for name in ("priority", "not_before", "deadline"):
        if given[name] is not None:
            body[name] = given[name]
    lists_and_flags: dict[str, Json] = {"economy": given["economy"], "tags": list(given["tags"])}
    return body | {name: value for name, value in lists_and_flags.items() if value}
