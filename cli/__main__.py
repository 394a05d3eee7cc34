"""`aiw`: the command line. It speaks HTTP to a running server; only what starts, tests or mends one does not.

Exit: 0 well; 1 refused; 2 usage; 3 the task ended without success, or waits for a person; 69 not reachable; 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import click

from cli.client import INTERRUPTED, REFUSED, USAGE, Options, data_folder
from cli.command import LANGS, META_LANG, Lazy, language, usage_line
from cli.screen import Screen, clean

SECTIONS: Final = {
    "run": {
        "up": "cli.up:up",
        "demo": "cli.demo:demo",
        "test": "cli.check:test",
        "bench": "cli.check:bench",
        "eval": "cli.evaluate:evaluate",
    },
    "look": {
        "submit": "cli.submit:submit",
        "ls": "cli.tasks:ls",
        "show": "cli.tasks:show",
        "logs": "cli.tasks:logs",
        "why": "cli.why:why",
    },
    "decide": {
        "approve": "cli.decide:approve",
        "reject": "cli.decide:reject",
        "cancel": "cli.decide:cancel",
        "retry": "cli.decide:retry",
        "reanalyze": "cli.decide:reanalyze",
        "resolve": "cli.decide:resolve",
        "outcome": "cli.decide:outcome",
    },
    "operate": {
        "cost": "cli.cost:cost",
        "cache": "cli.cache:cache",
        "pause": "cli.operate:pause",
        "resume": "cli.operate:resume",
        "login": "cli.operate:login",
        "key": "cli.operate:key",
        "recipes": "cli.operate:recipes",
        "people": "cli.people:people",
        "token": "cli.people:token",
        "settings": "cli.operate:settings",
        "doctor": "cli.doctor:doctor",
        "migrate": "cli.migrate:migrate",
    },
}


def _keep_language(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    # Eager, so that a `--help` or an error after it already speaks this language.
    ctx.meta[META_LANG] = value
    return value


@click.command(cls=Lazy, sections=SECTIONS, help="cli.help.aiw", invoke_without_command=True)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="cli.opt.data")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, metavar="N", help="cli.opt.port")
@click.option("--json", "as_json", is_flag=True, help="cli.opt.json")
@click.option("--lang", type=click.Choice(LANGS), is_eager=True, callback=_keep_language, help="cli.opt.lang")
@click.pass_context
def aiw(ctx: click.Context, data: Path | None, port: int, as_json: bool, lang: str | None) -> int:  # noqa: FBT001 - click's
    """Read what stands before the command."""
    ctx.obj = Options(
        data=(data or data_folder()).expanduser(), port=port, json=as_json, lang=language(lang), chosen=data is not None
    )
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return USAGE
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Whatever goes wrong is one line on standard error, never a traceback."""
    try:
        found = aiw.main(args=arguments, prog_name="aiw", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as exc:
        return _end(USAGE, usage_line(exc))
    except click.Abort as exc:
        # click turns both Ctrl-C and the end of standard input into Abort.
        ended = isinstance(exc.__cause__ or exc.__context__, EOFError)
        return _end(REFUSED, Screen(_language()).say("cli.error.no_input")) if ended else INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as exc:
        return _end(REFUSED, exc.format_message())
    except BrokenPipeError:
        # Whoever read us (`| head`) has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as exc:
        return _end(REFUSED, Screen(_language()).say("cli.error.system", why=exc))
    except Exception as exc:
        if os.environ.get("AIW_DEBUG"):
            raise
        return _end(REFUSED, Screen(_language()).say("cli.error.bug", kind=type(exc).__name__, why=exc))
    return found if isinstance(found, int) else 0


def _language() -> str:
    words = sys.argv[1:]
    given = next((after for word, after in pairwise(words) if word == "--lang"), None)
    return language(given)


def _end(code: int, line: str) -> int:
    print("aiw: " + clean(line, one_line=True), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
