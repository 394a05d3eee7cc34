"""`./aiw eval`: what the rules or a model make of the labelled set. The report is on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cli.screen import Screen
from common.actions.catalogue import Catalogue
from common.analysis.money.prices import Prices
from common.analysis.providers.registry import provider as provider_of
from common.config import Settings
from common.core.spending import NANO
from evaluation.forecast import Forecast, forecast
from evaluation.label import LabelledSet, read_labels
from evaluation.report import NoRunError, OtherSetError, compare, document_of, read_run, show
from evaluation.run import RULES, Run, reader_for, run, unanswered

REFUSED: Final = 1
INTERRUPTED: Final = 130


class StopError(Exception):
    """What keeps it from running: a key of the catalogue, and its values."""

    def __init__(self, key: str, **values: object) -> None:
        """See Screen.say."""
        super().__init__(key)
        self.key, self.values = key, values


def main(words: Sequence[str]) -> int:
    """Run it; 0 whatever the figures are."""
    given = _arguments(words)
    screen = Screen(given.lang, as_json=given.json)
    try:
        if given.compare:
            return _compare(given, screen)
        return _evaluate(given, screen)
    except StopError as stop:
        print("aiw: " + screen.say(stop.key, **stop.values), file=sys.stderr)
        return REFUSED
    except OtherSetError as exc:
        print("aiw: " + screen.say("eval.stop.other_set", version=exc), file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        screen.note("eval.interrupted")
        return INTERRUPTED


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    """As the command line has checked them."""
    parser = argparse.ArgumentParser(prog="aiw eval", description=__doc__)
    parser.add_argument("--provider", default=RULES)
    parser.add_argument("--model")
    parser.add_argument("--strong")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--max-usd", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--compare", type=Path, nargs=2)
    parser.add_argument("--lang", choices=("ko", "en"), default="en")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(words)


def _compare(given: argparse.Namespace, screen: Screen) -> int:
    try:
        first, second = (read_run(path) for path in given.compare)
    except NoRunError as exc:
        raise StopError("eval.stop.no_run", path=exc) from exc
    document = compare(first, second, read_labels(), screen)
    if screen.as_json:
        screen.json(document)
    return 0


def _evaluate(given: argparse.Namespace, screen: Screen) -> int:
    labels = read_labels()
    part = labels.first(given.limit)
    catalogue = Catalogue.shipped()
    settings = _settings(given)
    if given.out is not None:
        _writable(given.out)  # before anything is paid for
    at_once = 1
    if given.provider != RULES:
        costs = _permitted(given, part, settings, catalogue, screen)
        at_once = costs.at_once(given.max_usd, settings.analyses_at_once)
    with reader_for(given.provider, settings, catalogue, max_usd=given.max_usd, at_once=at_once) as reader:
        made = run(
            part,
            reader,
            catalogue,
            settings=settings,
            provider=given.provider,
            progress=_progress(len(part.labels), screen),
        )
    if missing := unanswered(made):
        screen.note("eval.unanswered", count=missing)
    _kept(made, labels, given.out, screen)
    if screen.as_json:
        screen.json(document_of(made, labels))
    else:
        show(made, labels, screen)
    return 0


def _settings(given: argparse.Namespace) -> Settings:
    """The environment's, with what was said here on top. Nothing is sampled: every task is read for its own figures."""
    changed: dict[str, object] = {"pack_checks": 0.0, "cache_checks": 0.0}
    if given.provider != RULES:
        changed["provider"] = given.provider
    if given.model is not None:
        changed["model"] = given.model
    if given.strong is not None:
        changed["strong_model"] = given.strong
    try:
        return Settings().model_copy(update=changed)
    except ValueError as exc:
        raise StopError("eval.stop.setting", why=" ".join(str(exc).split())) from exc


def _permitted(
    given: argparse.Namespace, labels: LabelledSet, settings: Settings, catalogue: Catalogue, screen: Screen
) -> Forecast:
    """What it will cost: there is a key, every price is known, and somebody has agreed. StopError."""
    try:
        asked = provider_of(settings)
        unknown = Prices.of(settings).unknown(*filter(None, (settings.model, settings.strong_model)))
    except ValueError as exc:
        raise StopError("eval.stop.setting", why=exc) from exc
    if not asked.is_ready:
        raise StopError("eval.stop.no_key", provider=given.provider)
    if unknown:
        raise StopError("eval.stop.no_price", models=", ".join(unknown))
    costs = forecast(labels, settings, catalogue)
    models = ", ".join(filter(None, (settings.model, settings.strong_model)))
    screen.note(
        "eval.forecast",
        tasks=len(labels.labels),
        calls=costs.calls,
        models=models,
        expected=costs.expected / NANO,
        most=costs.most / NANO,
        cap=given.max_usd,
    )
    if given.yes:
        return costs
    if not sys.stdin.isatty():
        raise StopError("eval.stop.not_agreed")
    print(screen.say("eval.ask") + " ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes", "네", "예", "ㅇ"}:
        raise StopError("eval.stop.declined")
    return costs


def _progress(total: int, screen: Screen) -> Callable[[int], None]:
    """A line that is written over on a terminal; elsewhere one at each tenth."""
    is_terminal = sys.stderr.isatty()
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        line = screen.say("eval.progress", done=done, total=total)
        if is_terminal:
            print(f"\r{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done * 10 // total > told:
            told = done * 10 // total
            print(line, file=sys.stderr, flush=True)

    return tell


def _writable(path: Path) -> None:
    try:
        path.open("a").close()
    except OSError as exc:
        raise StopError("eval.stop.not_written", path=path, why=exc.strerror or type(exc).__name__) from exc


def _kept(made: Run, labels: LabelledSet, path: Path | None, screen: Screen) -> None:
    if path is None:
        return
    document = json.dumps(document_of(made, labels), ensure_ascii=False, indent=1)
    path.write_text(f"{document}\n", "utf-8")
    screen.note("eval.kept", path=path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
