"""What each move does to a world: the functions' own code wherever there is some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from common import api
from common.core.digest import approval_digest
from common.core.lifecycle import Detail, move as moved
from common.core.task import LEASED, TERMINAL, Json, Plan, State
from common.ports import Submission, TaskRecord
from functions.analyze.recalled import recalled
from functions.analyze.submit import new_task, sender
from functions.approve import approvals, manual
from tests.simulator.asked import REQUESTS, named, timed
from tests.simulator.doing_paid import PAID_MOVES
from tests.simulator.grants import Grant
from tests.simulator.known import Violation
from tests.simulator.moves import Move

if TYPE_CHECKING:
    from tests.simulator.world import World

DAY: Final = timedelta(hours=24)
TASKS_MOST: Final = 5
SO_MANY: Final = (1, 3, 2)
WHO: Final = ((0, 0), (0, 0), (0, 1), (0, 0), (1, 0), (0, 0), (1, 0))  # whose workspace, by which way
RESEND_WITHIN: Final = 5 * 86_400  # seconds: an Idempotency-Key is kept for 7 days
AUTORUN: Final = ("low", "medium", "low", "high")


def submit(world: World, move: Move) -> None:
    """A person or a program asks for something, or for the same several times at once."""
    room = TASKS_MOST - len(world.ids)
    if room <= 0:
        return
    if move.pick % 3 or world.asked is None:  # else what was asked for last, by whoever asked for it
        world.asked = (REQUESTS[move.pick % len(REQUESTS)], WHO[move.pick % len(WHO)])
    given, (home, way) = world.asked
    given = timed(world, given, move.pick)
    who = world.people[home][way]
    policy = world.workspace.policy(who.workspace)
    sent = sender(world.wired, who, "en", policy)
    count = 1 if given.plan is not None else min(room, SO_MANY[move.pick % len(SO_MANY)])
    tasks = tuple(named(new_task(given, sent, "#")) for _ in range(count))
    key = f"k{len(world.ids)}"
    read = recalled(tasks, world.wired, policy, sent.now)
    world.met["remembered: at intake"] += read != tasks
    tasks = read
    world.add(Submission(token_sha256=who.token_sha256, tasks=tasks, key=key, body_sha256=key))


def resubmit(world: World, _: Move) -> None:
    """The answer got lost, so the same request is sent again (I1: nothing is doubled)."""
    if world.last is None or world.time.seconds - world.last_at > RESEND_WITHIN:
        return
    before = len(world.store.tasks)
    again = replace(world.last, tasks=tuple(replace(t, id=world.store.new_id()) for t in world.last.tasks))
    world.queue.add([again])
    if len(world.store.tasks) != before:
        raise Violation("I1: one Idempotency-Key made two tasks")


def execute(world: World, move: Move) -> None:
    """A worker takes a turn."""
    with world.worker(move.pick) as number:
        if number is not None:
            world.far.moods = list(move.moods)
            world.runner(number).turn()


def analyze(world: World, move: Move) -> None:
    """Another reads what was received."""
    with world.worker(move.pick) as number:
        if number is not None:
            world.provider.moods = list(move.moods)
            world.reader(number).analyst.turn()


def drain(world: World, move: Move) -> None:
    """A process is told to stop, perhaps in the middle of its turn; another is started in its place."""
    running = sorted(world.runners)
    if running:
        world.runners.pop(running[move.pick % len(running)]).stop(0.0)
    world.draining = True
    with world.worker(move.pick) as number:
        if number is not None:
            world.reader(number).analyst.turn()
    world.draining = False


def maintain(world: World, _: Move) -> None:
    """`schedule` looks at what is due."""
    world.maintenance().turn()


def advance(world: World, move: Move) -> None:
    """Time passes."""
    world.time.seconds += move.seconds


def expire(world: World, _: Move) -> None:
    """More time passes than an approval lives."""
    world.time.seconds += DAY.total_seconds() + 60


def deliver(world: World, move: Move) -> None:
    """A batch that was on its way arrives; sometimes it arrives again later."""
    if not world.in_flight:
        return
    place = move.pick % len(world.in_flight)
    batch = world.in_flight[place]
    if move.pick % 2:
        del world.in_flight[place]
    world.queue.deliver(batch)


# --- people -----------------------------------------------------------------------------------------------------------


def _looked_at(world: World, move: Move, *states: State) -> TaskRecord | None:
    """What a person sees: of the tasks in such a state one, and then something may happen."""
    fitting = [task for task in world.ids if world.store.tasks[task].state in states]
    if not fitting:
        return None
    task = fitting[move.pick % len(fitting)]
    record = world.reads.task(world.store.tasks[task].workspace, task)
    world.point()
    return record


def _decide(world: World, move: Move, verdict: Callable[..., object]) -> TaskRecord | None:
    seen = _looked_at(world, move, State.AWAITING_APPROVAL)
    if seen is None or seen.task.plan is None:
        return None
    body = api.Decision(digest=approval_digest(seen.task.workspace, seen.task.id, seen.task.plan))
    verdict(seen.task.id, body, world.wired, world.whose(seen.task.workspace), "en")
    return seen


def approve(world: World, move: Move) -> None:
    """A person says yes to exactly what was on the page."""
    seen = _decide(world, move, approvals.approve)
    if seen is None:
        return
    plan = cast(Plan, seen.task.plan)
    now = world.store.now
    until = max(now, seen.task.request.not_before or now) + DAY
    world.grants.given[seen.task.id] = Grant(plan.number, plan.steps, plan.risk, until)


def reject(world: World, move: Move) -> None:
    """A person says no."""
    _decide(world, move, approvals.reject)


def cancel(world: World, move: Move) -> None:
    """As the dashboard does it: a request while a worker has it, a transition else."""
    seen = _looked_at(world, move, *(state for state in State if state not in TERMINAL))
    if seen is None:
        return
    task = seen.task
    actor = f"person:{world.whose(task.workspace).person}"
    if task.state in LEASED and task.batch is None:
        world.queue.request_cancel(task.workspace, task.id, None, actor)
        return
    world.met["cancelled: while parked"] += task.batch is not None
    world.queue.apply([moved(task, "cancelled", State.CANCELLED, None, actor, detail=Detail(note="no more"))])


def withdraw(world: World, _: Move) -> None:
    """People take back whatever nobody has read yet: the rest of a history is about what something happened to."""
    for task in world.ids:
        row = world.store.tasks[task]
        if row.state is State.RECEIVED and row.event_seq == 1:
            actor = f"person:{world.whose(row.workspace).person}"
            world.queue.apply([moved(row.public(world.store.now), "cancelled", State.CANCELLED, None, actor)])


def retry(world: World, move: Move) -> None:
    """A person has it tried again."""
    seen = _looked_at(world, move, State.MANUAL)
    if seen is not None:
        manual.retry(seen.task.id, api.Note(), world.wired, world.whose(seen.task.workspace), "en")


def reanalyze(world: World, move: Move) -> None:
    """A person has it read again."""
    seen = _looked_at(world, move, State.MANUAL)
    if seen is not None:
        manual.reanalyze(seen.task.id, api.Note(), world.wired, world.whose(seen.task.workspace), "en")


def resolve(world: World, move: Move) -> None:
    """A person closes it by hand."""
    seen = _looked_at(world, move, State.MANUAL)
    if seen is not None:
        manual.resolve(
            seen.task.id, api.Resolution(note="done by hand"), world.wired, world.whose(seen.task.workspace), "en"
        )


def outcome(world: World, move: Move) -> None:
    """A person looks at the far side and says, truthfully, what an unknown attempt did."""
    seen = _looked_at(world, move, State.MANUAL)
    if seen is None or seen.task.plan is None or seen.task.unknown_effect is None:
        return
    unknown = seen.task.unknown_effect
    step = next((s for s in seen.task.plan.steps if s.id == unknown.step_id), None)
    happened = step is not None and world.far.effects[str(step.args["what"])] > 0
    said = api.GivenOutcome(step=unknown.step_id, outcome="done" if happened else "not_done")
    manual.outcome(seen.task.id, said, world.wired, world.whose(seen.task.workspace), "en")


# --- the whole installation -----------------------------------------------------------------------------------------


def pause(world: World, _: Move) -> None:
    """Everything stops."""
    for who, *_way in world.people:
        world.workspace.pause(who.workspace, "look first", who.person)


def resume(world: World, _: Move) -> None:
    """And goes on."""
    for who, *_way in world.people:
        world.workspace.pause(who.workspace, None, who.person)


def policy(world: World, move: Move) -> None:
    """The threshold moves."""
    value: dict[str, Json] = {"autorun": AUTORUN[move.pick % len(AUTORUN)], "self_approval": None}
    for who, _ in world.people:
        world.workspace.put(who.workspace, "policy", value, None, who.person)


def tamper(world: World, move: Move) -> None:
    """The database's owner alters a plan behind everybody's back (the trigger that forbids it is off)."""
    fitting = [row for row in world.store.tasks.values() if row.state in {State.QUEUED, State.AWAITING_APPROVAL}]
    if not fitting:
        return
    row = fitting[move.pick % len(fitting)]
    if row.plan is None or not any(step.action == "act" for step in row.plan.steps):
        return
    done = {a.step_id for a in row.trail}
    steps = tuple(
        s.model_copy(update={"args": {**s.args, "what": f"{s.args['what']}!"}})
        if s.action == "act" and s.id not in done
        else s
        for s in row.plan.steps
    )
    row.plan = row.plan.model_copy(update={"steps": steps})
    world.store.plans[row.id, row.plan.number] = row.plan
    world.oracle.known[row.id].plan = row.plan


MOVES: Final[dict[str, Callable[[World, Move], None]]] = {
    made.__name__: made
    for made in (
        submit,
        resubmit,
        execute,
        analyze,
        drain,
        maintain,
        advance,
        expire,
        deliver,
        approve,
        reject,
        cancel,
        withdraw,
        retry,
        reanalyze,
        resolve,
        outcome,
        pause,
        resume,
        policy,
        tamper,
    )
} | PAID_MOVES
