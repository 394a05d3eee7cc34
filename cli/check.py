"""`./aiw test` and `./aiw bench`: the whole test command, as CI runs it, and the measurements."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from cli import locks
from cli.command import command
from common.i18n import t

ROOT: Final = Path(__file__).resolve().parents[1]
# Their tests read it: fewer histories, no servers.
FAST: Final = "AIW_TEST_FAST"


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the test command. `run` returns its exit code; 0 is well."""

    name: str
    run: Callable[[], int]


def program(module: str, *words: str, **environment: str) -> Callable[[], int]:
    """A check that is a program of the developer's packages."""

    def run() -> int:
        done = subprocess.run(
            [sys.executable, "-m", module, *words], cwd=ROOT, env={**os.environ, **environment}, check=False
        )
        return done.returncode

    return run


def import_rules() -> int:
    """import-linter has no module to run: its command is called as its script does."""
    call = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    return subprocess.run([sys.executable, "-c", call, "--no-cache"], cwd=ROOT, check=False).returncode


def lock_is_in_step() -> int:
    """Locks, pyproject.toml and .venv say the same."""
    found = locks.faults(ROOT)
    for fault in found:
        print(fault)
    return min(1, len(found))


def static_checks() -> list[Check]:
    """What needs no server."""
    return [
        Check("ruff check", program("ruff", "check", "--quiet")),
        Check("ruff format", program("ruff", "format", "--check", "--quiet")),
        Check("mypy --strict", program("mypy", "--strict", "--no-error-summary")),
    ]


def all_checks() -> list[Check]:
    """As CI runs it; the tests come last, so that pytest has the last word."""
    return [
        Check("locks", lock_is_in_step),
        *static_checks(),
        Check("import rules", import_rules),
        Check("pytest", program("pytest")),
    ]


def fast_checks() -> list[Check]:
    """What a developer runs at every save: no server is started."""
    tests = ("tests/unit", "tests/contract", "tests/simulator")
    return [*static_checks(), Check("pytest", program("pytest", "-q", "-k", "not postgres", *tests, **{FAST: "1"}))]


def run_checks(checks: Sequence[Check], lang: str) -> int:
    """Run all of them, whatever the earlier ones say; 1 if one failed."""
    failed = []
    for number, check in enumerate(checks, 1):
        is_last = number == len(checks)
        click.echo(t("check.begin", lang, number=number, total=len(checks), name=check.name))
        began = time.monotonic()
        code = check.run()
        if code != 0:
            failed.append(check.name)
        if not is_last:
            key = "check.failed" if code else "check.well"
            click.echo(t(key, lang, name=check.name, seconds=time.monotonic() - began))
    if failed:
        # On stderr, so that what stands on stdout ends with pytest's own summary.
        click.echo(t("check.all_failed", lang, names=", ".join(failed)), err=True)
    return 1 if failed else 0


def language(context: click.Context) -> str:
    """The reader's language, as the command line understood it."""
    lang: str = context.obj.lang
    return lang


@command("test")
@click.option("--fast", is_flag=True, help="check.help.fast")
@click.pass_context
def test(context: click.Context, *, fast: bool) -> int:
    """Run every check; the exit code says whether all is well."""
    return run_checks(fast_checks() if fast else all_checks(), language(context))


@command("bench", passes_on=True)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def bench(context: click.Context, words: tuple[str, ...]) -> int:
    """Measure; `words` go to `python -m bench`."""
    as_json = ("--json",) if context.obj.json and "--json" not in words else ()
    return program("bench", *words, *as_json)()
