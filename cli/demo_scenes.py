"""The scenes of the demo: tasks that end, or wait, in each of the ways that matter."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cli.demo_story import Story, first_args
from cli.demo_target import FLAKY_FAILURES, PRICE

if TYPE_CHECKING:
    from cli.answers import Json, TaskView

CHARGES: Final = 20
DELAY_SECONDS: Final = 4
STILL_SECONDS: Final = 1.5  # long enough for anything that would wrongly start
ARRIVAL_SECONDS: Final = 15.0


def price(story: Story) -> None:
    """A page is fetched: low, so nobody is asked."""
    story.scene("price")
    url = f"http://{story.target.strict}/price"
    done = story.settled(story.submit(text=story.screen.say("demo.price_text", url=url)))
    story.check("price_low", ("succeeded", "low"), (done["state"], done["risk"]))
    story.check("price_alone", [], [kind for kind in story.kinds(done) if "appro" in kind])
    story.check("price_once", 1, story.target.requests("/price"))
    story.check("price_result", PRICE, _field(done["result"], "json", "price"), price=f"{PRICE:,}")


def refund(story: Story) -> None:
    """Money moves only after a yes, and once."""
    story.scene("refund")
    url = f"http://{story.target.strict}/refund"
    asked = story.settled(story.submit_post(url, {"order": 17, "amount": PRICE, "currency": "KRW"}))
    story.check("refund_waits", ("awaiting_approval", "high"), (asked["state"], asked["risk"]))
    heard = story.target.wait_until(lambda target: any(asked["id"] in text for text in target.told()), 10)
    story.check("refund_announced", expected=True, found=heard)
    story.check("refund_before", 0, story.target.requests("/refund"))
    seen = story.approve(asked)
    for sentence in seen["summary"]:
        story.screen.paragraph(f"“{sentence}”", indent="      ", first="    ")
    done = story.settled(asked)
    story.check("refund_after", ("succeeded", 1), (done["state"], story.target.requests("/refund")))


def altered(story: Story) -> None:
    """An approval covers exactly what was seen: a plan altered beneath it does not run, whoever altered it (I4)."""
    story.scene("altered")
    url = f"http://{story.target.strict}/altered"
    asked = story.settled(story.submit_post(url, {"order": 18, "amount": PRICE}))
    story.client.send("PUT", "/pause", body={"why": story.screen.say("demo.pause_why")})
    seen = story.approve(asked)
    story.check("altered_queued", "queued", story.task(asked)["state"])
    story.check("altered_rows", 1, story.stack.alter_plan(asked["id"], str(PRICE), "9900000"))
    story.client.send("DELETE", "/pause")
    found = story.settled(asked)
    story.check("altered_waits", ("awaiting_approval", 0), (found["state"], story.target.requests("/altered")))
    waits = story.approval(asked)
    shown = _field(first_args(waits["plan"]["steps"]), "amount")
    story.check("altered_shown", (True, 9_900_000), (waits["digest"] != seen["digest"], shown))


def flaky(story: Story) -> None:
    """503 twice is no reason to bother anybody: it is tried again, later and later, under one key."""
    story.scene("flaky")
    asked = story.settled(story.submit_post(f"http://{story.target.idempotent}/flaky", {"order": 19}))
    story.approve(asked)
    done = story.settled(asked)
    retries = story.kinds(done).count("retry_planned")
    story.check("flaky_done", ("succeeded", FLAKY_FAILURES), (done["state"], retries))
    counted = (story.target.requests("/flaky"), story.target.effects("/flaky"))
    story.check("flaky_once", (FLAKY_FAILURES + 1, [1]), counted)


def killed_idempotent(story: Story) -> None:
    """The worker dies under twenty POSTs that may be repeated: every one is done, none twice (I6)."""
    story.scene("killed")
    path = "/held/charge"
    url = f"http://{story.target.idempotent}{path}"
    story.target.hold()
    tasks = [story.submit_post(url, {"order": 100 + number, "amount": PRICE}) for number in range(CHARGES)]
    for task in tasks:
        story.approve(story.settled(task))
    story.target.wait_until(lambda target: target.requests(path) >= CHARGES // 2, ARRIVAL_SECONDS)
    pid = story.stack.kill("execute")
    under_way = story.target.requests(path)
    story.target.release()
    story.check("killed_under_way", expected=True, found=under_way > 0, n=under_way, pid=pid)
    done = [story.settled(task) for task in tasks]
    story.check("killed_all", CHARGES, [task["state"] for task in done].count("succeeded"), n=CHARGES)
    story.check("killed_once", [1] * CHARGES, story.target.effects(path), n=CHARGES, seen=story.target.requests(path))
    lost = sum("lease_lost" in story.kinds(task) for task in done)
    story.check("killed_history", expected=True, found=lost > 0, n=lost)


def killed_unknown(story: Story) -> None:
    """The worker dies inside POSTs that must not be repeated: nobody guesses, a person says what happened (I6)."""
    story.scene("unknown")
    story.target.hold()
    happened, lost = (
        story.settled(story.submit_post(f"http://{story.target.strict}{path}", {"amount": PRICE}))
        for path in ("/held/happened", "/held/lost")
    )
    for task in (happened, lost):
        story.approve(task)
    inside = story.target.wait_until(
        lambda target: target.requests("/held/happened") + target.requests("/held/lost") == len([happened, lost]),
        ARRIVAL_SECONDS,
    )
    story.check("unknown_inside", expected=True, found=inside)
    story.stack.kill("execute")
    story.target.release()
    for path, task in (("/held/happened", happened), ("/held/lost", lost)):
        found = story.settled(task)
        code = found["error"]["code"] if found["error"] else None
        seen = (found["state"], code, story.target.requests(path))
        story.check("unknown_manual", ("manual", "effect_unknown", 1), seen, path=path)
    story.outcome(happened, "done")
    found = story.ended(happened)
    counted = (found["state"], story.target.requests("/held/happened"), story.target.effects("/held/happened"))
    story.check("unknown_happened", ("succeeded", 1, [1]), counted)
    story.outcome(lost, "not_done")
    found = story.ended(lost)
    counted = (found["state"], story.target.requests("/held/lost"), story.target.effects("/held/lost"))
    story.check("unknown_lost", ("succeeded", 2, [1]), counted)


def delayed(story: Story) -> None:
    """A task that is not to begin before its time."""
    story.scene("delayed")
    at = datetime.now(UTC) + timedelta(seconds=DELAY_SECONDS)
    plan: Json = {"steps": [{"id": "note", "action": "value", "args": {"value": "later"}}]}
    task = story.submit(plan=plan, not_before=at.isoformat())
    waits = story.task(task)
    story.check("delayed_waits", ("queued", "delay"), (waits["state"], _what(waits)), seconds=DELAY_SECONDS)
    done = story.settled(task)
    ended = datetime.fromisoformat(done["finished_at"]) if done["finished_at"] else at - timedelta(days=1)
    story.check("delayed_done", ("succeeded", True), (done["state"], ended >= at))


def paused(story: Story) -> None:
    """Everything stops with one command, and goes on with another."""
    story.scene("paused")
    before = story.target.requests("/price")
    story.client.send("PUT", "/pause", body={"why": story.screen.say("demo.pause_why")})
    task = story.submit(text=story.screen.say("demo.price_text", url=f"http://{story.target.strict}/price"))
    time.sleep(STILL_SECONDS)
    waits = story.task(task)
    still = story.target.requests("/price") - before
    story.check("paused_still", ("queued", "paused", 0), (waits["state"], _what(waits), still))
    story.client.send("DELETE", "/pause")
    done = story.settled(task)
    story.check("paused_done", ("succeeded", 1), (done["state"], story.target.requests("/price") - before))


def no_recipe(story: Story) -> None:
    """What nobody here knows how to do goes to a person, not to a guess."""
    story.scene("person")
    found = story.settled(story.submit(text="회식 장소 알아봐줘"))
    code = found["error"]["code"] if found["error"] else None
    story.check("person_manual", ("manual", "person", "no_recipe"), (found["state"], _what(found), code))


SCENES: Final[tuple[Callable[[Story], None], ...]] = (
    price, refund, altered, flaky, killed_idempotent, killed_unknown, delayed, paused, no_recipe,
)  # fmt: skip


def _what(task: TaskView) -> str | None:
    return task["waiting_for"]["what"] if task["waiting_for"] else None


def _field(value: Json, *path: str) -> Json:
    """A member of nested objects; None where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
