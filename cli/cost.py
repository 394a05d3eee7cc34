"""`cost`: what a month cost, on what, and what each way of saving saved."""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Final, cast

import click

from cli.command import command, means
from cli.screen import Cell, Screen
from common.i18n.money import dollars, longest_first

if TYPE_CHECKING:
    from cli.cost_answers import CostsView

BAR: Final = 24  # columns of the longest bar
STATE_COLOURS: Final = {"normal": "green", "saving": "yellow", "exhausted": "red"}


@command("cost")
@click.option("--month", metavar="YYYY-MM", help="cli.opt.month")
@click.option("--csv", "as_csv", is_flag=True, help="cli.opt.csv")
@click.pass_context
def cost(ctx: click.Context, month: str | None, *, as_csv: bool) -> None:
    """What was spent, on what, what is expected, and what was saved."""
    client, screen = means(ctx)
    costs = cast("CostsView", client.get("/costs", {"month": month}))
    if screen.as_json:
        screen.json(costs)
    elif as_csv:
        _csv(costs)
    else:
        _head(screen, costs)
        if costs["by_model"]:
            _levers(screen, costs)
            _tables(screen, costs)


def _head(screen: Screen, costs: CostsView) -> None:
    state = screen.paint(screen.say(f"budget.{costs['state']}"), STATE_COLOURS[costs["state"]])
    spent, limit = Decimal(costs["spent_usd"]), Decimal(costs["limit_usd"])
    share = 100 if limit <= 0 else min(100, round(spent / limit * 100))
    screen.tell(
        "cli.cost.head", month=costs["month"], spent=dollars(costs["spent_usd"]), limit=dollars(costs["limit_usd"]),
        share=share, state=state,
    )  # fmt: skip
    screen.tell("cli.cost.more", forecast=dollars(costs["forecast_usd"]), held=dollars(costs["reserved_usd"]),
                naive=dollars(costs["naive_usd"]), saved=dollars(costs["saved_usd"]))  # fmt: skip
    screen.tell(f"page.costs.state.{costs['state']}")
    if not costs["by_model"]:
        screen.tell("cli.cost.none")


def _levers(screen: Screen, costs: CostsView) -> None:
    screen.print()
    screen.print(screen.paint(screen.say("page.costs.levers"), "bold"))
    rows = []
    for index, share in longest_first([line["saved_usd"] for line in costs["levers"]]):
        line = costs["levers"][index]
        rows.append(
            [
                Cell(screen.say(f"page.costs.lever.{line['lever']}")),
                Cell(f"{dollars(line['saved_usd']):>10}"),
                Cell(f"{line['tasks']:>7}"),
                Cell("█" * round(abs(share) * BAR), "red" if share < 0 else "green"),
            ]
        )
    screen.table([screen.say(f"cli.cost.{head}") for head in ("lever", "saved", "tasks")] + [""], rows)


def _tables(screen: Screen, costs: CostsView) -> None:
    models: list[tuple[str | int, ...]] = [
        (line["model"], line["calls"], line["tasks"], dollars(line["cost_usd"])) for line in costs["by_model"]
    ]
    kinds: list[tuple[str | int, ...]] = [
        (line["kind"] or screen.say("page.costs.no_kind"), line["tasks"], dollars(line["cost_usd"]))
        for line in costs["by_kind"]
    ]
    for name, lines in (("models", models), ("kinds", kinds)):
        screen.print()
        screen.print(screen.paint(screen.say(f"page.costs.{name}"), "bold"))
        first = "model" if name == "models" else "kind"
        heads = (first, "calls", "tasks", "cost") if name == "models" else (first, "tasks", "cost")
        rows = [
            [Cell(str(a)), *(Cell(f"{number:>6}") for number in numbers), Cell(str(usd))] for a, *numbers, usd in lines
        ]
        screen.table([screen.say(f"cli.cost.{head}") for head in heads], rows)
    screen.print()
    cache, packs = costs["cache"], costs["packs"]
    screen.tell("cli.cost.checks", hits=cache["hits"], misses=cache["misses"], cache_checks=cache["checks"],
                cache_wrong=cache["disagreements"], packs=packs["tasks"], calls=packs["calls"],
                pack_checks=packs["checked"], pack_wrong=packs["disagreements"])  # fmt: skip


def _csv(costs: CostsView) -> None:
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(["day", "cost_usd", "naive_usd"])
    lines.writerows([line["day"], line["cost_usd"], line["naive_usd"]] for line in costs["by_day"])
