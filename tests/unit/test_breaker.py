"""A provider that is down costs little: nobody asks it again and again, and everybody once it is there again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import httpx2
import pytest

from common.analysis.breaker import IN_A_ROW, LONGEST, Breaker
from common.analysis.call import Billed, Call, Fault, Reply
from common.analysis.providers.faults import LONGEST_RETRY_AFTER, SOON
from common.core.after_step import NotDone, Unknown
from common.core.errors import Unavailable
from common.ports import NotAnswered, Usage
from tests.unit.provider import WORKSPACE, Provider, fault, question, task_of

CALL = Call(
    workspace=WORKSPACE, purpose="analysis", model="m", prompt_version="p.1", system="s", content="c", max_tokens=1
)
REPLY = Reply(text="", stop="end_turn", usage=Usage())
ERROR = Fault(
    code="provider_error",
    billed=Billed.MAYBE,
    again_in=SOON,
    waiting_for="provider",
    status=500,
    cost=9,
    request_id="r",
)


@dataclass
class Far:
    """A provider, and the time."""

    says: Reply | Fault | Exception = ERROR
    asked: int = 0
    at: datetime = field(default_factory=lambda: datetime(2026, 11, 24, tzinfo=UTC))

    def ask(self, _: Call) -> Reply | Fault:
        """See Asker."""
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def now(self) -> datetime:
        """Of this provider's world."""
        return self.at


def opened() -> tuple[Far, Breaker]:
    """One that is down, and known to be."""
    far = Far()
    breaker = Breaker(far, far.now)
    for _ in range(IN_A_ROW):
        assert breaker.ask(CALL) == ERROR
    return far, breaker


def test_after_some_failures_in_a_row_nothing_goes_out_and_nothing_is_billed() -> None:
    """I7: what is held back costs nothing, says what the provider said, and when it is tried again."""
    far, breaker = opened()
    said = breaker.ask(CALL)
    assert far.asked == IN_A_ROW
    assert isinstance(said, Fault)
    assert (said.code, said.billed, said.cost, said.request_id) == ("provider_error", Billed.NO, 0, None)
    assert (said.again_in, said.waiting_for) == (SOON, "provider")


def test_an_hour_without_a_provider_is_a_score_of_calls() -> None:
    """Two thousand texts that try each half minute: whoever is due asks, and hardly anything goes out."""
    far, breaker = opened()
    for _ in range(120):
        far.at += SOON
        for _ in range(50):
            breaker.ask(CALL)
    assert far.asked <= 20


def test_one_call_tries_and_its_answer_lets_all_out_again() -> None:
    """And while it tries, the others still wait."""
    far, breaker = opened()
    far.at += SOON
    began, go_on = Event(), Event()

    def slowly(_: Call) -> Reply | Fault:
        began.set()
        assert go_on.wait(10)
        return REPLY

    far.ask = slowly  # type: ignore[method-assign]  # the one that tries takes its time
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(breaker.ask, CALL)
        assert began.wait(10)
        assert isinstance(breaker.ask(CALL), Fault)
        go_on.set()
        assert first.result(10) == REPLY
    assert breaker.ask(CALL) == REPLY


def test_pauses_grow_up_to_five_minutes_or_as_long_as_the_provider_asks_for() -> None:
    """However long it is down; who waits goes on soon after it is there again."""
    far, breaker = opened()
    pauses = []
    for _ in range(12):
        said = breaker.ask(CALL)
        assert isinstance(said, Fault)
        assert said.again_in is not None
        pauses.append(said.again_in)
        far.at += said.again_in
        breaker.ask(CALL)
    assert pauses[:3] == [SOON, 2 * SOON, 4 * SOON]
    assert pauses[-1] == LONGEST
    far.says, far.at = replace(ERROR, again_in=LONGEST_RETRY_AFTER), far.at + LONGEST
    breaker.ask(CALL)
    said = breaker.ask(CALL)
    assert isinstance(said, Fault)
    assert said.again_in == LONGEST_RETRY_AFTER


def test_an_answer_between_failures_is_an_answer() -> None:
    """One pack's misfortune holds nobody up."""
    far = Far()
    breaker = Breaker(far, far.now)
    for _ in range(10):
        for _ in range(IN_A_ROW - 1):
            far.says = ERROR
            breaker.ask(CALL)
        far.says = REPLY
        assert breaker.ask(CALL) == REPLY


@pytest.mark.parametrize("code", ["request_refused", "rate_limited", "bad_key"])
def test_whoever_refuses_is_there(code: str) -> None:
    """A refusal with its status is no silence."""
    far, breaker = opened()
    far.at += SOON
    far.says = Fault(code=code, billed=Billed.NO, status=400)
    assert breaker.ask(CALL) == far.says
    far.says = REPLY
    assert breaker.ask(CALL) == REPLY


