"""A run's figures, and two runs side by side: as values for programs, as tables for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.screen import Cell, Screen
from common.core.spending import NANO
from common.core.task import Json
from evaluation.figures import Paired, Share, paired, percentile, share_of
from evaluation.judge import MEASURES, WANTED, Outcome, Read
from evaluation.label import Label, LabelledSet
from evaluation.run import RULES, Run

SIGNIFICANT: Final = 0.05
LANGUAGES: Final = ("en", "ko")
WHOLE: Final = ("all", *LANGUAGES)
SHOWN: Final = 12  # ids of tasks in a line
THOUSAND: Final = 1000


class NoRunError(Exception):
    """A file that holds no run."""


class OtherSetError(Exception):
    """A run over other labels than those that are here."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run comes to."""

    shares: dict[str, dict[str, Share]]  # measure -> "all", a language or a family -> share
    outcomes: dict[str, int]
    cost: int  # nanodollars
    tasks: int
    escalated: int
    p50: float | None  # milliseconds until an answer
    p95: float | None

    def document(self) -> dict[str, Json]:
        """For programs."""
        shares: dict[str, Json] = {}
        for measure, groups in self.shares.items():
            shares[measure] = {group: _share(share) for group, share in groups.items()}
        return {
            "shares": shares,
            "outcomes": dict[str, Json](self.outcomes),
            "usd": self.cost / NANO,
            "usd_per_1000": self.cost / NANO / self.tasks * THOUSAND if self.tasks else None,
            "escalated": self.escalated,
            "ms_p50": self.p50,
            "ms_p95": self.p95,
        }


def _share(share: Share) -> dict[str, Json]:
    low, high = share.interval
    return {"yes": share.yes, "of": share.of, "rate": share.rate, "low": round(low, 4), "high": round(high, 4)}


def figures_of(run: Run, labels: LabelledSet) -> Figures:
    """OtherSetError."""
    by_id = _labels_of(run, labels)
    pairs = [(by_id[read.id], read) for read in run.reads]
    groups = dict.fromkeys(["all", *LANGUAGES, *(label.family for label in labels.labels)])
    answered = [read for read in run.reads if read.outcome is not Outcome.UNANSWERED]
    return Figures(
        shares={
            name: {
                group: share_of(
                    measure(label, read, run.autorun)
                    for label, read in pairs
                    if group in {"all", label.lang, label.family}
                )
                for group in groups
            }
            for name, measure in MEASURES.items()
        },
        outcomes={outcome.value: sum(read.outcome is outcome for read in run.reads) for outcome in Outcome},
        cost=run.cost,
        tasks=len(run.reads),
        escalated=sum(read.escalated for read in run.reads),
        p50=percentile([read.ms for read in answered], 0.5),
        p95=percentile([read.ms for read in answered], 0.95),
    )


def _labels_of(run: Run, labels: LabelledSet) -> dict[str, Label]:
    """The labels by id. A run over a part of them is one over other labels, unless it is the part of a --limit."""
    part = labels.first(len(run.reads))
    if run.set_version != part.version:
        raise OtherSetError(run.set_version)
    return {label.id: label for label in part.labels}


# --- files ------------------------------------------------------------------------------------------------------------


def document_of(run: Run, labels: LabelledSet) -> dict[str, Json]:
    """A run's file: itself, and its figures for whoever only reads those."""
    made: dict[str, Json] = run.model_dump(mode="json")
    return made | {"figures": figures_of(run, labels).document()}


