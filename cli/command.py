"""Commands whose help and usage errors speak the reader's language: their texts are keys of the catalogue."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

import click
from click.exceptions import NoArgsIsHelpError

from cli.client import Client, Options, Refusal, Stop
from cli.screen import Screen, clean, columns, fold, pad

LANGS: Final = ("ko", "en")
META_LANG: Final = "aiw.lang"
LEFT_COLUMN: Final = 24


def language(given: str | None = None) -> str:
    """`--lang`, else what the environment says: ko or en."""
    names = ("AIW_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    said = given or next((os.environ[name] for name in names if os.environ.get(name)), "en")
    return "ko" if said.lower().startswith("ko") else "en"


def language_of(ctx: click.Context | None) -> str:
    """The language of a command line, also before all of it is read."""
    if ctx is None:
        return language()
    options = ctx.find_object(Options)
    return options.lang if options else str(ctx.find_root().meta.get(META_LANG) or language())


def _as_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it so
    options = ctx.find_object(Options)
    if value and options is not None:
        level: click.Context | None = ctx
        while level is not None:
            level.obj, level = replace(options, json=True), level.parent


class Command(click.Command):
    """A command: `help` and the help of each option are keys. `--json` is understood after it, too."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - click's own signature
        """See click.Command."""
        super().__init__(*args, **options)
        self.params.append(
            click.Option(["--json"], is_flag=True, expose_value=False, is_eager=True, hidden=True, callback=_as_json)
        )

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, explained by the catalogue."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "cli.opt.help"
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, what it does, its options."""
        screen = Screen(language_of(ctx))
        formatter.write(page(ctx, self, screen))

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - the screen cuts, not the command
        """The key of its first sentence."""
        return self.help or ""


class Group(Command, click.Group):
    """A command with commands of its own. `--json` belongs to those."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As of a command, and its commands."""
        screen = Screen(language_of(ctx))
        lines = [screen.say("cli.usage.commands")]
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        lines += entries([(name, screen.say(command.help or "")) for name, command in found if command], screen)
        formatter.write(page(ctx, self, screen) + "\n" + "\n".join(lines) + "\n")


class Lazy(click.Group):
    """The command line as a whole. A command's module is imported when that command is called, so answers come fast."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, str]], **options: Any) -> None:  # noqa: ANN401 - click's
        """`sections`: section -> command -> "module:attribute"."""
        super().__init__(*args, **options)
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All, in the order of the help."""
        return [name for commands in self.sections.values() for name in commands]

    def invoke(self, ctx: click.Context) -> object:
        """Run one; whatever it was stopped by becomes an exit code and one line."""
        try:
            return super().invoke(ctx)
        except Stop as stop:
            return report(stop, ctx.ensure_object(Options))
        except BrokenPipeError:
            # Whoever read us (`| head`) has seen enough; click would make a failure of it, Python a complaint at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one."""
        for commands in self.sections.values():
            if cmd_name in commands:
                module, _, attribute = commands[cmd_name].partition(":")
                command: click.Command = getattr(import_module(module), attribute)
                return command
        return None

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, options, and the commands by section; imports none of them."""
        screen = Screen(language_of(ctx))
        lines = []
        for section, commands in self.sections.items():
            lines += ["", screen.paint(screen.say(f"cli.section.{section}"), "bold")]
            lines += entries([(name, screen.say(f"cli.help.{name}").splitlines()[0]) for name in commands], screen)
        formatter.write(page(ctx, self, screen) + "\n".join(lines) + "\n")

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, explained by the catalogue."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "cli.opt.help"
        return option


def page(ctx: click.Context, command: click.Command, screen: Screen) -> str:
    """A help page without its list of commands."""
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    lines = [screen.say("cli.usage.usage", usage=usage), ""]
    for paragraph in screen.say(command.help or "").splitlines():
        lines += ["  " + line for line in fold(paragraph, screen.width - 2)] or [""]
    shown = [p for p in command.get_params(ctx) if isinstance(p, click.Option) and not p.hidden]
    lines += ["", screen.say("cli.usage.options")]
    lines += entries([(_spelling(option, ctx), screen.say(option.help or "")) for option in shown], screen)
    return "\n".join(lines) + "\n"


def entries(rows: Sequence[tuple[str, str]], screen: Screen) -> list[str]:
    """Names at the left, what they mean at the right, wrapped under itself."""
    left = min(LEFT_COLUMN, max(columns(name) for name, _ in rows) + 2)
    lines = []
    for name, said in rows:
        first, *more = fold(said, screen.width - left - 2) or [""]
        if columns(name) > left - 2:
            lines += ["  " + name, "  " + " " * left + first]
        else:
            lines.append("  " + pad(name, left) + first)
        lines += ["  " + " " * left + line for line in more]
    return lines


def _spelling(option: click.Option, ctx: click.Context) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    return names if option.is_flag or option.name == "help" else f"{names} {option.make_metavar(ctx)}"


def means(ctx: click.Context) -> tuple[Client, Screen]:
    """What a command works with: the server and the screen. The connection ends with the command."""
    options = ctx.ensure_object(Options)
    client = Client(options)
    ctx.call_on_close(client.close)
    return client, Screen(options.lang, as_json=options.json)


def command(
    name: str, help_key: str | None = None, *, passes_on: bool = False
) -> Callable[[Callable[..., Any]], Command]:
    """A command; its help is `cli.help.NAME` unless told. `passes_on`: options that it does not know are another's."""
    settings = {"ignore_unknown_options": passes_on}
    return click.command(name, cls=Command, help=help_key or f"cli.help.{name}", context_settings=settings)


