"""The product's figures: the whole lifecycle through the front door, from the first POST to the last stored ending."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from bench.front_door import connect, request, send_all
from bench.processes import cpu_by_part, pss_by_part, spent_since
from bench.stack import Stack

Plan = Mapping[str, object]

# A typed plan of one step, its result stored.
VALUE: Final[Plan] = {"steps": [{"id": "a", "action": "value", "args": {"value": {"order": 4711, "ok": True}}}]}
ARRAY: Final = 100
ARRAY_CONNECTIONS: Final = 2
CONNECTIONS: Final = 32
SECONDS_TO_FINISH: Final = 120.0
# What autovacuum takes of a core between its rounds is less, and our cluster's start every 20 s.
RESTING_SHARE: Final = 0.01
RESTED_SECONDS: Final = 25.0
CLEARING_SECONDS: Final = 180.0
LOOK_SECONDS: Final = 5.0
LIVE: Final = frozenset({"received", "analyzing", "queued", "running"})


@dataclass(frozen=True, slots=True)
class Throughput:
    """One round. `cpu`: seconds a task by part, in microseconds; `client`: the load client's own, likewise."""

    tasks: int
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    client: float = 0.0

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.seconds


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one task after the other, milliseconds."""

    samples: Sequence[float]

    def percentile(self, share: float) -> float:
        """The smallest sample that is not below `share` of them."""
        ordered = sorted(self.samples)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Idle:
    """With nothing to do. `cpu`: percent of one core by part; `pss`: bytes by part."""

    cpu: Mapping[str, float]
    pss: Mapping[str, int]


def by_arrays(stack: Stack, tasks: int, plan: Plan = VALUE) -> Throughput:
    """`tasks` in arrays of 100, until the last has ended."""
    wire = request("POST", "/tasks", stack.token, orjson.dumps([{"plan": plan}] * ARRAY))
    return _round(stack, [wire] * max(1, tasks // ARRAY), ARRAY_CONNECTIONS, ARRAY)


def singly(stack: Stack, tasks: int, plan: Plan = VALUE) -> Throughput:
    """`tasks`, one a POST, over 32 connections."""
    wire = request("POST", "/tasks", stack.token, orjson.dumps({"plan": plan}))
    return _round(stack, [wire] * tasks, CONNECTIONS, 1)


def one_at_a_time(stack: Stack, tasks: int) -> Latency:
    """From submitting to having the result: `POST /tasks?wait=5`, the next when the last is there."""
    return asyncio.run(_one_at_a_time(stack, tasks))


async def _one_at_a_time(stack: Stack, tasks: int) -> Latency:
    wire = request("POST", "/tasks?wait=5", stack.token, orjson.dumps({"plan": VALUE}))
    connection = await connect(stack.port)
    samples = []
    for _ in range(tasks):
        began = time.perf_counter()
        answer = await connection.send(wire)
        samples.append((time.perf_counter() - began) * 1000)
        task = json.loads(answer)
        if task["state"] != "succeeded" or task["result"] is None:
            raise RuntimeError(f"a task did not end within 5 s: {task['state']}, {task['waiting_for']}")
    connection.close()
    return Latency(samples)


def clearing_up(stack: Stack) -> float:
    """Wait until PostgreSQL has put away what a load left (autovacuum); the CPU seconds that took.

    It is done when it has rested for longer than it sleeps between two looks at its tables. It gets three minutes.
    """
    part = "postgres: the rest"
    began = first = last = time.monotonic()
    before = at = cpu_by_part(stack.parts).get(part, 0.0)
    while last - first < RESTED_SECONDS and last - began < CLEARING_SECONDS:
        time.sleep(LOOK_SECONDS)
        now, cpu = time.monotonic(), cpu_by_part(stack.parts).get(part, 0.0)
        if cpu - at > RESTING_SHARE * (now - last):
            first = now
        last, at = now, cpu
    return at - before


def idle(stack: Stack, seconds: float) -> Idle:
    """What it takes while nothing is asked of it."""
    parts = stack.parts
    before, began = cpu_by_part(parts), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    spent = spent_since(before, cpu_by_part(parts))
    return Idle({name: 100 * cpu / took for name, cpu in spent.items()}, pss_by_part(parts))


def _round(stack: Stack, wires: Sequence[bytes], connections: int, each: int) -> Throughput:
    return asyncio.run(_measured(stack, wires, connections, each))


async def _measured(stack: Stack, wires: Sequence[bytes], connections: int, each: int) -> Throughput:
    stored = 0

    def answered(_: bytes) -> None:
        nonlocal stored
        stored += each

    parts = stack.parts
    before = cpu_by_part(parts)
    own, began = time.process_time(), time.monotonic()
    await send_all(stack.port, wires, connections, answered)
    client = time.process_time() - own
    await _finished(stack, stored, time.monotonic() - began)
    took = time.monotonic() - began
    spent = spent_since(before, cpu_by_part(parts))
    return Throughput(stored, took, {n: cpu * 1e6 / stored for n, cpu in spent.items()}, client * 1e6 / stored)


async def _finished(stack: Stack, stored: int, spent: float) -> None:
    """Return once nothing is live: by as few looks at the queue as find the end within a hundredth of the time.

    Counting what is left costs PostgreSQL time, so the next look is set to when half of it should be done.
    """
    look = request("GET", "/queue", stack.token)
    connection = await connect(stack.port)
    began = time.monotonic()
    while True:
        depth = json.loads(await connection.send(look))["depth"]
        stuck = [line["state"] for line in depth if line["state"] not in LIVE]
        left = sum(line["tasks"] for line in depth)
        if stuck:
            raise RuntimeError(f"tasks wait for a person: {stuck}")
        if left == 0:
            break
        waited = time.monotonic() - began
        if waited > SECONDS_TO_FINISH:
            raise RuntimeError(f"{left} tasks have not ended after {SECONDS_TO_FINISH:.0f} s")
        rate = max(100.0, (stored - left) / (spent + waited))
        await asyncio.sleep(min(1.0, max(0.005, left / rate / 2)))
    connection.close()


def check(stack: Stack, expected: int) -> None:
    """Every task that was acknowledged has ended well, with its result stored: asked of the database itself."""
    owner = stack.owner()
    try:
        [[ended, results]] = owner.run(
            "SELECT (SELECT count(*) FROM tasks WHERE state = 'succeeded'), "
            "(SELECT count(*) FROM step_attempts WHERE outcome = 'done' AND output IS NOT NULL)"
        )
    finally:
        owner.close()
    if ended != expected or results < expected:
        raise RuntimeError(f"{expected} tasks were acknowledged, {ended} succeeded, {results} results are stored")
