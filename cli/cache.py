"""`cache`: what requests were understood to mean, to look at and to forget."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, cast

import click

from cli.client import USAGE, Stop
from cli.command import Command, Group, language_of, means
from cli.screen import Cell, Screen
from common.i18n.money import dollars

if TYPE_CHECKING:
    from cli.answers import CacheDroppedView, CacheEntryView, CachePage

SHORT: Final = 12  # digits of a key that tell it apart


class Key(click.ParamType[str, str]):
    """A key, or the beginning of one."""

    name = "key"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """In small letters; nothing else may become part of a path."""
        if not re.fullmatch(r"[0-9a-fA-F]{8,64}", value):
            self.fail(Screen(language_of(ctx)).say("cli.usage.key", value=value), param, ctx)
        return value.lower()


@click.group("cache", cls=Group, help="cli.help.cache")
def cache() -> None:
    """Remembered answers."""


@cache.command("ls", cls=Command, help="cli.help.cache_ls")
@click.option("--limit", type=click.IntRange(1, 200), default=20, metavar="N", help="cli.opt.limit")
@click.option("--cursor", metavar="NEXT", help="cli.opt.cursor")
@click.pass_context
def cache_ls(ctx: click.Context, limit: int, cursor: str | None) -> None:
    """Last used first."""
    client, screen = means(ctx)
    found = cast("CachePage", client.get("/cache", {"limit": limit, "cursor": cursor}))
    if screen.as_json:
        screen.json(found)
        return
    rows = [
        [
            Cell(each["key"][:SHORT]),
            Cell(f"{each['hits']:>6}"),
            Cell(dollars(each["saved_usd"])),
            Cell(screen.ago(each["last_used_at"])),
            Cell(each["kind"]),
            Cell(each["request"]),
        ]
        for each in found["items"]
    ]
    heads = ("key", "hits", "saved", "used", "kind", "request")
    screen.table([screen.say(f"cli.cache.{head}") for head in heads], rows)
    if found["next"]:
        screen.note("cli.cache.more", cursor=found["next"])


@cache.command("show", cls=Command, help="cli.help.cache_show")
@click.argument("key", type=Key())
@click.pass_context
def cache_show(ctx: click.Context, key: str) -> None:
    """One, with what was answered."""
    client, screen = means(ctx)
    found = cast("CacheEntryView", client.get(f"/cache/{key}"))
    if screen.as_json:
        screen.json(found)
    else:
        _show(screen, found)


def _show(screen: Screen, found: CacheEntryView) -> None:
    screen.print(screen.paint(found["key"], "bold"))
    screen.paragraph(found["request"])
    screen.print()
    screen.tell("cli.cache.answered", kind=found["kind"], risk=screen.risk(found["risk"]),
                confidence="?" if found["confidence"] is None else f"{found['confidence']:.2f}",
                model=found["model"], prompt=found["prompt_version"])  # fmt: skip
    if found["summary"]:
        screen.paragraph(found["summary"])
    for step in found["plan"]["steps"]:
        args = json.dumps(step["args"], ensure_ascii=False)
        screen.paragraph(f"{step['id']}  {step['action']} {args}", indent="        ", first="    ")
    screen.print()
    screen.tell("cli.cache.served", hits=found["hits"], checks=found["checks"], cost=dollars(found["cost_usd"]),
                saved=dollars(found["saved_usd"]), used=screen.ago(found["last_used_at"]),
                asked=screen.ago(found["created_at"]))  # fmt: skip
    screen.tell("cli.cache.no_permission")


@cache.command("drop", cls=Command, help="cli.help.cache_drop")
@click.argument("key", type=Key(), required=False)
@click.option("--all", "everything", is_flag=True, help="cli.opt.cache_all")
@click.pass_context
def cache_drop(ctx: click.Context, key: str | None, *, everything: bool) -> None:
    """One, or all: the next such request is asked again."""
    if (key is None) is not everything:
        raise Stop(USAGE, "cli.cache.key_or_all")
    client, screen = means(ctx)
    path = "/cache" if key is None else f"/cache/{key}"
    found = cast("CacheDroppedView", client.send("DELETE", path).body)
    if screen.as_json:
        screen.json(found)
        return
    screen.tell("cli.cache.dropped", count=found["dropped"])
    if not found["fast"]:
        screen.tell("cli.cache.not_fast")
