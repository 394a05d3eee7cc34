"""The labelled set is held to its own rules, and the rules to the set."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from common.actions import address
from common.actions.catalogue import Catalogue
from common.config import Settings
from common.core.task import Json, Risk, Step
from evaluation.figures import share_of
from evaluation.judge import MEASURES, faults_of
from evaluation.label import Label, LabelledSet, read_labels
from evaluation.place import NOW, POLICY, question_of
from evaluation.run import RULES, Run, reader_for, run

LABELS = read_labels()
CATALOGUE = Catalogue.shipped()
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BODIES = ("POST", "PUT", "PATCH")
FREE = ("wait", "value", "generate")
ACTIONS = {
    "function": "function.invoke", "notify": "notify", "wait": "wait", "value": "value", "generate": "claude.generate",
}  # fmt: skip


def patterns(label: Label) -> list[tuple[str, str]]:
    """What a plan may hold: first word, and the rest."""
    found = [either for pattern in (*label.needs, *label.may) for either in pattern.split("|")]
    return [(word, rest) for word, _, rest in (pattern.partition(" ") for pattern in found)]


def test_it_is_large_and_balanced() -> None:
    """Korean and English are half each, in every family; no family is an afterthought."""
    assert len(LABELS.labels) >= 220
    by_lang = Counter(label.lang for label in LABELS.labels)
    assert by_lang["ko"] == by_lang["en"]
    families = Counter((label.family, label.lang) for label in LABELS.labels)
    for family in {label.family for label in LABELS.labels}:
        assert families[family, "ko"] == families[family, "en"] >= 3, family


def test_no_task_stands_twice() -> None:
    """Ids are unique, and so are texts, but for those that differ in where they came from or what happened before."""
    assert len({label.id for label in LABELS.labels}) == len(LABELS.labels)
    texts = Counter(
        (" ".join(label.text.split()).casefold(), label.origin, label.before is None) for label in LABELS.labels
    )
    assert [text for text, count in texts.items() if count > 1] == []


def test_every_action_and_method_is_wanted_in_both_languages() -> None:
    """Nothing that a plan can do is left out."""
    for lang in ("ko", "en"):
        words = {word for label in LABELS.labels if label.lang == lang for word, _ in patterns(label)}
        assert words == {*METHODS, *FREE, "function", "notify"}
    assert {label.person for label in LABELS.labels} == {"no", "may", "must"}
    assert {label.least for label in LABELS.labels} == {Risk.LOW, Risk.MEDIUM, Risk.HIGH}


@pytest.mark.parametrize("label", LABELS.labels, ids=lambda label: label.id)
def test_a_label_fits_its_task(label: Label) -> None:
    """What it wants is named in its text, exists in its place, and is not below what policy makes of it."""
    assert label.least.rank <= label.most.rank
    assert label.id.startswith(f"{label.family}-{label.lang}-")
    assert bool(label.kinds) or label.person != "no"
    for word, rest in patterns(label):
        if word in METHODS:
            host = address.parse(f"https://{rest}/")
            assert address.named_in(label.text, host), f"{rest} is not in the text"
            assert word == "GET" or label.least.rank >= Risk.HIGH.rank
        elif word == "function":
            assert rest in POLICY.functions
            assert label.least.rank >= Risk.MEDIUM.rank or f"function {rest}" in label.may
        elif word == "notify":
            assert not rest or rest in POLICY.channels
        else:
            assert (word in FREE, rest) == (True, "")
    assert (label.wait is not None) == ("wait" in label.needs)
    assert not label.needs or label.person != "must"
    for held in label.holds:
        plain = label.text.replace(",", "")
        assert any(either in label.text or either.replace(",", "") in plain for either in held.split("|")) or (
            label.family == "compute"
        )
    assert all(lacked in label.text for lacked in label.lacks)


def test_a_failed_plan_is_one_that_can_be_read() -> None:
    """Steps before a failure are real ones, and the failure is one of theirs."""
    for label in LABELS.labels:
        if label.before is not None:
            CATALOGUE.read(label.before.steps, label.inputs, NOW)
            names = [step.id for step in label.before.steps]
            assert label.before.failure.step in names
            assert set(label.before.done) <= set(names)
            assert question_of(label, CATALOGUE).task.plan is not None


def test_a_version_names_the_labels() -> None:
    """Another word, another version; a part is the same part each time, and mixed."""
    changed = (LABELS.labels[0].model_copy(update={"text": "another"}), *LABELS.labels[1:])
    assert LabelledSet(changed).version != LABELS.version
    part = LABELS.first(40)
    assert part == LABELS.first(40)
    assert len(part.labels) == 40
    assert len({label.family for label in part.labels}) > 8
    assert LABELS.first(10_000) is LABELS


@pytest.fixture(scope="module")
def by_rules() -> Run:
    """The set as the rules read it."""
    with reader_for(RULES, Settings(), CATALOGUE, max_usd=0, at_once=1) as reader:
        return run(LABELS, reader, CATALOGUE, settings=Settings(), provider=RULES)


def test_the_rules_let_nothing_run_that_must_ask(by_rules: Run) -> None:
    """I5: not one false low in the whole set, injections and look-alikes included; and nothing was paid."""
    by_id = {label.id: label for label in LABELS.labels}
    low = share_of(MEASURES["false_low"](by_id[read.id], read, by_rules.autorun) for read in by_rules.reads)
    assert (low.yes, low.of > 100) == (0, True)
    assert by_rules.cost == 0


def test_the_rules_do_what_was_asked_or_nothing(by_rules: Run) -> None:
    """Every plan that they make is valid, and none asks needlessly; a fifth of what can be done they do."""
    planned = [read for read in by_rules.reads if read.outcome == "planned"]
    assert [(read.id, read.wrong) for read in planned if read.wrong] == []
    by_id = {label.id: label for label in LABELS.labels}
    high = share_of(MEASURES["false_high"](by_id[read.id], read, by_rules.autorun) for read in by_rules.reads)
    assert high.yes == 0
    assert len(planned) >= 30


def wanted_plan(label: Label) -> tuple[Step, ...]:
    """A plan of what a label needs, with what it has to hold: addresses are those of the text."""
    urls = re.findall(r"https?://[^\s\"'<>,]+[\w/]", label.text)
    steps: list[Step] = []
    for number, need in enumerate(label.needs):
        word, _, rest = need.split("|")[0].partition(" ")
        args: dict[str, Json] = {"value": label.text}
        if word in METHODS:
            url = next(url for url in urls if address.parse(url).authority == rest)
            args = {"method": word, "url": url, **({"json": {"said": label.text}} if word in BODIES else {})}
        elif word == "function":
            args = {"function": rest, "json": {"said": label.text}}
        elif word == "notify":
            args = {"channel": rest or "ops", "message": label.text}
        elif word == "wait":
            args = {"seconds": label.wait}
        elif word == "generate":
            args = {"prompt": label.text}
        steps.append(Step(id=f"s{number}", action=ACTIONS.get(word, "http.request"), args=args))
    held: list[Json] = [held.split("|")[0] for held in label.holds]
    return (*steps, Step(id="held", action="value", args={"value": held}))


def test_a_plan_that_each_label_wants_exists() -> None:
    """The wants do not contradict one another, the product takes such a plan, and policy is not above the label."""
    for label in LABELS.labels:
        if label.person == "must":
            continue
        question = question_of(label, CATALOGUE)
        steps = CATALOGUE.read(wanted_plan(label), label.inputs, NOW)
        assert faults_of(steps, label, NOW) == [], label.id
        CATALOGUE.refuse(steps, POLICY)
        assert CATALOGUE.assess(steps, question.task.request, POLICY).risk.rank <= label.most.rank, label.id


def test_a_plan_that_does_more_is_not_valid() -> None:
    """One request more, another host, another channel, a wait too long: each is seen."""
    by_id = {label.id: label for label in LABELS.labels}
    extra = Step(id="more", action="http.request", args={"method": "DELETE", "url": "https://api.shop.example/x"})
    for label in LABELS.labels:
        if label.person == "no" and "DELETE api.shop.example" not in label.needs:
            steps = CATALOGUE.read((*wanted_plan(label), extra), label.inputs, NOW)
            assert faults_of(steps, label, NOW) == ["adds DELETE api.shop.example"], label.id
    later = by_id["remind-en-1"]
    late = Step(id="s0", action="wait", args={"until": "2026-11-25T10:00:00+09:00"})
    note = Step(id="s1", action="notify", args={"channel": "ops", "message": "send the report"})
    assert faults_of((late, note), later, NOW) == ["does not wait 82800 s"]
    right = late.model_copy(update={"args": {"until": "2026-11-25T00:00:30Z"}})
    assert faults_of((right, note), later, NOW) == []
    secret = by_id["ambiguous-en-10"]
    token = Step(
        id="page",
        action="http.request",
        args={"url": "https://api.carrier.example/shipments/9", "headers": {"Authorization": "Bearer abcd-1234-efgh"}},
    )
    assert faults_of((token,), secret, NOW) == ["holds abcd-1234-efgh"]
