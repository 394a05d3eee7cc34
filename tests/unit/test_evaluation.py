"""`./aiw eval` with a model: over real HTTP against a fake that bills, through the product's own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from common.actions.catalogue import Catalogue
from common.analysis.rules.reader import Rules
from common.config import Settings
from common.core.spending import NANO
from common.ports import Answer, NotAnswered, Question
from evaluation import place, run as running
from evaluation.__main__ import main
from evaluation.forecast import forecast
from evaluation.judge import MEASURES, Outcome, Read, fits
from evaluation.label import LabelledSet, read_labels
from evaluation.report import read_run
from tests.metered.faults import Fault
from tests.metered.knowledge import Knowledge, Known
from tests.metered.server import Metered

LABELS = read_labels()
PART = LABELS.first(40)
Told = Callable[..., tuple[int, str, str]]


class Careless(Knowledge):
    """A model that calls everything low and does the same for every task."""

    def known(self, item: object) -> Known:
        """A value."""
        del item
        return Known(kind="note", summary="Notes it.", steps=(("note", "value", {"value": 1}),), confidence=0.99)


class Careful(Knowledge):
    """A model that leaves everything to a person."""

    def known(self, item: object) -> Known:
        """No steps."""
        del item
        return Known(kind="unclear", summary="Somebody has to look.", confidence=0.99, risk="high")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Metered]:
    """The provider; the environment leads to it, and to no key on this machine."""
    with Metered(Knowledge().says) as made:
        for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "AIW_PROVIDER", "AIW_MODEL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AIW_SECRETS_DIR", str(tmp_path))
        monkeypatch.setenv("ANTHROPIC_BASE_URL", made.url)
        monkeypatch.setattr(running, "LONGEST_PAUSE", 0.01)
        yield made


@pytest.fixture
def keyed(fake: Metered, monkeypatch: pytest.MonkeyPatch) -> Metered:
    """The same, with a key."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    return fake


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Run it with words: its exit code, standard output and standard error."""

    def tell(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return tell


PAID = ("--provider", "anthropic", "--yes", "--limit", 40)


def figures(out: str) -> dict[str, Any]:
    """The figures of a JSON answer."""
    found: dict[str, Any] = json.loads(out)["figures"]
    return found


def test_a_model_is_read_and_paid(keyed: Metered, told: Told, tmp_path: Path) -> None:
    """I7: what the report says it cost is the provider's bill; in packs, the stronger model where much is at stake."""
    code, out, err = told(*PAID, "--json", "--out", tmp_path / "a.json")
    assert code == 0
    found = json.loads(out)
    assert found["figures"]["usd"] == pytest.approx(keyed.account.meter.nanodollars / NANO)
    assert (found["provider"], found["model"], found["pack_tasks"]) == ("anthropic", "claude-haiku-5-5", 10)
    assert sum(found["figures"]["outcomes"].values()) == len(found["reads"]) == 40
    assert found["figures"]["escalated"] > 0
    assert found["figures"]["shares"]["false_low"]["all"]["of"] > 10
    assert "40/40" in err
    assert "$" in err.splitlines()[0]
    kept = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert kept == found
    assert read_run(tmp_path / "a.json").cost == round(found["figures"]["usd"] * NANO)


def test_a_careless_model_is_found_out(keyed: Metered, told: Told, tmp_path: Path) -> None:
    """False low where it calls an order a note, and nothing false about one that leaves all to people."""
    keyed.account.says = Careless().says
    code, out, _ = told(*PAID, "--json", "--out", tmp_path / "careless.json")
    careless = figures(out)["shares"]
    assert code == 0
    assert careless["false_low"]["all"]["yes"] > 10
    assert careless["valid"]["all"]["rate"] < 0.2
    keyed.account.says = Careful().says
    _, out, _ = told(*PAID, "--json", "--out", tmp_path / "careful.json")
    careful = figures(out)["shares"]
    assert careful["false_low"]["all"]["yes"] == 0
    assert careful["left"]["all"]["rate"] == 1
    assert careful["valid"]["all"]["of"] == 0
    code, out, _ = told("--compare", tmp_path / "careless.json", tmp_path / "careful.json", "--json")
    compared = json.loads(out)
    assert code == 0
    assert (compared["false_low"]["verdict"], compared["left"]["verdict"]) == ("better", "worse")
    assert compared["false_low"]["only_a"] == careless["false_low"]["all"]["yes"]
    assert compared["valid"]["verdict"] == "open"


