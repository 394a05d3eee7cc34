"""`./aiw eval`: the labelled set, read by the rules or by a model. It needs no server; `evaluation` does the work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from cli.check import ROOT
from cli.client import Options
from cli.command import command


@command("eval")
@click.option("--provider", default="rules", metavar="NAME", help="cli.opt.eval_provider")
@click.option("--model", metavar="M", help="cli.opt.eval_model")
@click.option("--strong", metavar="M", help="cli.opt.eval_strong")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="cli.opt.eval_limit")
@click.option("--max-usd", type=click.FloatRange(0, 1000), default=2.0, metavar="USD", help="cli.opt.eval_max_usd")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="cli.opt.eval_out")
@click.option(
    "--compare",
    type=(click.Path(dir_okay=False, path_type=Path), click.Path(dir_okay=False, path_type=Path)),
    metavar="A B",
    help="cli.opt.eval_compare",
)
@click.option("--yes", is_flag=True, help="cli.opt.eval_yes")
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    compare: tuple[Path, Path] | None,
    out: Path | None,
    yes: bool,  # noqa: FBT001 - click's
    **options: object,
) -> int:
    """Run the module, as `bench` does; the key is the one that functions of this data folder have."""
    found = context.ensure_object(Options)
    words = ["--lang", found.lang]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if out is not None:
        words += ["--out", str(out.absolute())]
    if compare is not None:
        words += ["--compare", *(str(path.absolute()) for path in compare)]
    words += ["--yes"] * yes + ["--json"] * found.json
    secrets = {"AIW_SECRETS_DIR": str(found.data / "secrets")}
    # What the environment says goes before the data folder's key, as everywhere.
    child = subprocess.Popen([sys.executable, "-m", "evaluation", *words], cwd=ROOT, env={**secrets, **os.environ})
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # it was asked to end, too, and says what has been paid
