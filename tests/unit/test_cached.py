"""The analyzer that remembers, over memory: what is paid once, shared with whom, and what is asked again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.actions.catalogue import Catalogue
from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.front import MemoryFront
from common.adapters.memory.store import MemoryStore
from common.analysis.cache.cached import Cached
from common.analysis.cache.entry import answer_from, document_of
from common.analysis.cache.shelf import FLIGHT, Memory, Shelf
from common.analysis.packs.sample import task_chosen
from common.core.errors import StoreUnavailable
from common.core.policy import Policy
from common.core.task import Failure, Json, Plan, Request, Risk, State, Step, Task
from common.metrics import Metrics
from common.ports import Answer, NotAnswered, Question, Remembered, Use
from common.telemetry import metrics

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CALL = UUID(int=77)
_ids = itertools.count(1)

Says = Callable[[Question], Answer | NotAnswered]


def fetches(url: str = "https://example.com/", **other: Any) -> Answer:  # noqa: ANN401 - any field of an answer
    """An answer of a model."""
    steps = (Step(id="page", action="http.request", args={"method": "GET", "url": url}),)
    said = {"kind": "fetch_page", "steps": steps, "source": "claude", "risk": Risk.LOW, "confidence": 0.9, "cost": 100}
    return Answer(**{**said, "priority": 7, "summary": "Fetches the page.", **other})


@dataclass
class Model:
    """Who is asked and paid."""

    says: Says = lambda _: fetches()
    has_model: bool = True
    asked: list[list[Question]] = field(default_factory=list)

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Nothing."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """As told."""
        self.asked.append(list(questions))
        return [self.says(question) for question in questions]

    @property
    def tasks(self) -> int:
        """How many were asked."""
        return sum(map(len, self.asked))


class Ground:
    """One store, and as many processes as a test wants."""

    def __init__(self) -> None:
        """Empty."""
        self.time = NOON
        self.store = MemoryStore(lambda: self.time)
        self.home = self.store.add_workspace("home")
        self.neighbour = self.store.add_workspace("neighbour")
        self.answers = MemoryAnswers(self.store)
        self.front = MemoryFront()
        self.model = Model()
        self.wrong: list[tuple[UUID, int]] = []  # what the ledger was told

    def process(self, name: str = "a", checks: float = 0.0, model: Model | None = None, **key: Any) -> Cached:  # noqa: ANN401 - parts of the key
        """A process's analyzer."""
        catalogue = Catalogue.shipped()
        parts = {"models": ("small", "strong"), "prompt_version": "analysis.2", **key}
        memory = Memory(answers=self.answers, front=self.front, worker=name)
        shelf = Shelf(memory, catalogue, lambda: self.time, **parts)
        return Cached(model or self.model, shelf, catalogue, checks, lambda *wrong: self.wrong.append(wrong))

    def asks(self, text: str = "fetch https://example.com/", **other: Any) -> Question:  # noqa: ANN401 - any field of a request
        """A question of a new task."""
        home, policy = other.pop("home", self.home), other.pop("policy", Policy())
        task = {"state": State.RECEIVED, **other.pop("task", {})}
        request = Request(**{"text": text, "requested_by": UUID(int=3), **other})
        made = Task(id=UUID(int=next(_ids) << 64), workspace=home, request=request, **task)
        return Question(task=made, policy=policy)

    def rows(self, home: UUID | None = None) -> list[Remembered]:
        """What is remembered."""
        return self.answers.listed(home or self.home, 100)


@pytest.fixture
def ground() -> Ground:
    """A fresh one."""
    return Ground()


@pytest.fixture
def counted() -> Metrics:
    """The process's metrics."""
    metrics.cache_clear()
    return metrics()


def sample(counted: Metrics, name: str, **labels: str) -> float:
    """A metric's value."""
    return counted.registry.get_sample_value(name, labels) or 0.0


