"""`migrate`: bring the database in step with the code, where `up` does not do it by itself."""

from __future__ import annotations

import json
import os

import click

from cli.client import UNREACHABLE, Options, Stop
from cli.command import command, means


@command("migrate")
@click.pass_context
def migrate(ctx: click.Context) -> None:
    """Bring the database's schema in step with this code."""
    options, (_, screen) = ctx.ensure_object(Options), means(ctx)
    from common.adapters.postgres import migrations  # noqa: PLC0415 - SQLAlchemy, which no other command needs

    schema = migrations.migrate(database_url(options))
    if screen.as_json:
        screen.json({"schema": str(schema)})
    else:
        screen.tell("cli.migrate.done", schema=schema)


def database_url(options: Options) -> str:
    """The owner's URL of AIW_DATABASE_URL, or of the server that runs on the data folder. Stop(69) if none runs."""
    given = os.environ.get("AIW_DATABASE_URL")
    if given and not options.chosen:
        return given
    try:
        return str(json.loads((options.data / "run" / "server.json").read_text())["database_url"])
    except (OSError, ValueError, KeyError) as exc:
        raise Stop(UNREACHABLE, "cli.migrate.no_database", data=options.data) from exc
