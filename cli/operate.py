"""Running the installation: pause, sign-in, the model's key, recipes, settings."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from cli.client import REFUSED, Options, Stop
from cli.command import command, language_of, means
from cli.decide import read_value
from cli.people import person_id
from cli.screen import Cell, Screen, clean
from cli.show import pretty

if TYPE_CHECKING:
    from cli.answers import CodeView, Json, PauseView, SettingView

KEY_FILES: Final = {"anthropic": "anthropic.key", "openai": "openai.key"}  # as `common.analysis.providers.key` has them
LONGEST_KEY: Final = 500


@command("pause")
@click.argument("why")
@click.pass_context
def pause(ctx: click.Context, why: str) -> None:
    """Stop all execution; once this has answered, nothing begins."""
    _paused(ctx, "PUT", {"why": why})


@command("resume")
@click.pass_context
def resume(ctx: click.Context) -> None:
    """Let everything go on."""
    _paused(ctx, "DELETE", None)


def _paused(ctx: click.Context, method: str, body: Json) -> None:
    client, screen = means(ctx)
    found = cast("PauseView", client.send(method, "/pause", body=body).body)
    if screen.as_json:
        screen.json(found)
    elif found["paused"]:
        screen.tell("cli.pause.paused", why=clean(found["why"] or ""))
    else:
        screen.tell("cli.pause.resumed")


@command("login")
@click.option("--person", metavar="WHO", help="cli.opt.for_person")
@click.pass_context
def login(ctx: click.Context, person: str | None) -> None:
    """A new sign-in link."""
    client, screen = means(ctx)
    body: dict[str, Json] = {"person": person_id(client, person)} if person else {}
    code = cast("CodeView", client.post("/sign-in-codes", body))
    if screen.as_json:
        screen.json(code)
    else:
        screen.print(code["url"])
        screen.tell("cli.login.lasts", minutes=code["expires_in"] // 60, code=code["code"])


@command("key")
@click.option("--provider", type=click.Choice(list(KEY_FILES)), default="anthropic", help="cli.opt.key_provider")
@click.option("--remove", is_flag=True, help="cli.opt.remove_key")
@click.pass_context
def key(ctx: click.Context, provider: str, remove: bool) -> None:  # noqa: FBT001 - click's
    """Keep a model's key where the functions read it: a file of its own, never a setting (I11)."""
    options, (_, screen) = ctx.ensure_object(Options), means(ctx)
    path = options.data / "secrets" / KEY_FILES[provider]
    if not options.data.is_dir():
        raise Stop(REFUSED, "cli.key.no_folder", data=options.data)
    if remove:
        path.unlink(missing_ok=True)
    else:
        _keep(path, _read_key(screen, provider))
    if screen.as_json:
        screen.json({"key": None if remove else str(path)})
    else:
        screen.tell("cli.key.removed" if remove else "cli.key.kept", path=path)


def _read_key(screen: Screen, provider: str) -> str:
    if sys.stdin.isatty():
        found = str(click.prompt(screen.say(f"cli.key.prompt.{provider}"), hide_input=True, err=True))
    else:
        found = sys.stdin.read(LONGEST_KEY + 2)
    found = found.strip()
    if not found or len(found) > LONGEST_KEY or not found.isascii() or not found.isprintable() or " " in found:
        raise Stop(REFUSED, "cli.key.not_a_key")
    return found


def _keep(path: Path, value: str) -> None:
    """Replace the file at once, readable by its owner only from its first byte; it survives a power cut."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


@command("recipes")
@click.pass_context
def recipes(ctx: click.Context) -> None:
    """What is understood without a key."""
    from common.analysis.rules import reader  # noqa: PLC0415 - imports the models, which no other command needs

    _, screen = means(ctx)
    found = reader.recipes(screen.lang)
    if screen.as_json:
        screen.json([{"name": recipe.name, "sentence": recipe.sentence, "example": recipe.example} for recipe in found])
        return
    screen.tell("cli.recipes.heading")
    for recipe in found:
        screen.paragraph(recipe.sentence, first=screen.paint(recipe.name, "bold") + "  ", indent="    ")
        # On one line however long it is: it is there to be copied.
        screen.print(f"    ./aiw submit {shlex.quote(recipe.example)}")


@command("settings")
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.pass_context
def settings(ctx: click.Context, name: str | None, value: str | None) -> None:
    """Every setting, one, or a new value of one (JSON, or plain text)."""
    client, screen = means(ctx)
    if name is None:
        found = client.all("/settings")
        if screen.as_json:
            screen.json(found)
        else:
            _table(screen, cast("dict[str, list[SettingView]]", found)["items"])
        return
    path = "/settings/" + _segment(name, ctx)
    answer = client.send("GET", path)
    setting = cast("SettingView", answer.body)
    if value is not None:
        # The version that was just read: a change by somebody else in between is refused, not overwritten.
        version = answer.version or f'"{setting["version"]}"'
        answer = client.send("PUT", path, body={"value": read_value(value)}, headers={"If-Match": version})
        setting = cast("SettingView", answer.body)
    if screen.as_json:
        screen.json(setting)
    else:
        _table(screen, [setting])


def _segment(name: str, ctx: click.Context) -> str:
    if not name.replace("_", "").isalnum() or not name.isascii():
        raise click.BadParameter(Screen(language_of(ctx)).say("cli.usage.setting", value=name), ctx)
    return name


def _table(screen: Screen, found: list[SettingView]) -> None:
    if len(found) == 1:
        [setting] = found
        screen.print(f"{screen.paint(setting['name'], 'bold')}  {_origin(screen, setting)}")
        screen.paragraph(pretty(setting["value"]))
        return
    rows = [[Cell(each["name"]), Cell(_origin(screen, each)), Cell(_compact(each["value"]))] for each in found]
    screen.table([screen.say(f"cli.settings.{head}") for head in ("name", "version", "value")], rows)


def _compact(value: Json) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin(screen: Screen, setting: SettingView) -> str:
    if setting["inherited"]:
        return screen.say("cli.settings.inherited")
    return screen.say("cli.settings.number", version=setting["version"])
