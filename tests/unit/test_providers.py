"""Providers by name; and the worked example of the docs, run as it stands there."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

from common.actions.catalogue import Catalogue
from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.rows import SettingEntry
from common.adapters.memory.store import MemoryStore
from common.analysis.chain import chain_of
from common.analysis.money.prices import check_models
from common.analysis.providers import registry
from common.analysis.providers.registry import PROVIDERS, provider
from common.config import Settings, WrongSettingError
from common.core.task import Json
from common.ports import Answer
from tests.unit.provider import NOW, WORKSPACE, proposal, question, under

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
EXAMPLE, LINE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("name", "kind", "source", "has_batches"),
    [("anthropic", "ClaudeClient", "claude", True), ("openai", "OpenAICompatible", "model", False)],
)
def test_each_name_is_a_provider(name: str, kind: str, source: str, has_batches: object, tmp_path: Path) -> None:
    """Opens nothing, and is ready once there is a key."""
    made = provider(Settings.model_construct(provider=name, secrets_dir=tmp_path))
    assert type(made).__name__ == kind
    assert (made.source, made.has_batches) == (source, has_batches)
    ready = [made.is_ready]
    (tmp_path / f"{name}.key").write_text("sk-1")
    ready.append(made.is_ready)
    made.close()
    assert ready == [False, True]


def test_a_name_that_nobody_has_stops_the_start() -> None:
    """Named, with those that there are."""
    with pytest.raises(WrongSettingError, match="AIW_PROVIDER: 'clippy' is none of anthropic, openai"):
        provider(Settings.model_construct(provider="clippy"))
    with pytest.raises(WrongSettingError, match="AIW_PROVIDER"):
        check_models(Settings(provider="clippy"))


def test_a_key_given_by_the_environment_is_the_providers_own(tmp_path: Path) -> None:
    """I11: one provider's key never goes to another."""
    settings = Settings.model_construct(
        provider="openai",
        secrets_dir=tmp_path,
        anthropic_api_key=SecretStr("sk-ant-1"),
        openai_api_key=SecretStr("sk-1"),
    )
    assert provider(settings).key.value() == "sk-1"


class _House(BaseHTTPRequestHandler):
    asked: list[dict[str, Json]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(body)
        content = json.loads(body["text"].removeprefix("<tasks>").removesuffix("</tasks>"))
        text = under([item["nonce"] for item in content["items"]], proposal())
        said = json.dumps({"text": text, "read": 400, "written": 200, "complete": True}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def house() -> Iterator[tuple[str, list[dict[str, Json]]]]:
    """The example's server: its address, and what it was asked."""
    asked: list[dict[str, Json]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("House", (_House,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_the_worked_example_works(
    house: tuple[str, list[dict[str, Json]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One file and one line: a task is read by it, its answer checked, its cost booked (I7)."""
    url, asked = house
    [(name, place)] = re.findall(r'"([^"]+)": "([^"]+)"', LINE)
    module = ModuleType(place.partition(":")[0])
    exec(compile(EXAMPLE, "docs/providers.md", "exec"), module.__dict__)  # noqa: S102 - our own page
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(PROVIDERS, name, place)
    settings = Settings.model_construct(
        provider=name, model="house-small", strong_model="", model_prices="house-small=0.1/0.3", secrets_dir=tmp_path,
        openai_base_url=url,
    )  # fmt: skip
    store = MemoryStore(lambda: NOW)
    store.settings[WORKSPACE, "policy"] = SettingEntry(0, None)
    budget = MemoryBudget(store)
    chain = chain_of(settings, budget, Catalogue.shipped(), lambda: NOW)
    [answer] = chain.analyze([question("weigh the two offers")])
    chain.close()
    assert isinstance(answer, Answer)
    assert answer.source == "model"
    month = budget.month(WORKSPACE)
    assert (month.spent, month.reserved) == (100 * 400 + 300 * 200, 0)
    assert len(asked) == 1
    assert asked[0]["most_tokens"]


def test_the_examples_class_is_a_provider() -> None:
    """Every name of the protocol."""
    names = {"source", "has_batches", "of", "is_ready", "ask", "close"}
    assert names | {"key"} == {n for n in dir(registry.Provider) if not n.startswith("_")} | {
        "source", "has_batches", "key",
    }  # fmt: skip
    assert all(re.search(rf"\b{name}\b", EXAMPLE) for name in names | {"key"})