def test_what_was_asked_once_is_not_paid_again(ground: Ground, counted: Metrics) -> None:
    """A hit carries the reading, costs nothing, and says that it was remembered."""
    one, two = ground.process("a"), ground.process("b")
    [paid] = one.analyze([ground.asks()])
    assert (paid.cost, ground.model.tasks) == (100, 1)
    [hit] = two.analyze([ground.asks("  fetch   https://example.com/ ")])
    assert hit == fetches(source="cached", cost=0)
    assert ground.model.tasks == 1
    assert sample(counted, "aiw_cache_total", side="postgres", ended="hit") == 1
    assert sample(counted, "aiw_cache_total", side="postgres", ended="miss") == 1
    [row] = ground.rows()
    assert (row.cost, row.model, row.prompt_version) == (100, "small strong", "analysis.2")
    two.close()
    assert ground.rows()[0].hits == 1


def test_intake_finds_it_on_the_fast_side_alone(ground: Ground, counted: Metrics) -> None:
    """One look for all of a request; what the fast side lost is found by the analysis, which hands it back."""
    process = ground.process()
    assert process.recall([ground.asks(), ground.asks()]) == [None, None]
    process.analyze([ground.asks()])
    hits = process.recall([ground.asks(), ground.asks("fetch https://example.org/"), ground.asks()])
    assert hits == [fetches(source="cached", cost=0), None, fetches(source="cached", cost=0)]
    ground.front.wipe()
    assert process.recall([ground.asks()]) == [None]
    process.analyze([ground.asks()])
    assert process.recall([ground.asks()]) != [None]
    assert ground.model.tasks == 1
    assert sample(counted, "aiw_cache_total", side="redis", ended="hit") == 3
    process.close()
    assert ground.rows()[0].hits == 4


def test_fifty_equal_tasks_in_one_claim_pay_once(ground: Ground, counted: Metrics) -> None:
    """The first is asked, the others share its answer; others of the claim are asked in the same call."""
    questions = [ground.asks(f"fetch https://example.com/{n % 2}") for n in range(50)]
    ground.model.says = lambda q: fetches(str(q.task.request.text).removeprefix("fetch "))
    said = ground.process().analyze(questions)
    assert [len(asked) for asked in ground.model.asked] == [2]
    assert [answer.cost for answer in said] == [100, 100] + [0] * 48
    assert [answer.source for answer in said if isinstance(answer, Answer)] == ["claude"] * 2 + ["cached"] * 48
    urls = [answer.steps[0].args["url"] for answer in said if isinstance(answer, Answer)]
    assert urls == [f"https://example.com/{n % 2}" for n in range(50)]
    assert sample(counted, "aiw_cache_total", side="claim", ended="hit") == 48


def test_of_many_processes_at_once_one_pays(ground: Ground) -> None:
    """The others learn that somebody asks, wait about a second without a person in between, and find the answer."""
    began, answered = threading.Event(), threading.Event()

    def slowly(_: Question) -> Answer:
        began.set()
        assert answered.wait(10)
        return fetches()

    ground.model.says = slowly
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ground.process("a").analyze, [ground.asks()])
        assert began.wait(10)
        for n in range(10):
            [waits] = ground.process(f"b{n}").analyze([ground.asks()])
            assert waits == NotAnswered(
                failure=Failure(code="asked_already"), again_in=timedelta(seconds=1), waiting_for="analysis"
            )
        ground.time += timedelta(seconds=6)
        [waits] = ground.process("c").analyze([ground.asks()])
        assert waits.again_in == timedelta(seconds=3)  # type: ignore[union-attr]  # a NotAnswered, as above
        answered.set()
        assert isinstance(first.result(10)[0], Answer)
    assert isinstance(ground.process("c").analyze([ground.asks()])[0], Answer)
    assert ground.model.tasks == 1


def test_a_dead_askers_flight_ends(ground: Ground) -> None:
    """Whoever died while asking keeps others waiting for two minutes, and not for ever."""
    question = ground.asks()
    shelf = ground.process("dead")._shelf
    shelf.take(ground.home, [shelf.asking(question)])
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], NotAnswered)
    ground.time += FLIGHT
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)


