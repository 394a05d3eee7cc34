"""Who may do what: people and their tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import click

from cli.client import REFUSED, Client, Stop
from cli.command import Command, Group, language_of, means
from cli.screen import Cell, Screen, clean, short

if TYPE_CHECKING:
    from cli.answers import Json, PersonView, SecretView, TokenView

ROLES: Final = ("viewer", "operator", "approver", "admin")
UNITS: Final = {"m": 60, "h": 3600, "d": 86400}
SHORTEST_ENDING: Final = 4


class Span(click.ParamType[int, "str | int"]):
    """A span of time in minutes, hours or days: `30m`, `12h`, `90d`."""

    name = "span"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,6})([mhd])", value)
        if not found:
            self.fail(Screen(language_of(ctx)).say("cli.usage.span", value=value), param, ctx)
        return int(found[1]) * UNITS[found[2]]


@click.group("people", cls=Group, help="cli.help.people")
def people() -> None:
    """Members of the workspace."""


@people.command("ls", cls=Command, help="cli.help.people_ls")
@click.pass_context
def people_ls(ctx: click.Context) -> None:
    """Members, by name."""
    client, screen = means(ctx)
    found = client.all("/people")
    if screen.as_json:
        screen.json(found)
        return
    rows = [
        [Cell(short(each["id"])), Cell(screen.name("role", each["role"])), Cell(each["name"])]
        for each in cast("dict[str, list[PersonView]]", found)["items"]
    ]
    screen.table([screen.say(f"cli.people.{head}") for head in ("id", "role", "name")], rows)


@people.command("add", cls=Command, help="cli.help.people_add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, metavar="ROLE", help="cli.opt.role")
@click.pass_context
def people_add(ctx: click.Context, name: str, role: str) -> None:
    """A new member."""
    client, screen = means(ctx)
    person = cast("PersonView", client.post("/people", {"name": name, "role": role}))
    if screen.as_json:
        screen.json(person)
    else:
        role = screen.name("role", person["role"])
        screen.tell("cli.people.added", name=clean(person["name"]), role=role, id=short(person["id"]))


@people.command("rm", cls=Command, help="cli.help.people_rm")
@click.argument("who")
@click.pass_context
def people_rm(ctx: click.Context, who: str) -> None:
    """End a membership, and every token of it."""
    client, screen = means(ctx)
    found = person_id(client, who)
    client.send("DELETE", f"/people/{found}")
    if screen.as_json:
        screen.json({"removed": found})
    else:
        screen.tell("cli.people.removed", id=short(found))


@click.group("token", cls=Group, help="cli.help.token")
def token() -> None:
    """Tokens for programs."""


@token.command("ls", cls=Command, help="cli.help.token_ls")
@click.pass_context
def token_ls(ctx: click.Context) -> None:
    """Valid tokens, without their secrets."""
    client, screen = means(ctx)
    found = client.all("/tokens")
    if screen.as_json:
        screen.json(found)
        return
    rows = [
        [
            Cell(each["id"]),
            Cell(screen.say(f"cli.token.{each['kind']}")),
            Cell(screen.name("role", each["role"])),
            Cell(screen.ago(each["expires_at"])),
            Cell(each["person"]),
        ]
        for each in cast("dict[str, list[TokenView]]", found)["items"]
    ]
    screen.table([screen.say(f"cli.token.{head}") for head in ("id", "what", "role", "ends", "person")], rows)


@token.command("add", cls=Command, help="cli.help.token_add")
@click.option("--person", metavar="WHO", help="cli.opt.for_person")
@click.option("--role", type=click.Choice(ROLES), metavar="ROLE", help="cli.opt.token_role")
@click.option("--expires-in", type=Span(), metavar="SPAN", help="cli.opt.expires_in")
@click.pass_context
def token_add(ctx: click.Context, person: str | None, role: str | None, expires_in: int | None) -> None:
    """A new token; its secret is shown this once."""
    client, screen = means(ctx)
    body: dict[str, Json] = {}
    if person is not None:
        body["person"] = person_id(client, person)
    if role is not None:
        body["role"] = role
    if expires_in is not None:
        body["expires_in"] = expires_in
    made = cast("SecretView", client.post("/tokens", body))
    if screen.as_json:
        screen.json(made)
    else:
        screen.print(made["secret"])
        role = screen.name("role", made["role"])
        screen.note("cli.token.once", id=made["id"], person=clean(made["person"]), role=role)


@token.command("rm", cls=Command, help="cli.help.token_rm")
@click.argument("token_id", metavar="ID")
@click.pass_context
def token_rm(ctx: click.Context, token_id: str) -> None:
    """End a token."""
    client, screen = means(ctx)
    if not re.fullmatch(r"[0-9a-fA-F]{1,64}", token_id):
        raise click.BadParameter(screen.say("cli.usage.id", value=token_id), ctx, param_hint="ID")
    client.send("DELETE", f"/tokens/{token_id.lower()}")
    if screen.as_json:
        screen.json({"removed": token_id.lower()})
    else:
        screen.tell("cli.token.removed", id=token_id.lower())


def person_id(client: Client, who: str) -> str:
    """A member by name, id, or a unique ending of the id. Stop(1) if that is nobody, or several."""
    everybody = cast("dict[str, list[PersonView]]", client.all("/people"))["items"]
    ending = who.lower().replace("-", "")
    by_name = [each["id"] for each in everybody if each["name"] == who]
    by_id = [each["id"] for each in everybody if each["id"].replace("-", "").endswith(ending)]
    found = by_name or (by_id if len(ending) >= SHORTEST_ENDING else [])
    if len(found) != 1:
        raise Stop(REFUSED, "cli.people.several" if found else "cli.people.nobody", who=who)
    return found[0]
