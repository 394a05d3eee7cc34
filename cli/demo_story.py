"""What the scenes of the demo are told with: submitting, approving, waiting, and checking what is said."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, cast

from cli.client import Client
from cli.demo_stack import DemoStack
from cli.demo_target import CountingTarget
from cli.screen import Screen
from cli.show import SETTLED

if TYPE_CHECKING:
    from cli.answers import ApprovalView, EventPage, Json, StepView, TaskPage, TaskView

PATIENCE_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was said, and whether it is so."""

    said: str
    well: bool
    expected: object
    found: object


@dataclass(slots=True)
class Story:
    """The means of a scene. Every check is printed as it is made, and kept."""

    client: Client
    screen: Screen
    stack: DemoStack
    target: CountingTarget
    checks: list[Check] = field(default_factory=list)

    def scene(self, key: str) -> None:
        """A new scene begins."""
        self.screen.print()
        self.screen.print(self.screen.paint(self.screen.say(f"demo.{key}"), "bold"))

    def check(self, key: str, expected: object, found: object, **values: object) -> None:
        """Say `demo.KEY`; it is true only if `found` equals `expected`."""
        said = self.screen.say(f"demo.{key}", **values)
        check = Check(said, expected == found, expected, found)
        self.checks.append(check)
        if check.well:
            self.screen.print(f"  {self.screen.paint('✓', 'green')} {said}")
        else:
            differs = self.screen.say("demo.differs", expected=repr(expected), found=repr(found))
            self.screen.print(f"  {self.screen.paint('✗', 'red')} {said}")
            self.screen.paragraph(differs, indent="    ")

    def submit(self, **request: Json) -> TaskView:
        """Hand in one task."""
        return cast("TaskView", self.client.post("/tasks", {"lang": self.screen.lang, **request}))

    def submit_post(self, url: str, body: Json, *, timeout: int = 3) -> TaskView:
        """Hand in a plan of one POST. `timeout`: how long it may take, and so how long its fate may be open."""
        return self.submit(plan={"steps": [post_step(url, body, timeout)]})

    def task(self, task: TaskView, *, wait: int = 0) -> TaskView:
        """How it is now, or once it ended or waits for a person."""
        return cast("TaskView", self.client.get(f"/tasks/{task['id']}", {"wait": wait or None}))

    def settled(self, task: TaskView) -> TaskView:
        """Once it ended or waits for a person; meanwhile the minute timer's work is done every second."""
        until = time.monotonic() + PATIENCE_SECONDS
        found = self.task(task, wait=1)
        while found["state"] not in SETTLED and time.monotonic() < until:
            self.stack.wake("schedule")
            found = self.task(task, wait=1)
        return found

    def ended(self, task: TaskView) -> TaskView:
        """As `settled`, after a person said what happened; approves it if it asks once more."""
        found = self.settled(task)
        if found["state"] == "awaiting_approval":
            self.approve(found)
            found = self.settled(found)
        return found

    def approve(self, task: TaskView) -> ApprovalView:
        """Look, and approve exactly that."""
        seen = self.approval(task)
        self.client.post(f"/tasks/{task['id']}/approve", {"digest": seen["digest"], "note": None})
        return seen

    def approval(self, task: TaskView) -> ApprovalView:
        """What waits."""
        return cast("ApprovalView", self.client.get(f"/tasks/{task['id']}/approval"))

    def kinds(self, task: TaskView) -> list[str]:
        """The kinds of its events, in order."""
        return [event["kind"] for event in cast("EventPage", self.client.all(f"/tasks/{task['id']}/events"))["items"]]

    def all_tasks(self) -> list[TaskView]:
        """Everything that was handed in, newest first."""
        return cast("TaskPage", self.client.get("/tasks", {"limit": 200}))["items"]

    def outcome(self, task: TaskView, what: str) -> None:
        """Say whether its unknown step happened."""
        self.client.post(f"/tasks/{task['id']}/outcome", {"step": "send", "outcome": what, "note": None})

    def documents(self) -> list[dict[str, object]]:
        """The checks for programs."""
        return [asdict(check) for check in self.checks]


def post_step(url: str, body: Json, timeout: int = 3) -> dict[str, Json]:
    """A step that POSTs JSON."""
    args: dict[str, Json] = {"method": "POST", "url": url, "json": body, "timeout": timeout}
    return {"id": "send", "action": "http.request", "args": args}


def first_args(steps: list[StepView]) -> Json:
    """The body that a plan's first step would send."""
    return steps[0]["args"].get("json") if steps else None