@pytest.mark.parametrize(
    "said",
    [
        NotAnswered(failure=Failure(code="rate_limited"), again_in=timedelta(seconds=30), waiting_for="provider"),
        NotAnswered(failure=Failure(code="needs_person"), cost=100),
    ],
)
def test_no_answer_is_shared_in_its_claim_and_remembered_by_nobody(ground: Ground, said: NotAnswered) -> None:
    """A fault is no answer: the flight ends, equal tasks of the claim follow the first, the next claim may ask."""
    ground.model.says = lambda _: said
    assert ground.process().analyze([ground.asks(), ground.asks()]) == [said, replace(said, cost=0)]
    ground.model.says = lambda _: fetches()
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)


def test_an_error_ends_the_flight(ground: Ground) -> None:
    """What an analyzer raises is raised, and nobody waits for it."""

    def broken(_: Question) -> Answer:
        raise StoreUnavailable("gone")

    ground.model.says = broken
    with pytest.raises(StoreUnavailable):
        ground.process().analyze([ground.asks()])
    ground.model.says = lambda _: fetches()
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)


def test_what_may_not_serve_another_later_does_not_serve_another_now(ground: Ground) -> None:
    """A made up id is one task's own: each of several equal tasks is asked, and none of it is kept."""
    ids = itertools.count(100)
    ground.model.says = lambda _: fetches(f"https://example.com/{next(ids)}")
    said = ground.process().analyze([ground.asks() for _ in range(4)])
    urls = {answer.steps[0].args["url"] for answer in said if isinstance(answer, Answer)}
    assert len(urls) == 4
    assert [len(asked) for asked in ground.model.asked] == [1, 3]
    assert ground.rows() == []
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)  # nobody is left waiting


PLAN = Plan(
    number=1,
    steps=(Step(id="a", action="value", args={"value": 1}),),
    source="claude",
    risk_floor=Risk.LOW,
    risk=Risk.LOW,
    needs_approval=False,
    policy_version=1,
)


def test_only_first_readings_without_secrets_are_looked_up(ground: Ground) -> None:
    """A plan that failed is thought over; a text with a password is asked as it is and left nowhere (I11)."""
    process = ground.process()
    process.analyze([ground.asks()])
    failed = ground.asks(task={"plan": PLAN, "failure": Failure(code="http_status", step="a")})
    secret = ground.asks("log in with password hunter2x at https://example.com/")
    assert process.recall([failed, secret]) == [None, None]
    said = process.analyze([failed, secret, secret])
    assert [answer.source for answer in said if isinstance(answer, Answer)] == ["claude"] * 3
    assert [row.request for row in ground.rows()] == ["fetch https://example.com/"]


def test_a_preview_fills_and_uses_the_cache_and_is_never_a_check(ground: Ground) -> None:
    """Whoever looks before handing in pays once for both."""
    process = ground.process(checks=1.0)
    preview = replace(ground.asks(), purpose="preview")
    process.analyze([preview])
    assert process.recall([preview]) == [fetches(source="cached", cost=0)]
    assert process.analyze([preview]) == [fetches(source="cached", cost=0)]
    assert ground.model.tasks == 1


def test_workspaces_languages_models_and_prompts_share_nothing(ground: Ground) -> None:
    """I10: what another workspace, language, model, prompt or settings' name was told is asked anew."""
    ground.process().analyze([ground.asks()])
    others = [
        (ground.process(), ground.asks(home=ground.neighbour)),
        (ground.process(), ground.asks(lang="ko")),
        (ground.process(), ground.asks(inputs={"x": 1})),
        (ground.process(), ground.asks(policy=Policy(channels={"ops": "https://example.com/"}))),
        (ground.process(models=("strong",)), ground.asks()),
        (ground.process(prompt_version="analysis.3"), ground.asks()),
    ]
    for process, question in others:
        assert process.recall([question]) == [None]
        assert process.analyze([question])[0].cost == 100


