"""Claude over real HTTP, against `llmock`: a provider's fake that was not written here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from common.actions.catalogue import Catalogue
from common.actions.contract import Generated, NotDone, Unknown
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.rows import SettingEntry
from common.adapters.memory.store import MemoryStore
from common.analysis.chain import Chain, chain_of
from common.config import Settings
from common.core.task import Json
from common.ports import Answer, NotAnswered, Question
from tests.llmock import Behaviour, forget, free_port, plays, served, serving
from tests.unit.provider import KEY, NOW, WORKSPACE, proposal, question, task_of, under

NONCE = "0a1b2c3d"


def reply(**changes: Json) -> Behaviour:
    """A plan for the one task that is asked about."""
    return {"type": "reply", "text": under([NONCE], proposal(**changes))}


@pytest.fixture(autouse=True)
def known_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake says what it is told and cannot echo: so each call, of one task here, has the same nonce."""
    monkeypatch.setattr("common.analysis.packs.pack.secrets.token_hex", lambda _: NONCE)


@pytest.fixture(scope="module")
def llmock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The running fake's address."""
    with serving(tmp_path_factory.mktemp("llmock") / "log") as url:
        yield url


class Desk:
    """An installation whose provider is the fake."""

    def __init__(self, url: str, folder: Path, key: str | None = KEY) -> None:
        """`folder`: of secrets."""
        self.url = url
        store = MemoryStore(lambda: NOW)
        store.settings[WORKSPACE, "policy"] = SettingEntry(0, None)
        self.budget = MemoryBudget(store)
        settings = Settings.model_construct(
            anthropic_api_key=None if key is None else SecretStr(key),
            anthropic_base_url=f"{url}/anthropic",
            model="claude-haiku-5-5",
            secrets_dir=folder,
        )
        self.chain: Chain = chain_of(settings, self.budget, Catalogue.shipped(), lambda: NOW)

    def read(self, asked: Question) -> Answer | NotAnswered:
        """What the chain says of one task."""
        [said] = self.chain.analyze([asked])
        return said

    def plays(self, *behaviours: Behaviour) -> None:
        """What the fake does next."""
        plays(self.url, *behaviours)

    def served(self) -> int:
        """How many requests it has had."""
        return served(self.url)

    @property
    def spent(self) -> tuple[int, int]:
        """(spent, reserved) in nanodollars."""
        month = self.budget.month(WORKSPACE)
        return month.spent, month.reserved


@pytest.fixture
def desk(llmock: str, tmp_path: Path) -> Iterator[Desk]:
    """With a key, and a fake that has forgotten everything."""
    forget(llmock)
    made = Desk(llmock, tmp_path)
    yield made
    made.chain.close()


def test_a_task_is_read_and_paid(desk: Desk) -> None:
    """The whole way: rules decline, Claude is asked once, the answer is read, the cost is booked."""
    desk.plays(reply(summary="가격표를 가져옵니다."))
    answer = desk.read(question("가격표 좀 알아서 챙겨줘", lang="ko"))
    assert isinstance(answer, Answer)
    assert (answer.source, answer.summary) == ("claude", "가격표를 가져옵니다.")
    assert answer.cost > 0
    assert desk.spent == (answer.cost, 0)
    assert desk.served() == 1


def test_an_answer_under_another_nonce_is_not_its_answer(desk: Desk) -> None:
    """I12: asked again once, alone, and then a person's."""
    foreign: Behaviour = {"type": "reply", "text": under(["ffffffff"], proposal())}
    desk.plays(foreign, foreign)
    said = desk.read(question("weigh the offers"))
    assert isinstance(said, NotAnswered)
    assert said.failure.code == "unusable_answer"
    assert desk.spent == (said.cost, 0)
    assert desk.served() == 2


def test_chatter_instead_of_json_goes_to_a_person(desk: Desk) -> None:
    """The fake's own default is prose."""
    said = desk.read(question("weigh the offers"))
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.again_in) == ("unusable_answer", None)
    assert desk.spent == (said.cost, 0)


@pytest.mark.parametrize(
    ("status", "code", "waits"),
    [
        (401, "bad_key", "provider"),
        (429, "rate_limited", "provider"),
        (529, "provider_overloaded", "provider"),
        (400, "request_refused", None),
    ],
)
def test_what_was_refused_unread_costs_nothing(desk: Desk, status: int, code: str, waits: str | None) -> None:
    """I7: given back, and asked once: the SDK's own retries are off."""
    desk.plays({"type": "fail", "status": status, "times": 9})
    said = desk.read(question("weigh the offers"))
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.failure.status, said.waiting_for) == (code, status, waits)
    assert desk.spent == (0, 0)
    assert desk.served() == 1


