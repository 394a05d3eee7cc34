"""What `rules` takes and what it leaves to a person."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from common.actions.catalogue import Catalogue
from common.analysis.rules.reader import Rules, recipes
from common.core.task import Attempt, Effect, OutcomeKind, Plan, Risk, Step
from common.ports import Answer, NotAnswered, Question
from tests.unit.wordings import NOW, SEOUL, TAKEN, ask, kind_of, read, steps_of, task_of


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in TAKEN.items() for text in texts])
def test_an_ordinary_wording_is_taken_by_its_recipe(kind: str, text: str) -> None:
    """Polite, terse, Korean or English: the same recipe takes it."""
    assert kind_of(text) == kind


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_example_that_is_shown_works_as_shown(lang: str) -> None:
    """What `./aiw recipes` prints can be pasted back, and each is taken by the recipe that it stands under."""
    shown = recipes(lang)
    assert len(shown) == 8
    assert [kind_of(recipe.example) for recipe in shown] == [recipe.id for recipe in shown]
    assert all(recipe.name and recipe.sentence for recipe in shown)


def test_the_steps_of_each_recipe() -> None:
    """Plain actions with plain arguments, and references only where a result belongs."""
    get = ("http.request", {"method": "GET", "url": "https://a.example/x"})
    assert steps_of("fetch https://a.example/x") == [get]
    assert steps_of("is https://a.example/x up?") == [
        get,
        ("value", {"value": {"url": "https://a.example/x", "status": {"$ref": "steps.check.status"}}}),
    ]
    assert steps_of("extract data.price from https://a.example/x") == [
        get,
        ("value", {"value": {"$ref": "steps.page.json.data.price"}}),
    ]
    assert steps_of('POST {"n": 1.5} to https://a.example/x') == [
        ("http.request", {"method": "POST", "url": "https://a.example/x", "json": {"n": 1.5}})
    ]
    assert steps_of('POST "n: 1" to https://a.example/x') == [
        ("http.request", {"method": "POST", "url": "https://a.example/x", "body": "n: 1"})
    ]
    assert steps_of('run ocr with {"page": 3}') == [("function.invoke", {"function": "ocr", "json": {"page": 3}})]
    assert steps_of("wait 90 seconds then fetch https://a.example/x") == [("wait", {"seconds": 90}), get]
    compared = steps_of("compare https://a.example/x with https://a.example/y")
    assert compared is not None
    assert [action for action, _ in compared] == ["http.request", "http.request", "value"]


def test_a_reminder_goes_to_the_configured_channel_or_stays_as_the_result() -> None:
    """Without a channel the message is the task's result; a channel that is named but gone counts as none."""
    text = "10분 뒤에 물 마시라고 알려줘"
    wait = ("wait", {"seconds": 600})
    assert steps_of(text) == [wait, ("value", {"value": "물 마시라"})]
    told = SEOUL.model_copy(update={"notify": "ops", "channels": {"ops": "https://hooks.example/1"}})
    assert steps_of(text, told) == [wait, ("notify", {"channel": "ops", "message": "물 마시라"})]
    gone = SEOUL.model_copy(update={"notify": "ops"})
    assert steps_of(text, gone) == [wait, ("value", {"value": "물 마시라"})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3시에 회의 있다고 알려줘", "회의 있다"),
        ("3시에 회의를 상기시켜줘", "회의"),
        ("3시에 점심 먹자고 알려줘", "점심 먹자"),
        ("remind me at 3pm about the invoice", "the invoice"),
        ("remind me at 3pm that rent is due, please", "rent is due"),
        ('remind me at 3pm "no, really: at 4!"', "no, really: at 4!"),
    ],
)
def test_a_reminders_message_is_what_was_said(text: str, message: str) -> None:
    """Without the particle or ending that ties it to the verb; a quotation word for word."""
    steps = steps_of(text)
    assert steps is not None
    assert steps[-1] == ("value", {"value": message})


def test_what_has_no_recipe_goes_to_a_person_with_the_nearest_named() -> None:
    """By name, in the requester's language, and never again by itself."""
    answer = read(Question(task=task_of("회식 장소 알아봐줘", "ko"), policy=SEOUL))
    assert isinstance(answer, NotAnswered)
    assert (answer.failure.code, answer.again_in) == ("no_recipe", None)
    assert answer.failure.detail == "페이지 가져오기"
    close = ask("post hello to https://a.example/x")
    assert isinstance(close, NotAnswered)
    assert close.failure.detail == "POST something"


