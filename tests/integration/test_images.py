"""The functions as images: the context as faas-cli lays it out, `common` installed once, a task finished from it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx2
import pytest
import yaml
from mangum.types import LambdaContext

from common.adapters.postgres.bootstrap import first_start
from common.config import Settings
from functions.analyze import handler as analyze_handler
from functions.execute import handler as execute_handler
from tests.postgres import Place

ROOT = Path(__file__).parents[2]
STACK = yaml.safe_load((ROOT / "stack.yml").read_text())
CONTEXT = cast(LambdaContext, None)  # Mangum only hands it on
VALUE = {"plan": {"steps": [{"id": "a", "action": "value", "args": {"value": {"x": 1}}}]}}


def context_of(name: str, folder: Path) -> Path:
    """What `faas-cli build --shrinkwrap` makes: the template, and in function/ the handler and the copies."""
    function = STACK["functions"][name]
    shutil.copytree(ROOT / "template" / function["lang"], folder)
    shutil.copytree(ROOT / function["handler"], folder / "function", ignore=shutil.ignore_patterns("__pycache__"))
    for path in STACK["configuration"]["copy"]:
        source, target = ROOT / path, folder / "function" / Path(path).name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


def installed(context: Path) -> None:
    """What the Dockerfile's last RUN does: `common` becomes an installed package, its copy goes."""
    build = context / "build"
    build.mkdir()
    for name in ("common", "pyproject.toml"):
        shutil.move(context / "function" / name, build / name)
    script = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    subprocess.run([sys.executable, "-c", script], cwd=build, check=True, capture_output=True)
    with zipfile.ZipFile(next(build.glob("*.whl"))) as wheel:
        wheel.extractall(context / "site")
    shutil.rmtree(build)


@dataclass
class Running:
    """A function, served from its image's folder."""

    process: subprocess.Popen[bytes]
    url: str


def free_port() -> int:
    """A port nobody has right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two functions that a task needs, laid out and installed."""
    folder = tmp_path_factory.mktemp("build")
    made = {name: context_of(name, folder / name) for name in ("analyze", "execute")}
    for context in made.values():
        installed(context)
    return made


@pytest.fixture
def served(contexts: dict[str, Path], postgres_database: Place) -> Iterator[dict[str, Running]]:
    """Both, run as the watchdog runs them: nothing of the clone is on their path."""
    running = {}
    for name, context in contexts.items():
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{context}:{context / 'site'}",
            "AIW_DATABASE_URL": postgres_database.url,
            "AIW_DATABASE_ROLE": STACK["functions"][name]["environment"]["AIW_DATABASE_ROLE"],
            "AIW_SECRETS_DIR": str(context),
        }
        command = [sys.executable, "-m", "uvicorn", "function.handler:app", "--port", str(port), "--no-access-log"]
        process = subprocess.Popen(command, cwd=context, env=environment)
        running[name] = Running(process, f"http://127.0.0.1:{port}")
    try:
        for one in running.values():
            until = time.monotonic() + 30
            while not _ready(one.url) and time.monotonic() < until:
                time.sleep(0.1)
        yield running
    finally:
        for one in running.values():
            one.process.send_signal(signal.SIGTERM)
        for one in running.values():
            assert one.process.wait(30) in {0, -signal.SIGTERM}


def _ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/_/ready", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


def test_every_function_of_the_stack_has_a_folder_and_a_schedule_where_it_needs_one() -> None:
    """stack.yml describes exactly the five functions; the cron connector wakes `schedule` each minute."""
    assert {name: f["handler"] for name, f in STACK["functions"].items()} == {
        name: f"./functions/{name}" for name in ("analyze", "execute", "approve", "schedule", "dashboard")
    }
    assert STACK["functions"]["schedule"]["annotations"]["schedule"] == "* * * * *"
    roles = {name: f["environment"]["AIW_DATABASE_ROLE"] for name, f in STACK["functions"].items()}
    assert roles == dict.fromkeys(roles, "aiw_app") | {"approve": "aiw_approve"}


def test_the_wheel_has_every_file_of_common(contexts: dict[str, Path]) -> None:
    """What is no Python (SQL, catalogues, prompts) is part of the package, too."""
    site = contexts["analyze"] / "site" / "common"
    here = {
        p.relative_to(ROOT / "common")
        for p in (ROOT / "common").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    packed = {p.relative_to(site) for p in site.rglob("*") if p.is_file()}
    assert here - packed == set()


def test_common_is_loaded_once(contexts: dict[str, Path]) -> None:
    """The import trap: `function.common` beside an installed `common` would be a second module of every name."""
    context = contexts["execute"]
    script = (
        "import json, sys, function.handler; print(json.dumps([[n, str(m.__file__)] for n, m in sys.modules.items() "
        "if 'common' in n.split('.')[:2] and getattr(m, '__file__', None)]))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{context}:{context / 'site'}"}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=context, env=environment, check=True, capture_output=True, text=True
    )
    modules = dict(json.loads(ran.stdout))
    assert "common.core.task" in modules
    assert [name for name in modules if not name.startswith("common")] == []
    assert {path.startswith(str(context / "site")) for path in modules.values()} == {True}


def test_a_task_is_finished_by_functions_that_run_from_their_images(
    served: dict[str, Running], postgres_database: Place
) -> None:
    """Without Redis and without the clone: submitted to one image, run by the other when it is woken."""
    token = first_start(postgres_database.url, Settings()).admin_token
    headers = {"Authorization": f"Bearer {token}"}
    api = f"{served['analyze'].url}/api/v1/tasks"
    assert httpx2.post(api, json=VALUE, headers=headers).json()["state"] == "queued"
    woken = httpx2.post(served["execute"].url).json()
    assert (woken["claimed"], woken["done"]) == (1, 1)
    [state] = postgres_database.owner.run("SELECT state FROM tasks")
    assert list(state) == ["succeeded"]


def event(method: str, path: str, token: str, body: object = None) -> dict[str, object]:
    """An API Gateway event, payload format 2.0, as AWS documents it."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "content-type": "application/json",
            "authorization": f"Bearer {token}",
            "host": "x.execute-api.aws",
        },
        "requestContext": {
            "accountId": "1",
            "apiId": "x",
            "domainName": "x.execute-api.aws",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.1",
                "userAgent": "t",
            },
            "requestId": "1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "24/Nov/2026:00:00:00 +0000",
            "timeEpoch": 1795478400000,
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


@pytest.fixture
def cold_loop() -> Iterator[None]:
    """The event loop of a process that has run nothing yet: Mangum runs on it, and other tests have taken it away."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("cold_loop")
def test_a_task_is_finished_by_functions_that_run_on_lambda(
    postgres_database: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`handler` answers an API Gateway v2 event, from the database to the result."""
    token = str(first_start(postgres_database.url, Settings()).admin_token)
    monkeypatch.setenv("AIW_DATABASE_URL", postgres_database.url)
    monkeypatch.setenv("AIW_DATABASE_ROLE", "aiw_app")
    made = analyze_handler.handler(event("POST", "/api/v1/tasks", token, VALUE), CONTEXT)
    assert (made["statusCode"], json.loads(made["body"])["state"]) == (201, "queued")
    again = analyze_handler.handler(event("POST", "/api/v1/tasks", "aiw_forged", VALUE), CONTEXT)
    assert again["statusCode"] == 401  # a warm instance is started anew for each event, and still works
    woken = execute_handler.handler(event("POST", "/", token), CONTEXT)
    assert json.loads(woken["body"])["done"] == 1
    [state] = postgres_database.owner.run("SELECT state FROM tasks")
    assert list(state) == ["succeeded"]