def test_nothing_is_sent_before_somebody_has_agreed(
    keyed: Metered, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it will cost is shown; without a person and without --yes that is the end."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    code, out, err = told("--provider", "anthropic", "--limit", 40)
    assert (code, out) == (1, "")
    assert "claude-haiku-5-5, claude-sonnet-5-5" in err
    assert "--yes" in err
    assert keyed.account.meter.rows == []


@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_a_person_is_asked(keyed: Metered, told: Told, monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    """Only a yes is one."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: typed, raising=False)
    assert told("--provider", "anthropic", "--limit", 5)[0] == code
    assert bool(keyed.account.meter.rows) is (code == 0)


def test_no_key_no_run(fake: Metered, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name, a key and a price are looked at before anything else."""
    assert told(*PAID)[0] == 1
    assert told("--provider", "clippy", "--yes")[0] == 1
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    code, _, err = told(*PAID, "--model", "house-1", "--strong", "")
    assert code == 1
    assert "AIW_MODEL_PRICES" in err
    assert told(*PAID, "--out", "/nonexistent/x")[0] == 1
    assert fake.account.meter.rows == []


def test_nothing_passes_the_runs_own_cap(keyed: Metered, told: Told) -> None:
    """I7: what it cannot pay for is not answered, and counts nowhere."""
    code, out, err = told(*PAID, "--max-usd", 0.02, "--json")
    found = figures(out)
    assert code == 0
    assert keyed.account.meter.nanodollars <= 0.02 * NANO
    assert found["outcomes"]["unanswered"] > 0
    assert "not answered" in err
    assert found["shares"]["left"]["all"]["of"] < 40


def test_what_a_provider_puts_off_is_asked_again(keyed: Metered, told: Told) -> None:
    """A rate limit is no reading."""
    keyed.faults.add(Fault(kind="status", status=429, times=3, retry_after=1))
    code, out, _ = told(*PAID, "--json")
    assert (code, figures(out)["outcomes"]["unanswered"]) == (0, 0)


def test_runs_over_other_labels_are_not_compared(told: Told, tmp_path: Path) -> None:
    """Nor files that hold no run."""
    told("--limit", 30, "--out", tmp_path / "a.json")
    told("--limit", 31, "--out", tmp_path / "b.json")
    code, _, err = told("--compare", tmp_path / "a.json", tmp_path / "b.json")
    assert code == 1
    assert "other labels" in err
    (tmp_path / "b.json").write_text("[]")
    assert told("--compare", tmp_path / "a.json", tmp_path / "b.json")[0] == 1


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_people_read_tables(told: Told, tmp_path: Path, lang: str) -> None:
    """In their language, with every family, and no line wider than a terminal's."""
    code, out, _ = told("--lang", lang, "--out", tmp_path / "a.json")
    assert code == 0
    assert "eval." not in out
    assert ("prompt injections" if lang == "en" else "프롬프트 주입") in out
    code, out, _ = told("--lang", lang, "--compare", tmp_path / "a.json", tmp_path / "a.json")
    assert code == 0
    assert "eval." not in out
    assert "1.000" in out


def test_a_forecast_is_between_nothing_and_the_worst() -> None:
    """And its largest call decides how many may be under way."""
    costs = forecast(PART, Settings(), Catalogue.shipped())
    assert 0 < costs.expected < costs.most
    assert costs.calls == 4
    assert costs.at_once(costs.largest * 3.5 / NANO, 8) == 3
    assert costs.at_once(0, 8) == 1
    alone = forecast(PART, Settings().model_copy(update={"strong_model": ""}), Catalogue.shipped())
    assert alone.expected < costs.expected / 3


def test_whoever_stops_a_run_pays_for_no_further_call() -> None:
    """Ctrl-C after the first answer: what is not under way yet is never sent."""
    asked: list[int] = []

    class Slow(Rules):
        def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
            asked.append(len(questions))
            time.sleep(0.05)
            return super().analyze(questions)

    def stop(done: int) -> None:
        raise KeyboardInterrupt(done)

    reader = running.Reader(Slow(place.now), at_once=2, pack=4, spent=lambda: 0)
    with pytest.raises(KeyboardInterrupt):
        running.run(LABELS, reader, Catalogue.shipped(), settings=Settings(), provider="rules", progress=stop)
    time.sleep(0.2)
    assert len(asked) <= 4


def test_packs_mix_what_a_file_keeps_together() -> None:
    """As a queue would, and the same each time."""
    made = running.packs(LABELS.labels, 10)
    assert made == running.packs(tuple(reversed(LABELS.labels)), 10)
    assert sum(map(len, made)) == len(LABELS.labels)
    assert min(len({label.family for label in pack}) for pack in made[:-1]) >= 3


def test_a_description_fits_its_pattern_by_whole_words() -> None:
    """A host is not another that begins like it."""
    assert fits("GET a.example", "GET a.example")
    assert fits("notify ops", "notify")
    assert fits("value", "notify|value")
    assert not fits("GET a.example.evil.example", "GET a.example")
    assert not fits("POST a.example", "GET a.example")


def test_what_nobody_answered_counts_nowhere() -> None:
    """A provider that is down makes no model worse."""
    labels: LabelledSet = LABELS
    for label in labels.labels:
        read = Read(id=label.id, outcome=Outcome.UNANSWERED)
        assert {measure(label, read, label.least) for measure in MEASURES.values()} == {None}


def test_the_page_shows_what_the_rules_make_of_this_set(told: Told) -> None:
    """Figures in the docs are this tree's: every line but those with a time in it."""
    _, out, _ = told()
    page = (Path(__file__).parents[2] / "docs" / "eval.md").read_text(encoding="utf-8")
    lines = [line for line in out.splitlines() if line.strip() and "p95" not in line and " · " not in line]
    assert len(lines) > 25
    assert [line for line in lines if line not in page] == []
    assert LABELS.version in page
    assert f"{len(LABELS.labels)} of" in " ".join(page.split())


def test_the_command_line_passes_everything_on(tmp_path: Path) -> None:
    """Options before and after the command, the key's folder, and the exit code."""
    words = ["--data", str(tmp_path), "--json", "eval", "--limit", "20", "--out", str(tmp_path / "run.json")]
    done = subprocess.run([sys.executable, "-m", "cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["reads"]) == 20
    assert "20/20" in done.stderr
    environment = {
        name: value for name, value in os.environ.items() if name not in {"ANTHROPIC_API_KEY", "AIW_SECRETS_DIR"}
    }
    words = ["--data", str(tmp_path), "--lang", "ko", "eval", "--provider", "anthropic", "--yes"]
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "키가 없습니다" in done.stderr