def report(stop: Stop, options: Options) -> int:
    """Say in one line on standard error why the command stopped, and the mend; with `--json` stdout has the problem."""
    screen = Screen(options.lang, as_json=options.json)
    if isinstance(stop, Refusal):
        title = screen.name("problem", stop.problem_code)
        title = stop.problem["title"] if title == stop.problem_code else title
        key = f"cli.mend.{stop.problem_code}"
        mend = screen.say(key, seconds=stop.seconds)
        mend = "" if mend == key else mend
        line = ". ".join(filter(None, [": ".join(filter(None, [title, stop.detail()])), mend]))
        document = stop.problem
    else:
        line = screen.say(stop.key, **stop.values)
        document = {"type": "about:blank", "title": line, "detail": line}
    if options.json:
        screen.json(document)
    print("aiw: " + clean(line, one_line=True), file=sys.stderr)
    return stop.code


def _like(error: click.NoSuchCommand) -> Sequence[str]:
    """The commands that may have been meant."""
    group = error.ctx.command if error.ctx else None
    names = group.list_commands(error.ctx) if isinstance(group, click.Group) and error.ctx else []
    return get_close_matches(error.command_name, names)


def _why(error: click.BadParameter, screen: Screen) -> str:
    """What is wrong with a value: in our words where click has English ones."""
    match error.param.type if error.param else None:
        case click.Choice(choices=choices):
            return screen.say("cli.usage.choice", choices=", ".join(map(str, choices)))
        case click.IntRange(min=least, max=most) if most is not None:
            return screen.say("cli.usage.range", least=least, most=most)
        case _:
            return error.message


def usage_line(error: click.UsageError) -> str:
    """What was wrong with the command line, in the reader's language, and where to read more."""
    screen = Screen(language_of(error.ctx))
    hint = ""
    if isinstance(error, click.BadParameter):
        hint = str(error.param_hint or (error.param.get_error_hint(error.ctx) if error.param else "?"))
    match error:
        case NoArgsIsHelpError():
            group = error.ctx.command
            names = group.list_commands(error.ctx) if isinstance(group, click.Group) else []
            said, near = screen.say("cli.usage.no_subcommand", names=", ".join(names)), None
        case click.NoSuchCommand():
            said = screen.say("cli.usage.no_command", name=error.command_name)
            near = error.possibilities or _like(error)
        case click.NoSuchOption():
            said = screen.say("cli.usage.no_option", name=error.option_name)
            near = error.possibilities
        case click.MissingParameter():
            said, near = screen.say("cli.usage.missing", name=hint), None
        case click.BadParameter():
            said, near = screen.say("cli.usage.bad_value", name=hint, why=_why(error, screen)), None
        case _:
            said, near = error.message, None
    if near:
        said += " " + screen.say("cli.usage.near", names=", ".join(sorted(near)))
    path = error.ctx.command_path if error.ctx else "aiw"
    said = said if said.endswith((".", "?")) else f"{said}."
    return said + " " + screen.say("cli.usage.more", command=f"./{path} --help")