def test_our_own_database_says_nothing_of_the_provider() -> None:
    """The call that tries is another one then."""
    far, breaker = opened()
    far.at += SOON
    far.says = Unavailable("the database")
    with pytest.raises(Unavailable):
        breaker.ask(CALL)
    far.says = REPLY
    assert breaker.ask(CALL) == REPLY


def test_a_clock_that_is_set_back_ends_the_pause() -> None:
    """A pause is never longer than the longest."""
    far, breaker = opened()
    far.at -= timedelta(days=1)
    far.says = REPLY
    assert breaker.ask(CALL) == REPLY


POISON = replace(CALL, task_ids=(UUID(int=7),))
OTHER = replace(CALL, task_ids=(UUID(int=8),))


def test_failures_about_one_text_hold_back_that_text_alone() -> None:
    """Nobody knows whether it is the provider or the text: others go out, and what they are answered tells."""
    far = Far()
    breaker = Breaker(far, far.now)
    for call in (replace(CALL, task_ids=(UUID(int=7), UUID(int=8))), POISON, POISON):
        breaker.ask(call)
    assert far.asked == IN_A_ROW
    held = breaker.ask(POISON)
    assert isinstance(held, Fault)
    assert (held.billed, held.again_in, far.asked) == (Billed.NO, SOON, IN_A_ROW)
    far.says = REPLY
    assert breaker.ask(OTHER) == REPLY
    assert breaker.ask(POISON) == REPLY  # whether it is the text, the ledger knows


def test_a_text_among_others_that_are_answered_opens_nothing() -> None:
    """However often it fails."""
    far = Far()
    breaker = Breaker(far, far.now)
    for _ in range(10):
        far.says = ERROR
        breaker.ask(POISON)
        breaker.ask(POISON)
        far.says = REPLY
        assert breaker.ask(OTHER) == REPLY


def test_a_failure_about_another_text_holds_back_all() -> None:
    """Then it is the provider; one call of any text tries."""
    far = Far()
    breaker = Breaker(far, far.now)
    for call in (POISON, POISON, POISON, OTHER):
        breaker.ask(call)
    assert far.asked == IN_A_ROW + 1
    for call in (POISON, OTHER, CALL):
        assert isinstance(breaker.ask(call), Fault)
    assert far.asked == IN_A_ROW + 1
    far.at += timedelta(minutes=2)
    far.says = REPLY
    assert breaker.ask(replace(CALL, task_ids=(UUID(int=9),))) == REPLY


def test_previews_of_one_workspace_hold_back_nobody_else() -> None:
    """They have no row that tells them apart: all may be of one text."""
    far = Far()
    breaker = Breaker(far, far.now)
    for _ in range(IN_A_ROW):
        breaker.ask(CALL)
    assert isinstance(breaker.ask(CALL), Fault)
    breaker.ask(OTHER)
    assert far.asked == IN_A_ROW + 1


def test_what_steps_write_waits_for_a_provider_that_is_down_as_well() -> None:
    """I7: `claude.generate` passes the same: transient, waits by name, and costs neither money nor an attempt."""
    provider = Provider(fault(500, "api_error"))
    for _ in range(IN_A_ROW):
        assert isinstance(provider.chain.generate(task_of(), "greet", 100, None), Unknown)
    said = provider.chain.generate(task_of(), "greet", 100, None)
    assert isinstance(said, NotDone)
    assert (said.code, said.transient, said.waiting_for) == ("provider_error", True, "provider")
    assert said.again_in is not None
    assert len(provider.requests) == len(provider.calls) == IN_A_ROW


def test_texts_that_wait_for_a_provider_cost_three_calls_not_all_of_the_month() -> None:
    """I7: the chain has it outside of the door: what was held back is on no record."""
    provider = Provider(fault(500, "api_error"))
    for _ in range(20):
        said = provider.read(question("weigh the offers"))
        assert isinstance(said, NotAnswered)
        assert said.failure.code == "provider_error"
    assert len(provider.requests) == len(provider.calls) == IN_A_ROW


def test_a_provider_that_nobody_reaches_is_left_alone_as_well() -> None:
    """It costs no money; events and time it does."""
    provider = Provider(httpx2.ConnectError("refused", request=httpx2.Request("POST", "https://provider.example")))
    for _ in range(20):
        provider.read(question("weigh the offers"))
    assert len(provider.requests) == IN_A_ROW
