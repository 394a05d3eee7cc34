"""Who may be asked, by the name in `AIW_PROVIDER`. Another provider is a file with such a class, and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol, Self

from common.analysis.call import Asker
from common.analysis.providers.key import Key
from common.config import Settings, WrongSettingError

# By name, so that only the one that is used is imported.
PROVIDERS: Final[dict[str, str]] = {
    "anthropic": "common.analysis.providers.claude:ClaudeClient",
    "openai": "common.analysis.providers.openai_compatible:OpenAICompatible",
}


class Provider(Asker, Protocol):
    """An Asker that a provider's API is behind. It goes inside the budget door, and nobody else calls it (I7)."""

    key: Key  # an answer that holds it is refused (I11)

    @property
    def source(self) -> str:
        """What its plans are called: "claude", or "model" for any other."""

    @property
    def has_batches(self) -> bool:
        """Whether it answers later at half the price; without, economy tasks are read at once."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say. Opens nothing."""

    @property
    def is_ready(self) -> bool:
        """Whether it can be asked now: there is a key, or none is needed. Looked at before each question."""

    def close(self) -> None:
        """Drop its connections; a later question opens new ones."""


def provider_kind(settings: Settings) -> type[Provider]:
    """The class that asks. WrongSettingError."""
    found = PROVIDERS.get(settings.provider)
    if found is None:
        raise WrongSettingError("AIW_PROVIDER", f"{settings.provider[:60]!r} is none of {', '.join(PROVIDERS)}")
    module, _, name = found.partition(":")
    kind: type[Provider] = getattr(import_module(module), name)
    return kind


def provider(settings: Settings) -> Provider:
    """The installation's provider. WrongSettingError."""
    return provider_kind(settings).of(settings)
