"""Everything wired once. The only importer of adapters; builds nothing at import or in a default argument."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from common.actions.catalogue import Catalogue
from common.actions.contract import Model
from common.adapters.outbound_http import OutboundHttp, own_parts
from common.adapters.postgres.answers import PostgresAnswers
from common.adapters.postgres.approvals import PostgresApprovals
from common.adapters.postgres.batches import PostgresBatches
from common.adapters.postgres.budget import PostgresBudget
from common.adapters.postgres.connection import Database
from common.adapters.postgres.costs import PostgresCosts
from common.adapters.postgres.people import PostgresPeople
from common.adapters.postgres.queue import PostgresQueue
from common.adapters.postgres.reads import PostgresReads
from common.adapters.postgres.workspace import PostgresWorkspace
from common.adapters.redis.answers import NoFront, RedisAnswers
from common.adapters.redis.notifier import NoNotifier, RedisNotifier
from common.adapters.redis.wakes import RedisWakes
from common.adapters.system_clock import SystemClock
from common.adapters.wake_client import WakeClient
from common.analysis.batches.batched import Batched, batched
from common.analysis.cache.cached import Cached
from common.analysis.cache.shelf import Memory
from common.analysis.chain import chain_of
from common.analysis.money.prices import check_models
from common.analysis.money.quote import Quote
from common.auth import Doorkeeper
from common.config import Settings
from common.core.after_step import Limits
from common.ports import (
    Analyzer,
    Answers,
    Approvals,
    Batches,
    Budget,
    Clock,
    Costs,
    Front,
    Http,
    Notifier,
    People,
    Queue,
    Reads,
    Workspace,
)
from common.routes import FUNCTIONS

WAKE_MARGIN: Final = 15  # seconds that a wake's answer may take beyond its time budget: the last turn is worked off

ASK_MODELS: Final = frozenset({"analyze", "execute"})


class Thinker(Analyzer, Model, Protocol):
    """Reads tasks, and writes for `claude.generate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a function works with."""

    settings: Settings
    clock: Clock
    queue: Queue
    reads: Reads
    approvals: Approvals
    workspace: Workspace
    people: People
    budget: Budget
    costs: Costs
    quote: Quote
    notifier: Notifier
    answers: Answers
    front: Front  # the fast side of `answers`
    analyzer: Thinker
    batches: Batches
    batched: Batched | None  # None: the provider has no batches
    http: Http
    catalogue: Catalogue
    doorkeeper: Doorkeeper
    worker: str  # this process's name in leases
    ready: Callable[[], None]  # raises an AppError that says what is missing
    close: Callable[[], None]

    @property
    def limits(self) -> Limits:
        """How often is enough; asked anew, since a key may be added while this runs."""
        return Limits(self.settings.attempts, self.settings.replans, self.analyzer.has_model)


def bootstrap(settings: Settings) -> Container:
    """Wire a function's adapters. Opens no connection: that happens at first use. WrongSettingError."""
    if settings.function in ASK_MODELS:
        check_models(settings)
    clock = SystemClock()
    database = Database(
        settings.database_url.get_secret_value(), settings.database_role, limit=settings.database_seconds
    )
    people = PostgresPeople(database)
    budget = PostgresBudget(database)
    own = own_parts(
        settings.database_url.get_secret_value(),
        settings.redis_url,
        settings.public_url,
        *(settings.function_url.format(name=name) for name in FUNCTIONS),
    )
    quote = Quote.of(settings)
    catalogue = Catalogue.shipped((f"{host}:{port}" for host, port in own), quote)
    answers = PostgresAnswers(database)
    front = RedisAnswers(settings.redis_url, settings.secrets_dir) if settings.redis_url else NoFront()
    worker = f"{settings.function}@{socket.gethostname()}:{os.getpid()}"
    analyzer = chain_of(settings, budget, catalogue, memory=Memory(answers=answers, front=front, worker=worker))
    batches = PostgresBatches(database)
    remembers = analyzer.model if isinstance(analyzer.model, Cached) else None
    by_batches = batched(settings, budget, batches, catalogue, remembers)
    notifier = RedisNotifier(settings.redis_url, settings.function) if settings.redis_url else NoNotifier()

    def close() -> None:
        analyzer.close()
        if by_batches is not None:
            by_batches.close()
        front.close()
        notifier.close()
        database.close()

    return Container(
        settings=settings,
        clock=clock,
        queue=PostgresQueue(database),
        reads=PostgresReads(database),
        approvals=PostgresApprovals(database),
        workspace=PostgresWorkspace(database),
        people=people,
        budget=budget,
        costs=PostgresCosts(database),
        quote=quote,
        notifier=notifier,
        answers=answers,
        front=front,
        analyzer=analyzer,
        batches=batches,
        batched=by_batches,
        http=OutboundHttp(own),
        catalogue=catalogue,
        doorkeeper=Doorkeeper(people, clock),
        worker=worker,
        ready=database.ready,
        close=close,
    )


def connect(settings: Settings) -> tuple[RedisWakes | None, WakeClient]:
    """What the connector works with: the stream's reading end (None without Redis), and the functions' door."""
    wakes = RedisWakes(settings.redis_url) if settings.redis_url else None
    return wakes, WakeClient(settings.function_url, timeout=settings.wake_seconds + WAKE_MARGIN)
