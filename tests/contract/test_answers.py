"""Answers: what was asked once is remembered, and of many that ask at once one does."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from common.core.task import Json
from common.ports import Asking, Flight, Learned, Remembered, Use
from tests.contract.ground import Ground

SPAN = timedelta(minutes=2)
MONTH = timedelta(days=30)
ANSWER: dict[str, Json] = {"kind": "fetch", "steps": [{"id": "one", "action": "value", "args": {"value": "값 \x00 <"}}]}


def key_of(name: str) -> str:
    """A key."""
    return hashlib.sha256(name.encode()).hexdigest()


def asking(name: str) -> Asking:
    """A request about to be asked."""
    return Asking(key=key_of(name), request=f"the text of {name}", prompt_version="analysis.1", model="small+strong")


def learned(name: str, cost: int = 7) -> Learned:
    """What it was answered."""
    one = asking(name)
    return Learned(
        key=one.key, request=one.request, prompt_version=one.prompt_version, model=one.model, answer=ANSWER, cost=cost
    )


def take(ground: Ground, name: str, by: str = "a", home: UUID | None = None) -> Remembered | Flight:
    """One key's answer, or flight."""
    return ground.answers.take(home or ground.home, [asking(name)], by, SPAN)[key_of(name)]


def remembered(ground: Ground, name: str) -> Remembered:
    """One key's answer."""
    found = take(ground, name)
    assert isinstance(found, Remembered), found
    return found


def is_mine(found: Remembered | Flight) -> bool:
    """Whether the caller is to ask."""
    return isinstance(found, Flight) and found.mine


def test_what_was_stored_comes_back(ground: Ground) -> None:
    """An answer comes back as it was stored, bytes that PostgreSQL cannot hold included, with what it cost."""
    ground.answers.store(ground.home, [learned("a")])
    found = remembered(ground, "a")
    assert (found.answer, found.cost, found.request) == (ANSWER, 7, "the text of a")
    assert (found.model, found.prompt_version) == ("small+strong", "analysis.1")
    assert (found.hits, found.checks, found.disagreements) == (0, 0, 0)
    assert found.created_at == found.hit_at


def test_a_batch_is_answered_key_by_key(ground: Ground) -> None:
    """Of a batch each key has its own answer or flight."""
    ground.answers.store(ground.home, [learned("known")])
    assert not is_mine(take(ground, "known"))
    assert is_mine(take(ground, "asked", "another"))
    found = ground.answers.take(ground.home, [asking(n) for n in ("known", "asked", "new")], "me", SPAN)
    assert isinstance(found[key_of("known")], Remembered)
    assert found[key_of("new")] == Flight(mine=True, left=SPAN)
    other = found[key_of("asked")]
    assert isinstance(other, Flight)
    assert not other.mine
    assert timedelta(0) < other.left <= SPAN
    assert other.age < SPAN
    assert ground.answers.take(ground.home, [], "me", SPAN) == {}


def test_finding_takes_no_flight(ground: Ground) -> None:
    """What is only looked up is nobody's to ask."""
    ground.answers.store(ground.home, [learned("a")])
    take(ground, "flight", "another")
    found = ground.answers.find(ground.home, [key_of(name) for name in ("a", "flight", "none")])
    assert {key: row.answer for key, row in found.items()} == {key_of("a"): ANSWER}
    assert ground.answers.find(ground.home, []) == {}
    assert ground.answers.find(ground.neighbour, [key_of("a")]) == {}
    assert is_mine(take(ground, "none"))


def test_workspaces_share_nothing(ground: Ground) -> None:
    """I10: an answer, a flight and a drop stay within their workspace."""
    ground.answers.store(ground.home, [learned("a")])
    assert is_mine(take(ground, "a", home=ground.neighbour))
    assert ground.answers.listed(ground.neighbour, 10) == []
    ground.answers.drop(ground.neighbour, None)
    ground.answers.let_go(ground.neighbour, [key_of("a")], "a")
    assert isinstance(remembered(ground, "a"), Remembered)


def test_of_many_at_once_one_asks(ground: Ground) -> None:
    """Single flight: of 50 that take the same three keys at once each key has exactly one who asks."""
    names = ("a", "b", "c")

    def one(n: int) -> list[str]:
        order = names if n % 2 else names[::-1]
        found = ground.answers.take(ground.home, [asking(name) for name in order], f"w{n}", SPAN)
        return [key for key, value in found.items() if is_mine(value)]

    with ThreadPoolExecutor(10) as pool:
        mine = [key for keys in pool.map(one, range(50)) for key in keys]
    assert sorted(mine) == sorted(map(key_of, names))


def test_a_flight_ends_with_its_answer(ground: Ground) -> None:
    """Whoever waited finds the answer."""
    assert is_mine(take(ground, "a", "one"))
    assert not is_mine(take(ground, "a", "two"))
    ground.answers.store(ground.home, [learned("a")])
    assert remembered(ground, "a").answer == ANSWER


def test_a_flight_without_an_answer_is_let_go_by_its_owner_alone(ground: Ground) -> None:
    """A call that brought nothing ends its flight, not that of another and not an answer."""
    assert is_mine(take(ground, "a", "one"))
    ground.answers.let_go(ground.home, [key_of("a")], "two")
    assert not is_mine(take(ground, "a", "two"))
    ground.answers.let_go(ground.home, [key_of("a")], "one")
    assert is_mine(take(ground, "a", "two"))
    ground.answers.store(ground.home, [learned("a")])
    ground.answers.let_go(ground.home, [key_of("a")], "two")
    assert remembered(ground, "a").answer == ANSWER