def test_retry_after_is_honoured(desk: Desk) -> None:
    """Up to a cap of our own."""
    desk.plays(
        {"type": "fail", "status": 429, "retry_after": 17}, {"type": "fail", "status": 429, "retry_after": 86400}
    )
    waits = [desk.read(question("weigh the offers")) for _ in range(2)]
    assert [said.again_in for said in waits if isinstance(said, NotAnswered)] == [
        timedelta(seconds=17),
        timedelta(minutes=15),
    ]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ({"type": "reply", "text": "No.", "finish_reason": "content_filter"}, "refused_by_model"),
        ({"type": "reply", "text": '{"answers": [{"non', "finish_reason": "length"}, "answer_truncated"),
        ({"type": "reply", "text": '{"answers": [{"nonce": 1,,}]}'}, "unusable_answer"),
    ],
)
def test_what_a_model_says_and_is_no_plan_is_paid_and_a_persons(desk: Desk, behaviour: Behaviour, code: str) -> None:
    """I7: a refusal, an answer cut off and broken JSON were answered: booked as billed, after one repair at most."""
    desk.plays(behaviour, behaviour)
    said = desk.read(question("weigh the offers"))
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.waiting_for) == (code, None)
    assert desk.spent == (said.cost, 0)
    assert 1 <= desk.served() <= 2


def test_a_slow_answer_is_not_waited_for_and_assumed_billed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """I7: nobody knows whether the model went on."""
    monkeypatch.setattr("common.analysis.packs.pack.SECONDS", 0.3)
    desk.plays({"type": "delay", "seconds": 2})
    said = desk.read(question("weigh the offers"))
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.waiting_for) == ("provider_timeout", "provider")
    assert desk.spent == (said.cost, 0)
    assert said.cost > 0


def test_a_server_error_is_assumed_billed(desk: Desk) -> None:
    """I7: it may have been answered before it broke."""
    desk.plays({"type": "fail", "status": 500, "times": 1})
    said = desk.read(question("weigh the offers"))
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, said.waiting_for) == ("provider_error", "provider")
    assert desk.spent == (said.cost, 0)
    assert said.cost > 0


def test_a_provider_that_is_down_costs_nothing(tmp_path: Path) -> None:
    """Nothing was sent: nobody listens on the port."""
    desk = Desk(f"http://127.0.0.1:{free_port()}", tmp_path)
    said = desk.read(question("weigh the offers"))
    desk.chain.close()
    assert isinstance(said, NotAnswered)
    assert (said.failure.code, desk.spent) == ("provider_unreachable", (0, 0))


def test_a_connection_that_breaks_in_the_middle_is_assumed_billed(tmp_path: Path) -> None:
    """I7: the request was read, then the far side vanished."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_read_and_hang_up, args=(server,))
        thread.start()
        desk = Desk(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path)
        said = desk.read(question("weigh the offers"))
        thread.join(10)
    desk.chain.close()
    assert isinstance(said, NotAnswered)
    assert said.failure.code == "provider_reset"
    assert desk.spent == (said.cost, 0)
    assert said.cost > 0


def _read_and_hang_up(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)


def test_a_key_that_is_added_later_is_used_at_once(llmock: str, tmp_path: Path) -> None:
    """As `./aiw key` does, while the function runs."""
    forget(llmock)
    desk = Desk(llmock, tmp_path, key=None)
    without = desk.read(question("weigh the offers"))
    assert isinstance(without, NotAnswered)
    assert (without.failure.code, desk.served()) == ("no_recipe", 0)
    (tmp_path / "anthropic.key").write_text(KEY)
    desk.plays(reply())
    assert isinstance(desk.read(question("weigh the offers")), Answer)
    desk.chain.close()


def test_words_are_generated(desk: Desk) -> None:
    """`claude.generate`: text, and failures told apart."""
    said: list[Generated | NotDone | Unknown] = []
    script: list[Behaviour] = [
        {"type": "reply", "text": "Guten Tag"},
        {"type": "fail", "status": 529},
        {"type": "fail", "status": 502},
    ]
    for behaviour in script:
        desk.plays(behaviour)  # one at a time: the fake lets a failure pass before a reply
        said.append(desk.chain.generate(task_of(), "greet in German", 50, None))
    assert said[0] == Generated("Guten Tag")
    assert isinstance(said[1], NotDone)
    assert (said[1].code, said[1].transient) == ("provider_overloaded", True)
    assert isinstance(said[2], Unknown)


def test_eight_at_once_are_each_booked(desk: Desk) -> None:
    """I7: one client, many threads; what is spent is the sum of what they cost."""
    for _ in range(24):
        desk.plays(reply())
    costs: list[int] = []

    def work() -> None:
        for _ in range(3):
            answer = desk.read(question("weigh the offers"))
            assert isinstance(answer, Answer)
            costs.append(answer.cost)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(costs) == 24
    assert desk.spent == (sum(costs), 0)
