"""The Analyzer that remembers: what was asked once is not paid again. Around whoever asks, inside of the rules.

`recall` looks at the fast side only, for intake. `analyze` looks into the database, and of all that ask for the same at
once, in one claim or in any process, one does. A hit is a reading and no permission: policy decides anew, in the
requester's own words and under the settings of the moment (I10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.cache.checks import Checks
from common.analysis.cache.flights import Flights
from common.analysis.cache.recall import Recall
from common.analysis.cache.shelf import Shelf
from common.ports import Analyzer, Answer, NotAnswered, Question


class Cached:
    """An Analyzer around another. Thread-safe."""

    def __init__(
        self,
        inner: Analyzer,
        shelf: Shelf,
        catalogue: Catalogue,
        checks: float = 0.0,
        differed: Callable[[UUID, int], None] = lambda _, __: None,
    ) -> None:
        """Wire it.

        Args:
            inner: whoever is asked and paid.
            shelf: what is remembered.
            catalogue: what two readings are compared by.
            checks: the share of hits that is asked again.
            differed: tells the ledger of a call that asked again how many of its tasks were answered otherwise.
        """
        self._inner = inner
        self._shelf = shelf
        again = Checks(inner, shelf, catalogue, checks, differed)
        self._recall = Recall(shelf, again.chosen)
        self._flights = Flights(inner, shelf, again)

    @property
    def has_model(self) -> bool:
        """See Analyzer."""
        return self._inner.has_model

    def close(self) -> None:
        """Write what is still to be counted."""
        self._shelf.close()

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """See Analyzer, and Recall."""
        return self._recall.recall(questions)

    def known(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What the database remembers of one workspace's tasks; nobody is asked. For whoever asks in other ways."""
        return self._recall.known(questions)

    def learn(self, questions: Sequence[Question], said: Sequence[Answer | NotAnswered]) -> None:
        """Remember what one workspace's tasks were answered in other ways than through `analyze`."""
        self._recall.learn(questions, said)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """See Analyzer. Somebody else's flight is a NotAnswered that is looked at again about a second later."""
        return self._flights.analyze(questions)