def test_a_dead_workers_flight_is_taken_over(ground: Ground) -> None:
    """A flight lasts so long and no longer; its late answer is kept all the same."""
    assert is_mine(take(ground, "a", "dead"))
    ground.elapse(timedelta(seconds=100))
    old = take(ground, "a", "two")
    assert isinstance(old, Flight)
    assert not old.mine
    assert timedelta(seconds=99) < old.age < timedelta(seconds=110)
    assert old.left < timedelta(seconds=21)
    ground.elapse(timedelta(seconds=21))
    assert is_mine(take(ground, "a", "two"))
    young = take(ground, "a", "three")
    assert isinstance(young, Flight)
    assert young.age < timedelta(seconds=20)
    ground.answers.let_go(ground.home, [key_of("a")], "dead")
    assert not is_mine(take(ground, "a", "three"))
    ground.answers.store(ground.home, [learned("a")])
    assert remembered(ground, "a").answer == ANSWER


def test_uses_are_added_up(ground: Ground) -> None:
    """Hits, checks and disagreements of many keys in one statement; a key that is gone is left out."""
    ground.answers.store(ground.home, [learned("a"), learned("b")])
    take(ground, "flight")
    uses = [
        Use(workspace=ground.home, key=key_of("a"), hits=3),
        Use(workspace=ground.home, key=key_of("b"), hits=1, checks=2, disagreements=1),
        Use(workspace=ground.home, key=key_of("gone"), hits=1),
        Use(workspace=ground.home, key=key_of("flight"), hits=1),
        Use(workspace=ground.neighbour, key=key_of("a"), hits=9),
    ]
    ground.answers.count(uses)
    ground.answers.count([Use(workspace=ground.home, key=key_of("a"), hits=2)])
    ground.answers.count([])
    assert remembered(ground, "a").hits == 5
    found = remembered(ground, "b")
    assert (found.hits, found.checks, found.disagreements) == (1, 2, 1)
    assert found.hit_at > found.created_at or found.hit_at == found.created_at


def test_an_answer_in_place_of_another_counts_anew(ground: Ground) -> None:
    """What is said of an answer is not said of the one that replaced it."""
    ground.answers.store(ground.home, [learned("a", cost=1)])
    ground.answers.count([Use(workspace=ground.home, key=key_of("a"), hits=3, checks=1, disagreements=1)])
    ground.answers.store(ground.home, [learned("a", cost=2)])
    found = remembered(ground, "a")
    assert (found.cost, found.hits, found.checks, found.disagreements) == (2, 0, 0, 0)


def test_counting_at_once_loses_nothing_and_never_blocks_for_good(ground: Ground) -> None:
    """Two processes that count the same keys in different order both get through."""
    names = [f"n{i}" for i in range(8)]
    ground.answers.store(ground.home, [learned(name) for name in names])

    def one(n: int) -> None:
        order = names if n % 2 else names[::-1]
        ground.answers.count([Use(workspace=ground.home, key=key_of(name), hits=1) for name in order])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(24)))
    assert {answer.hits for answer in ground.answers.listed(ground.home, 10)} == {24}


def test_the_list_goes_page_by_page_last_used_first(ground: Ground) -> None:
    """Every answer is on exactly one page, the one that served last in front; flights are on none."""
    for name in ("a", "b", "c"):
        ground.answers.store(ground.home, [learned(name)])
        ground.elapse(timedelta(seconds=1))
    ground.answers.count([Use(workspace=ground.home, key=key_of("a"), hits=1)])
    take(ground, "flight")
    first = ground.answers.listed(ground.home, 2)
    assert [answer.key for answer in first] == [key_of("a"), key_of("c")]
    rest = ground.answers.listed(ground.home, 2, (first[-1].hit_at, first[-1].key))
    assert [answer.key for answer in rest] == [key_of("b")]
    for beginning, many in ((key_of("b")[:8], 1), (key_of("b"), 1), ("zz", 0), ("%", 0), (key_of("flight"), 0)):
        assert len(ground.answers.listed(ground.home, 10, beginning=beginning)) == many


def test_what_is_dropped_is_asked_again(ground: Ground) -> None:
    """One key or all: answers and flights are gone, and the next may ask."""
    ground.answers.store(ground.home, [learned("a"), learned("b")])
    take(ground, "flight", "another")
    assert ground.answers.drop(ground.home, [key_of("a"), key_of("gone"), "no key } at all"]) == [key_of("a")]
    assert is_mine(take(ground, "a"))
    assert ground.answers.drop(ground.home, None) == sorted(map(key_of, ("a", "b", "flight")))
    assert is_mine(take(ground, "flight"))
    assert ground.answers.listed(ground.home, 10) == []


def test_what_did_not_serve_for_a_month_is_forgotten(ground: Ground) -> None:
    """The last use counts, not the age; at most so many at a time; flights that nobody ended go too."""
    ground.answers.store(ground.home, [learned("used"), learned("unused"), learned("other")])
    take(ground, "flight")
    assert ground.answers.forget(MONTH) == 0
    ground.elapse(timedelta(days=29))
    ground.answers.count([Use(workspace=ground.home, key=key_of("used"), hits=1)])
    ground.elapse(timedelta(days=2))
    assert ground.answers.forget(MONTH, 2) == 2
    assert ground.answers.forget(MONTH, 2) == 1
    assert ground.answers.forget(MONTH, 2) == 0
    assert [answer.key for answer in ground.answers.listed(ground.home, 10)] == [key_of("used")]
