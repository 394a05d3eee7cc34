"""`demo`: a stack of its own, a target that counts, and every sentence checked before it is believed."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from decimal import Decimal
from types import FrameType
from typing import TYPE_CHECKING, cast

import click

from cli.client import REFUSED, Client, Options
from cli.command import command
from cli.demo_scenes import SCENES
from cli.demo_stack import DemoStack
from cli.demo_story import Story
from cli.demo_target import CountingTarget
from cli.screen import Screen, short
from cli.show import title

if TYPE_CHECKING:
    from cli.answers import CodeView, TaskView


@command("demo")
@click.option("--exit", "leave", is_flag=True, help="cli.opt.exit")
@click.pass_context
def demo(ctx: click.Context, leave: bool) -> int:  # noqa: FBT001 - click's
    """Run the scenes; exit 1 if one sentence is not so."""
    options = ctx.ensure_object(Options)
    screen = Screen(options.lang, as_json=options.json)
    # Asked to end, it takes its stack with it: what runs in a session of its own would stay.
    signal.signal(signal.SIGTERM, _interrupt)
    stack, target = DemoStack(options), CountingTarget()
    try:
        screen.tell("demo.starting", data=stack.options.data)
        began = time.monotonic()
        stack.start(_settings(target))
        client = Client(stack.options)
        ctx.call_on_close(client.close)
        story = Story(client, screen, stack, target)
        screen.tell("demo.started", url=client.url, seconds=f"{time.monotonic() - began:.1f}")
        for scene in SCENES:
            scene(story)
        well = _summary(story, time.monotonic() - began)
        if not leave:
            screen.tell("demo.stays")
            with suppress(KeyboardInterrupt):
                stack.wait()
    finally:
        screen.tell("demo.stopping")
        target.close()
        stack.stop()
    return 0 if well else REFUSED


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _settings(target: CountingTarget) -> dict[str, str]:
    return {
        "AIW_HOSTS": f"{target.idempotent};idempotent, {target.strict}",
        "AIW_CHANNELS": f"ops=http://{target.strict}/hook",
        "AIW_NOTIFY": "ops",
    }


def _summary(story: Story, seconds: float) -> bool:
    """What is done, what waits for whom and where, what it cost, and where to look at it. Returns whether all is so."""
    screen, tasks = story.screen, story.all_tasks()
    done = [task for task in tasks if task["state"] == "succeeded"]
    waits = [task for task in tasks if task["state"] in {"awaiting_approval", "manual"}]
    others = [task for task in tasks if task not in done and task not in waits]
    cost = sum((Decimal(task["cost_usd"]) for task in tasks), Decimal())
    screen.print()
    story.check("sum_ended", [], [task["id"] for task in others], done=len(done), n=len(tasks))
    story.check("sum_waits", 2, len(waits), n=len(waits))
    for task in waits:
        _show_waiting(story, task)
    story.check("sum_cost", "0", f"{cost.normalize():f}", cost=f"{cost:.2f}")
    link = cast("CodeView", story.client.post("/sign-in-codes", {}))["url"]
    good = sum(check.well for check in story.checks)
    well = good == len(story.checks)
    if screen.as_json:
        screen.json({"well": well, "url": story.client.url, "sign_in": link, "seconds": round(seconds, 1),
                     "data": str(story.stack.options.data), "checks": story.documents()})  # fmt: skip
        return well
    screen.print()
    verdict = screen.say("demo.verdict", good=good, n=len(story.checks), seconds=round(seconds))
    screen.print(screen.paint(verdict, "green" if well else "red"))
    screen.tell("demo.look", link=link, data=story.stack.options.data)
    return well


def _show_waiting(story: Story, task: TaskView) -> None:
    """What waits for whom, and where to end the wait."""
    screen, waiting = story.screen, task["waiting_for"]
    screen.paragraph(f"{short(task['id'])}  {title(task)}", indent="              ", first="    ")
    if waiting:
        what, who = screen.name("waiting", waiting["what"]), screen.name("role", waiting["who"] or "-")
        screen.tell("demo.sum_where", what=what, who=who, url=f"{story.client.url}/tasks/{task['id']}")