def test_rules_claim_no_risk_and_have_no_model() -> None:
    """I5: policy alone sets the risk of what a recipe made."""
    answer = ask("fetch https://a.example/x")
    assert isinstance(answer, Answer)
    assert (answer.risk, answer.source, answer.cost) == (None, "rules", 0)
    assert Rules.has_model is False


def _attempt(step: str, outcome: OutcomeKind | None) -> Attempt:
    return Attempt(
        step_id=step, number=1, plan_number=1, lease_no=1, effect=Effect.IDEMPOTENT, idempotency_key="k",
        args_sha256="h", outcome=outcome,
    )  # fmt: skip


def test_steps_that_an_earlier_plan_began_are_not_planned_again() -> None:
    """I6: what is done or unknown is kept in front by the caller; a recipe answers with the rest, or not at all."""
    text = "extract data.price from https://a.example/x"
    first = ask(text)
    assert isinstance(first, Answer)
    plan = Plan(
        number=1, steps=first.steps, source="rules", risk_floor=Risk.LOW, risk=Risk.LOW, needs_approval=False,
        policy_version=1,
    )  # fmt: skip
    begun = Question(task=task_of(text, plan=plan, trail=(_attempt("page", OutcomeKind.DONE),)), policy=SEOUL)
    rest = read(begun)
    assert isinstance(rest, Answer)
    assert [step.id for step in rest.steps] == ["field"]
    other = plan.model_copy(update={"steps": (Step(id="page", action="value", args={"value": 1}), *first.steps[1:])})
    clash = Question(task=task_of(text, plan=other, trail=(_attempt("page", None),)), policy=SEOUL)
    assert isinstance(read(clash), NotAnswered)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "?", "https://a.example/x", "fetch", "fetch the weather", "x" * 5000,
        "fetch https://a.example/x\x00", "fetch https://a.example/x\ue000", "fetch \ud800 https://a.example/x",
        "fetch https://user:secret@a.example/x", "fetch https://a.example:99999/x", "fetch https:///x", "fetch ftp://a.example/x",
        "fetch https://a.example/{id}", 'post {"a": NaN} to https://a.example/x',
    ],
)  # fmt: skip
def test_what_is_no_plain_sentence_is_left_to_a_person(text: str) -> None:
    """I11 among others: an address with a password in it never becomes a plan."""
    assert kind_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "remind me at 3pm to " + "a " * 1900, "지금 " * 1300, "https://a.example " + "좀 " * 1300, "please " * 500,
        '{"a":' * 700, "at 3pm " * 500, "1 hour " * 560, "https://a.example" + "." * 3900, "'" * 3999,
        "[" * 3900, "한 시간 " * 700,
        "compare https://a.example " * 150,
    ],
)  # fmt: skip
def test_a_hostile_text_costs_no_time(text: str) -> None:
    """No pattern backtracks without end: the slowest of these takes 25 ms, a hang would take minutes."""
    began = time.perf_counter()
    assert kind_of(text) is None
    assert time.perf_counter() - began < 5


def test_the_page_shows_the_recipes_as_they_are() -> None:
    """`docs/analysis.md` and `./aiw recipes` show the same examples."""
    page = (Path(__file__).parents[2] / "docs" / "analysis.md").read_text("utf-8")
    for lang in ("en", "ko"):
        for recipe in recipes(lang):
            assert f"`{recipe.id}`" in page
            assert f"`{recipe.example}`" in page


@pytest.mark.parametrize("text", [text for texts in TAKEN.values() for text in texts])
def test_what_a_recipe_makes_is_what_the_actions_take(text: str) -> None:
    """Every plan is read by the real catalogue, and none names a target that is never allowed."""
    listed = {"ocr": SEOUL.functions["ocr"], "thumbnails": SEOUL.functions["ocr"]}
    policy = SEOUL.model_copy(update={"functions": listed})
    answer = ask(text, policy)
    assert isinstance(answer, Answer)
    catalogue = Catalogue.shipped()
    assert catalogue.read(answer.steps, {}, NOW) == answer.steps
    catalogue.refuse(answer.steps, policy)


def test_a_fetch_of_a_named_host_runs_by_itself_and_a_post_waits() -> None:
    """The shipped floors over what the recipes make."""
    catalogue = Catalogue.shipped()
    risks = {}
    for text in ("fetch https://a.example/x", 'POST {"order": 17} to https://a.example/x'):
        answer = ask(text)
        assert isinstance(answer, Answer)
        verdict = catalogue.assess(answer.steps, task_of(text).request, SEOUL, claimed=answer.risk)
        risks[answer.kind] = (verdict.risk, verdict.needs_approval)
    assert risks == {"fetch": (Risk.LOW, False), "post": (Risk.HIGH, True)}
