"""Reading tasks: what kind each is, how risky, and how to do it. `choose` gives the Analyzer of an installation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pragma: no cover - `./aiw recipes` needs none of it, and has 0.3 s
    from common.actions.catalogue import Catalogue
    from common.analysis.cache.shelf import Memory
    from common.analysis.chain import Chain
    from common.config import Settings
    from common.ports import Budget


def choose(
    settings: Settings,
    budget: Budget,
    catalogue: Catalogue,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    memory: Memory | None = None,
) -> Chain:
    """The rules first, then what is remembered, then a model behind the budget door whenever there is a key.

    Args:
        settings: key, base URL and model.
        budget: where money is reserved and booked.
        catalogue: the actions that plans are read against.
        now: the present time, aware; this process's clock serves, since times in a text are a person's.
        memory: where answers are remembered; None: nowhere.
    """
    from common.analysis.chain import chain  # noqa: PLC0415 - see above

    return chain(settings, budget, catalogue, now, memory)
