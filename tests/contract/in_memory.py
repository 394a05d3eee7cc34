"""The memory adapters as a contract test stands on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.approvals import MemoryApprovals
from common.adapters.memory.batches import MemoryBatches
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.costs import MemoryCosts
from common.adapters.memory.people import MemoryPeople
from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.reads import MemoryReads
from common.adapters.memory.store import MemoryStore
from common.adapters.memory.workspace import MemoryWorkspace
from common.ports import People, Role
from tests.contract.ground import Ground, Member, secret


def member(people: People, home: UUID, name: str, role: Role) -> Member:
    """A person with an API token."""
    person = people.add_person(home, name, role)
    token = secret(name)
    people.issue(home, person.id, "api", token, None)
    return Member(person=person, token=token)


class MovableClock:
    """PostgreSQL's clock, in a test's hand."""

    def __init__(self) -> None:
        """Noon of some day."""
        self.time = datetime(2026, 1, 15, 12, tzinfo=UTC)

    def now(self) -> datetime:
        """What it shows."""
        return self.time

    def elapse(self, span: timedelta) -> None:
        """Move it on."""
        self.time += span


def over_memory() -> Ground:
    """The memory adapters over a fresh store."""
    clock = MovableClock()
    store = MemoryStore(clock.now)
    people = MemoryPeople(store)
    home, neighbour = store.add_workspace("home"), store.add_workspace("neighbour")
    return Ground(
        queue=MemoryQueue(store),
        approvals=MemoryApprovals(store),
        workspace=MemoryWorkspace(store),
        people=people,
        budget=MemoryBudget(store),
        costs=MemoryCosts(store),
        batches=MemoryBatches(store),
        answers=MemoryAnswers(store),
        reads=MemoryReads(store),
        home=home,
        neighbour=neighbour,
        now=clock.now,
        elapse=clock.elapse,
        asks=member(people, home, "Ada", "operator"),
        decides=member(people, home, "Bo", "approver"),
        rules=member(people, home, "Cy", "admin"),
        outsider=member(people, neighbour, "Dee", "operator"),
    )