def test_inputs_are_filled_in_by_each_task(ground: Ground) -> None:
    """A remembered plan refers to inputs; of a task whose inputs lack what another's had it is no hit."""
    args: dict[str, Json] = {"value": {"$ref": "inputs.order.id"}}
    ground.model.says = lambda _: fetches(steps=(Step(id="a", action="value", args=args),))
    process = ground.process()
    process.analyze([ground.asks("keep it", inputs={"order": {"id": "A1"}})])
    same = ground.asks("keep it", inputs={"order": {"id": "B2"}})
    [hit] = process.analyze([same])
    assert isinstance(hit, Answer)
    assert hit.steps[0].args == args
    process.recall([ground.asks("keep it", inputs={"order": {"id": "C3"}})])
    null = ground.asks("keep it", inputs={"order": {"id": ""}})
    assert process.analyze([null])[0].cost == 0
    ground.model.says = lambda _: fetches(source="claude")
    lacks = [ground.asks("keep", inputs={"order": [{"id": 1}]}), ground.asks("keep", inputs={"order": [{}]})]
    assert all(answer.cost == 100 for answer in process.analyze(lacks))


# --- asked again ------------------------------------------------------------------------------------------------------


def test_a_share_of_hits_is_asked_again_and_counted(ground: Ground, counted: Metrics) -> None:
    """Which ones depends on the task alone: intake leaves them to the analysis, which says why it asks."""
    ground.process().analyze([ground.asks()])
    process = ground.process(checks=0.3)
    questions = [ground.asks() for _ in range(200)]
    left = [q for q, answer in zip(questions, process.recall(questions), strict=True) if answer is None]
    assert left == [q for q in questions if task_chosen(q.task.id, 0.3)]
    assert 20 < len(left) < 100
    said = process.analyze(questions)
    assert [q.task.id for q in ground.model.asked[-1]] == [q.task.id for q in left]
    assert {q.reason for q in ground.model.asked[-1]} == {"cache_check"}
    assert sum(answer.cost for answer in said) == 100 * len(left)
    assert sample(counted, "aiw_cache_checks_total", ended="agreed") == len(left)
    process.close()
    [row] = ground.rows()
    assert (row.checks, row.disagreements) == (len(left), 0)


@pytest.mark.parametrize(
    "other",
    [fetches(risk=Risk.MEDIUM), fetches("https://example.org/"), NotAnswered(failure=Failure(code="needs_person"))],
)
def test_a_disagreement_drops_the_answer_and_is_an_alarm(
    ground: Ground, counted: Metrics, other: Answer | NotAnswered
) -> None:
    """I5: of two readings the higher risk counts; the answer serves nobody any more, on neither side."""
    ground.process().analyze([ground.asks()])
    other = replace(other, call=CALL)
    ground.model.says = lambda _: other
    process = ground.process(checks=1.0)
    [said] = process.analyze([ground.asks()])
    assert ground.wrong == [(CALL, 1)]
    if isinstance(other, Answer):
        assert isinstance(said, Answer)
        assert said.steps == other.steps
        assert said.risk is not None
        assert said.risk.rank >= Risk.MEDIUM.rank
    else:
        assert said == other
    assert sample(counted, "aiw_cache_checks_total", ended="differed") == 1
    assert ground.rows() == []
    assert ground.process().recall([ground.asks()]) == [None]


@pytest.mark.parametrize(
    "fault",
    [
        NotAnswered(failure=Failure(code="over_budget"), again_in=timedelta(minutes=15), waiting_for="budget"),
        NotAnswered(failure=Failure(code="unusable_answer"), cost=5),
        StoreUnavailable("gone"),
    ],
)
def test_a_check_that_brings_nothing_is_a_hit(
    ground: Ground, counted: Metrics, fault: NotAnswered | StoreUnavailable
) -> None:
    """With no money left, or a provider that is down, remembered plans go on; what a check cost is not forgotten."""
    ground.process().analyze([ground.asks()])

    def says(_: Question) -> NotAnswered:
        if isinstance(fault, StoreUnavailable):
            raise fault
        return fault

    ground.model.says = says
    cost = fault.cost if isinstance(fault, NotAnswered) else 0
    assert ground.process(checks=1.0).analyze([ground.asks()]) == [fetches(source="cached", cost=cost)]
    assert sample(counted, "aiw_cache_checks_total", ended="agreed") == 0
    assert len(ground.rows()) == 1


