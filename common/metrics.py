"""The `aiw_*` metrics of a process: what is counted, by which labels. Nothing here listens or writes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from common.money_metrics import MoneyMetrics

_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_CLAIM_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class _Labelled:
    """A counter whose children are looked up by one tuple: no label handling on the hot path."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[tuple[str, ...], Counter] = {}

    def add(self, amount: float, *labels: str) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._counter.labels(*labels)
        child.inc(amount)


class Metrics:
    """The process's metrics; each method is one thing that happened. Labels are names and codes out of fixed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: where they are registered, once."""
        self.registry = registry
        self.money = MoneyMetrics(registry)
        self._wakes = _Labelled(
            Counter("aiw_wakes", "Wakes served, by function and answer", ["function", "answer"], registry=registry)
        )
        self._claims = Counter("aiw_claims", "Claims, with or without a task", registry=registry)
        self._claimed = Counter("aiw_claimed_tasks", "Tasks claimed", registry=registry)
        self._transitions = _Labelled(Counter("aiw_transitions", "Transitions applied", ["kind"], registry=registry))
        self._attempts = _Labelled(Counter("aiw_attempts", "Attempts ended", ["outcome"], registry=registry))
        self._refusals = _Labelled(
            Counter("aiw_gate_refusals", "Attempts that the gate let not begin", ["why"], registry=registry)
        )
        self._checks = _Labelled(
            Counter("aiw_pack_checks", "Tasks that were read a second time", ["outcome"], registry=registry)
        )
        self._requests = _Labelled(
            Counter("aiw_requests", "Requests answered", ["function", "route", "status"], registry=registry)
        )
        self._request_seconds = Histogram(
            "aiw_request_seconds", "Time to an answer", ["function"], registry=registry, buckets=_REQUEST_BUCKETS
        )
        self._claim_seconds = Histogram(
            "aiw_claim_seconds", "Time of one claim and its work", registry=registry, buckets=_CLAIM_BUCKETS
        )
        self._provider_remaining = Gauge(
            "aiw_provider_remaining", "Left of the model provider's rate limits", ["limit"], registry=registry
        )
        self._provider_held = Counter(
            "aiw_provider_held_calls",
            "Model calls held back: a used up limit, or a provider that is down",
            registry=registry,
        )
        self._cache = _Labelled(
            Counter(
                "aiw_cache",
                "Requests looked up among remembered answers, by side (redis, postgres, claim) and how it ended",
                ["side", "ended"],
                registry=registry,
            )
        )
        self._cache_checks = _Labelled(
            Counter("aiw_cache_checks", "Remembered answers that were asked again", ["ended"], registry=registry)
        )
        self._cache_forged = Counter(
            "aiw_cache_forged", "Cache entries in Redis that were not ours, not for here or not for now",
            registry=registry,
        )  # fmt: skip
        self._request_children: dict[str, Histogram] = {}
        Info("aiw_build", "What runs here", registry=registry).info({"version": _version()})

    def wake(self, function: str, answer: str) -> None:
        """A wake was answered: `ran`, `joined` or `failed`."""
        self._wakes.add(1, function, answer)

    def claim(self, tasks: int, seconds: float) -> None:
        """A claim returned so many tasks, and was worked off after so many seconds."""
        self._claims.inc()
        self._claimed.inc(tasks)
        self._claim_seconds.observe(seconds)

    def transitions(self, kinds: Mapping[str, int]) -> None:
        """How many transitions of each kind were applied."""
        for kind, count in kinds.items():
            self._transitions.add(count, kind)

    def attempt(self, outcome: str, count: int = 1) -> None:
        """Attempts ended: `done`, `not_done`, `unknown`."""
        self._attempts.add(count, outcome)

    def refused(self, why: str, count: int = 1) -> None:
        """The gate let attempts not begin."""
        self._refusals.add(count, why)

    def checks(self, tasks: int, different: int) -> None:
        """Tasks were read a second time, as a check of packs: `agreed`, `differed`."""
        self._checks.add(tasks - different, "agreed")
        self._checks.add(different, "differed")

    def cache(self, side: str, hits: int, misses: int) -> None:
        """So many requests were looked up: in `redis`, in `postgres`, or beside an equal one in one `claim`."""
        self._cache.add(hits, side, "hit")
        self._cache.add(misses, side, "miss")

    def cache_checked(self, *, agreed: bool) -> None:
        """A remembered answer was asked again; one that differs is an alarm."""
        self._cache_checks.add(1, "agreed" if agreed else "differed")

    def cache_forged(self, entries: int) -> None:
        """Entries in Redis were refused."""
        self._cache_forged.inc(entries)

    def request(self, function: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route`: its name or template, never a path."""
        self._requests.add(1, function, route, str(status))
        child = self._request_children.get(function)
        if child is None:
            child = self._request_children[function] = self._request_seconds.labels(function)
        child.observe(seconds)

    def provider_remaining(self, limit: str, remaining: int) -> None:
        """The model's provider said what is left of one of its rate limits."""
        self._provider_remaining.labels(limit).set(remaining)

    def provider_held(self) -> None:
        """A model call was held back: the provider would only have refused it."""
        self._provider_held.inc()


def _version() -> str:
    try:
        return version("ai-workflow-24h")
    except PackageNotFoundError:
        return "source"
