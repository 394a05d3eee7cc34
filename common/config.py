"""Every outside value by name, read once; a wrong one stops the start and is named."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.core.task import Risk

SECRET_FILES: Final = ("database_url", "redis_url")


class WrongSettingError(ValueError):
    """A value that can only be told to be wrong by who uses it; it stops the start as any other wrong one."""

    def __init__(self, name: str, said: str) -> None:
        """`name`: of the environment variable; `said`: what is wrong with it, and the mend."""
        super().__init__(f"{name}: {said}")
        self.name = name
        self.said = said


class Settings(BaseSettings):
    """The environment of a function, or of the supervisor that starts them. Read-only."""

    model_config = SettingsConfigDict(env_prefix="AIW_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr = SecretStr("")  # postgresql+pg8000://…
    database_role: str | None = None  # SET ROLE after connecting: aiw_app, or aiw_approve for `approve`
    redis_url: str = ""  # redis://… or unix://…; empty: no wakes, each function looks by itself
    function: Literal["", "analyze", "execute", "approve", "schedule", "dashboard"] = ""
    function_url: str = "http://gateway:8080/function/{name}"
    public_url: str = "http://127.0.0.1:8000"
    secrets_dir: Path = Path("/var/openfaas/secrets")  # read again when a file changes
    metrics_port: int = 0  # 0: none

    # values of a fresh installation (afterwards they are settings in the database)
    autorun: Risk = Risk.LOW
    hosts: str = ""
    functions: str = ""
    channels: str = ""
    notify: str | None = None
    budget_usd: float = Field(default=25, ge=0, le=1_000_000)
    tz: str = "UTC"
    self_approval: bool = True

    # the model; each default's reason is in ARCHITECTURE.md's table of defaults
    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(default=None, validation_alias="ANTHROPIC_BASE_URL")
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    provider: str = "anthropic"  # whose API: common/analysis/providers/registry.py; `openai`: also local models
    model: str = "claude-haiku-5-5"  # reads every text first
    strong_model: str = "claude-sonnet-5-5"  # reads again what is unsure or much is at stake; empty: nobody does
    model_prices: str = ""  # dollars per million tokens in/out, of models that the table does not know: "m=0.1/0.4"
    pack_tasks: int = Field(default=10, ge=1, le=20)  # texts in one call
    pack_linger: float = Field(default=2, ge=0, le=3600)  # seconds that a text waits for others to share its call
    pack_checks: float = Field(default=0.02, ge=0, le=1)  # share of packs that are asked again, alone and permuted
    cache: bool = True  # whether what an equal request was understood to mean is used again
    cache_checks: float = Field(default=0.01, ge=0, le=1)  # share of cache hits that are asked again
    escalate_below: float = Field(default=0.6, ge=0, le=1)  # confidence under which the strong model reads again

    cache_days: int = Field(default=90, ge=1, le=3650)  # an answer that did not serve for so long is forgotten
    ledger_days: int = Field(default=400, ge=62, le=36500)  # calls are kept since their month ended; totals for ever

    # limits; reasons as above
    database_seconds: int = Field(default=20, ge=2, le=40)  # without an answer; then the connection counts as broken
    lease_seconds: int = Field(default=60, ge=10, le=900)  # a dead worker's task waits this long
    claim_tasks: int = Field(default=200, ge=1, le=1000)
    effect_threads: int = Field(default=32, ge=1, le=256)
    analyses_at_once: int = Field(default=8, ge=1, le=64)
    attempts: int = Field(default=5, ge=1, le=20)
    replans: int = Field(default=3, ge=0, le=10)
    wake_seconds: float = Field(default=50, ge=1, le=600)  # a wake's time budget: under the gateway's own limit
    drain_seconds: float = Field(default=20, ge=1, le=300)
    result_bytes: int = Field(default=1_000_000, ge=1000)  # kept inline until there is object storage
    body_bytes: int = Field(default=10_000_000, ge=1000)

    @model_validator(mode="before")
    @classmethod
    def _from_secret_files(cls, values: dict[str, object]) -> dict[str, object]:
        """What is secret may come as a file (`aiw-database-url`): OpenFaaS and Knative mount secrets, not variables."""
        folder = Path(str(values.get("secrets_dir") or cls.model_fields["secrets_dir"].default))
        found = {name: folder / f"aiw-{name.replace('_', '-')}" for name in SECRET_FILES if not values.get(name)}
        return values | {name: file.read_text().strip() for name, file in found.items() if file.is_file()}

    @field_validator("function_url")
    @classmethod
    def _names_the_function(cls, value: str) -> str:
        if "{name}" not in value:
            msg = "must hold {name}, e.g. http://gateway:8080/function/{name}"
            raise ValueError(msg)
        return value