def test_a_claimed_task_is_recalled_from_the_database_too(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no money left remembered plans go on, whatever Redis has lost, whether they were to be checked or not."""
    process = ground.process(checks=1.0)
    process.analyze([ground.asks()])
    ground.front.wipe()
    claimed = ground.asks(task={"state": State.ANALYZING})
    assert process.recall([ground.asks(), claimed]) == [None, fetches(source="cached", cost=0)]

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(ground.answers, "find", gone)
    assert process.recall([claimed]) == [None]


def test_without_a_model_hits_go_on_and_nothing_is_checked(ground: Ground) -> None:
    """A key that was taken away takes no remembered plan with it."""
    ground.process().analyze([ground.asks()])
    ground.model.has_model = False
    assert ground.process(checks=1.0).analyze([ground.asks()]) == [fetches(source="cached", cost=0)]
    assert ground.model.tasks == 1


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_was_answered_in_other_ways_is_learned(ground: Ground) -> None:
    """A batch's answers are remembered by the same rules, and found without a flight."""
    process = ground.process()
    questions = [
        ground.asks(),
        ground.asks("fetch https://example.org/"),
        ground.asks("x with token abc123"),
        ground.asks(),
    ]
    assert process.known(questions) == [None] * 4
    fault = NotAnswered(failure=Failure(code="batch_expired"))
    process.learn(questions, [fetches(), fetches(), fetches(), fault])
    hit = fetches(source="cached", cost=0)
    assert process.known(questions) == [hit, None, None, hit]
    assert process.recall(questions) == [hit, None, None, hit]
    assert ground.model.tasks == 0


def test_a_remembered_answer_is_read_as_any_other() -> None:
    """I5: what is missing or odd is high, what is no plan is no hit, and nothing in it permits anything (I10)."""
    document = document_of(fetches())
    assert set(document) == {"kind", "summary", "steps", "risk", "confidence", "priority"}
    assert answer_from(document) == fetches(source="cached", cost=0)
    bare = document_of(fetches(risk=None, confidence=None, priority=None))
    assert answer_from(bare) == fetches(source="cached", cost=0, risk=Risk.HIGH, confidence=None, priority=None)
    assert answer_from({**document, "risk": "none"}) == fetches(source="cached", cost=0, risk=Risk.HIGH)
    odd: list[dict[str, Json]] = [
        {"steps": []},
        {"steps": "x"},
        {"steps": [{"id": "1!", "action": "value"}]},
        {"approved": True},
    ]
    for other in odd:
        assert answer_from({**document, **other}) is None
    assert answer_from({}) is None


def test_books_that_cannot_be_kept_cost_no_answer(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered is paid for: it counts even if the database goes away meanwhile."""

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    process = ground.process()
    for name in ("store", "let_go", "count", "drop"):
        monkeypatch.setattr(ground.answers, name, gone)
    assert process.analyze([ground.asks()])[0].cost == 100
    assert process.recall([ground.asks()]) != [None]  # the fast side has it
    process.close()


def test_counts_are_written_in_batches(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand hits are a statement or two, not a thousand."""
    writes: list[int] = []
    count = ground.answers.count

    def counting(uses: Sequence[Use]) -> None:
        writes.append(len(uses))
        count(uses)

    monkeypatch.setattr(ground.answers, "count", counting)
    process = ground.process()
    process.analyze([ground.asks()])
    for _ in range(100):
        process.recall([ground.asks() for _ in range(10)])
    process.close()
    assert ground.rows()[0].hits == 1000
    assert 1 <= len(writes) <= 2


def test_nothing_asked_is_nothing_done(ground: Ground) -> None:
    """An empty batch."""
    process = ground.process()
    assert (process.analyze([]), process.recall([]), process.known([])) == ([], [], [])
    process.learn([], [])
    process.close()