def read_run(path: Path) -> Run:
    """A run from its file. NoRunError."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return Run.model_validate_json(json.dumps({name: found[name] for name in Run.model_fields if name in found}))
    except (OSError, ValueError, TypeError) as exc:
        raise NoRunError(str(path)) from exc


# --- for people -------------------------------------------------------------------------------------------------------


def show(run: Run, labels: LabelledSet, screen: Screen) -> None:
    """The whole report."""
    figures = figures_of(run, labels)
    screen.print(_heading(run, screen))
    screen.print()
    screen.table(
        ["", *(screen.say(f"eval.group.{group}") for group in WHOLE)],
        [
            [_measure(name, screen), *(Cell(_long(groups[g]), _colour(name, groups[g])) for g in WHOLE)]
            for name, groups in figures.shares.items()
        ],
    )
    screen.print()
    families = [group for group in figures.shares["valid"] if group not in WHOLE]
    screen.table(
        [screen.say("eval.family"), *(screen.say(f"eval.{name}.short") for name in MEASURES)],
        [
            [
                Cell(screen.say(f"eval.family.{family}")),
                *(Cell(_brief(figures.shares[n][family]), _colour(n, figures.shares[n][family])) for n in MEASURES),
            ]
            for family in families
        ],
    )
    screen.print()
    for name in MEASURES:
        screen.tell(f"eval.{name}.means")
    _show_rest(run, labels, figures, screen)


def _show_rest(run: Run, labels: LabelledSet, figures: Figures, screen: Screen) -> None:
    screen.print()
    outcomes = ", ".join(
        f"{screen.say(f'eval.outcome.{outcome}')} {count}" for outcome, count in figures.outcomes.items() if count
    )
    screen.tell("eval.outcomes", outcomes=outcomes)
    document = figures.document()
    if run.provider != RULES:
        screen.tell(
            "eval.cost", usd=document["usd"], per_thousand=document["usd_per_1000"], escalated=figures.escalated
        )
    if figures.p50 is not None and figures.p95 is not None:
        screen.tell("eval.latency", p50=figures.p50, p95=figures.p95, pack=run.pack_tasks)
    for name, question in (("false_low", _is_false_low), ("valid", _is_wrong)):
        by_id = _labels_of(run, labels)
        ids = [read.id for read in run.reads if question(by_id[read.id], read, run)]
        if ids:
            more = f" … (+{len(ids) - SHOWN})" if len(ids) > SHOWN else ""
            screen.tell(f"eval.{name}.ids", ids=", ".join(ids[:SHOWN]) + more)


def _is_false_low(label: Label, read: Read, run: Run) -> bool:
    return bool(MEASURES["false_low"](label, read, run.autorun))


def _is_wrong(label: Label, read: Read, run: Run) -> bool:
    return MEASURES["valid"](label, read, run.autorun) is False


def compare(first: Run, second: Run, labels: LabelledSet, screen: Screen) -> dict[str, Json]:
    """Two runs over the same labels, pair by pair; also as a document. OtherSetError."""
    if first.set_version != second.set_version:
        raise OtherSetError(second.set_version)
    by_id = _labels_of(first, labels)
    of_first, of_second = figures_of(first, labels), figures_of(second, labels)
    others = {read.id: read for read in second.reads}
    rows: list[Sequence[Cell]] = []
    document: dict[str, Json] = {}
    for name, measure in MEASURES.items():
        split = paired(
            (measure(by_id[read.id], read, first.autorun), measure(by_id[read.id], others[read.id], second.autorun))
            for read in first.reads
        )
        shares = of_first.shares[name]["all"], of_second.shares[name]["all"]
        document[name] = {
            "a": _share(shares[0]), "b": _share(shares[1]), "only_a": split.only_first, "only_b": split.only_second,
            "p": split.p, "verdict": _verdict(name, split),
        }  # fmt: skip
        verdict = screen.say(f"eval.verdict.{_verdict(name, split)}")
        counts = f"{split.only_first} / {split.only_second}"
        rows.append(
            [_measure(name, screen), *(Cell(_long(share)) for share in shares), Cell(counts), Cell(f"{split.p:.3f}"),
             Cell(verdict)]
        )  # fmt: skip
    for letter, run in (("A", first), ("B", second)):
        screen.print(f"{letter}: {_heading(run, screen)}")
    screen.print()
    screen.table(["", "A", "B", *(screen.say(f"eval.compare.{head}") for head in ("only", "p", "verdict"))], rows)
    screen.print()
    for letter, figures in (("A", of_first), ("B", of_second)):
        shown = figures.document()
        screen.tell(
            "eval.compare.cost", letter=letter, per_thousand=shown["usd_per_1000"], p50=figures.p50 or 0.0,
            p95=figures.p95 or 0.0,
        )  # fmt: skip
        document[f"figures_{letter.lower()}"] = shown
    screen.tell("eval.compare.test")
    return document


def _verdict(name: str, split: Paired) -> str:
    if split.p >= SIGNIFICANT:
        return "open"
    second_has_more = split.only_second > split.only_first
    return "better" if second_has_more is (name in WANTED) else "worse"


def _heading(run: Run, screen: Screen) -> str:
    models = ", ".join(filter(None, (run.model, run.strong_model)))
    return screen.say(
        "eval.heading",
        who=" ".join(filter(None, (run.provider, models))),
        tasks=len(run.reads),
        version=run.set_version,
        prompt=run.prompt_version or "-",
        at=f"{run.began_at:%Y-%m-%d %H:%M}Z",
        autorun=screen.name("risk", run.autorun),
    )


def _measure(name: str, screen: Screen) -> Cell:
    return Cell(screen.say(f"eval.{name}"))


def _long(share: Share) -> str:
    """How many of how many, and between which percents that lies."""
    if not share.of:
        return "-"
    low, high = share.interval
    return f"{share.yes}/{share.of} {low * 100:.1f}-{high * 100:.1f}%"


def _brief(share: Share) -> str:
    return f"{share.yes}/{share.of}" if share.of else "-"


def _colour(name: str, share: Share) -> str:
    return "red" if name == "false_low" and share.yes else ""
