"""The parts of the laptop's stack, and what each is told by its environment."""

from __future__ import annotations

import http.client
import importlib
import os
import pkgutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from common import analysis
from common.routes import FUNCTIONS
from infra.local import nginx, postgres, valkey
from infra.local.folder import DataFolder
from infra.local.logs import trim
from infra.local.part import Part, Stage
from infra.local.process import Start, fork
from infra.local.timer import knock

if TYPE_CHECKING:
    from infra.local.postgres import Cluster

CONNECTOR: Final = "connector"
MOST_REPLICAS: Final = 16
ROOT: Final = Path(__file__).resolve().parents[2]
# What every function would import at its first request, by itself: 20 MB each.
_IMPORTED_LATE: Final = (
    "anyio._backends._asyncio",
    "common.connector",
    "fastapi.telemetry._runtime",
    "genai_prices.data",  # 18 MB: what models cost is looked up at the start
    "genai_prices.data_units",
    "genai_prices.decompose",
    "genai_prices.validation",
    "infra.local.function",
    "sqlalchemy.dialects.postgresql.pg8000",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
# `approve` alone may insert decisions; the database holds everybody to their role.
ROLE: Final[Mapping[str, str]] = {"approve": "aiw_approve"}


@dataclass(slots=True)
class Stack:
    """What a data folder runs: its addresses, and how its parts start. `scale`: function -> replicas, 1 if not named.

    `cluster` is None if the database is the user's own, `redis_url` is the user's own or ours.
    """

    folder: DataFolder
    port: int
    scale: Mapping[str, int]
    cluster: Cluster | None
    database_url: str
    redis_url: str
    has_valkey: bool
    # Descriptors of the supervisor that no child may keep.
    close: tuple[int, ...] = ()
    listeners: dict[Path, socket.socket] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The front door."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def public_url(self) -> str:
        """Where people reach it."""
        return os.environ.get("AIW_PUBLIC_URL") or self.url

    @property
    def function_url(self) -> str:
        """Where each function is, by `{name}`."""
        return f"{self.url}/function/{{name}}"

    @property
    def sockets(self) -> dict[str, list[Path]]:
        """Where the replicas of each function listen."""
        return {
            name: [self.folder.sockets / f"{replica}.sock" for replica in replicas(name, self.scale)]
            for name in FUNCTIONS
        }

    def environment(self, name: str, index: int = 0) -> dict[str, str]:
        """The environment of the part `name`: ours, the user's, and what it must know of the others."""
        function = name if name in FUNCTIONS else ""
        own = {
            "AIW_FUNCTION": function,
            "AIW_DATABASE_URL": self.database_url,
            "AIW_DATABASE_ROLE": ROLE.get(function, "aiw_app"),
            "AIW_REDIS_URL": self.redis_url,
            "AIW_FUNCTION_URL": self.function_url,
            "AIW_PUBLIC_URL": self.public_url,
            "AIW_DATA": str(self.folder.root),
            "AIW_SECRETS_DIR": str(self.folder.secrets),
        }
        metrics = int(os.environ.get("AIW_METRICS_PORT") or 0)
        if metrics:
            # Many processes on one machine: each takes the next port.
            own["AIW_METRICS_PORT"] = str(metrics + index)
        return {**os.environ, **own}

    def start_of(self, name: str, index: int = 0) -> Start:
        """How a child of our own code starts."""
        return Start(
            log=self.folder.log / f"{name}.log",
            cwd=ROOT,
            environment=self.environment(name.partition("-")[0], index),
            close=self.close,
        )

    def servers(self) -> list[Part]:
        """PostgreSQL and Valkey, where they are ours."""
        parts = []
        if self.cluster is not None:
            cluster = self.cluster
            parts.append(
                Part(
                    "postgres",
                    Stage.POSTGRES,
                    launch=lambda: postgres.start(cluster),
                    # Fast: SIGTERM would wait for every client to leave.
                    stop_signal=signal.SIGINT,
                    mend=lambda: postgres.end_leftovers(cluster),
                )
            )
        if self.has_valkey:
            parts.append(Part("valkey", Stage.VALKEY, launch=lambda: valkey.start(self.folder)))
        return parts

    def functions(self) -> list[Part]:
        """The five, each replica a part. Needs `import_all` before they are launched."""
        parts: list[Part] = []
        for name in FUNCTIONS:
            for replica, path in zip(replicas(name, self.scale), self.sockets[name], strict=True):
                parts.append(self._function(name, replica, path, index=len(parts)))
        return parts

    def _function(self, name: str, replica: str, path: Path, index: int) -> Part:
        from infra.local import function  # noqa: PLC0415 - imports uvicorn, which `import_all` pays for

        part = Part(replica, Stage.FUNCTIONS, launch=lambda: 0)

        def launch() -> int:
            if path not in self.listeners:
                self.listeners[path] = function.listen(path)
            listener = self.listeners[path]
            others = tuple(each.fileno() for each in self.listeners.values() if each is not listener)
            start = self.start_of(replica, index)
            app = sys.modules[f"functions.{name}.handler"].app
            pid = fork(lambda: function.serve(app, listener), replace(start, close=(*start.close, *others)))
            if part.failures > 1:
                # It does not stay up: better a refusal at once than a request that waits for nothing.
                self.shut(path)
            return pid

        part.launch = launch
        return part

    def doors(self) -> list[Part]:
        """Connector and nginx."""
        connector = sys.modules["common.connector"]
        base = urlsplit(self.public_url).path.rstrip("/")
        return [
            Part(CONNECTOR, Stage.DOORS, launch=self._forked(CONNECTOR, connector.main)),
            Part("nginx", Stage.DOORS, launch=lambda: nginx.start(self.folder, self.port, self.sockets, base)),
        ]

    def _forked(self, name: str, body: Callable[[], object]) -> Callable[[], int]:
        def launch() -> int:
            start = self.start_of(name)
            listeners = tuple(each.fileno() for each in self.listeners.values())
            return fork(body, replace(start, close=(*start.close, *listeners)))

        return launch

    def minute(self) -> None:
        """What the supervisor does at the start of each minute."""
        knock(self.sockets["schedule"])
        trim(self.folder.log)

    def shut(self, path: Path) -> None:
        """Close a listening socket: from now on nginx answers 503 for it by itself."""
        listener = self.listeners.pop(path, None)
        if listener is not None:
            listener.close()

    def shut_all(self) -> None:
        """As `shut`, for every function: a drain begins."""
        for path in list(self.listeners):
            self.shut(path)


def replicas(name: str, scale: Mapping[str, int]) -> list[str]:
    """The names of a function's replicas: execute, execute-2, execute-3."""
    return [name, *(f"{name}-{number}" for number in range(2, scale.get(name, 1) + 1))]


def import_all() -> None:
    """Import everything that children run, once for all of them: what is shared here is not paid for five times."""
    for name in FUNCTIONS:
        importlib.import_module(f"functions.{name}.handler")
    wanted = [found.name for found in pkgutil.walk_packages(analysis.__path__, f"{analysis.__name__}.")]
    for module in (*_IMPORTED_LATE, *wanted):
        importlib.import_module(module)


class _Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def answers(target: Path | int, path: str, timeout: float = 0.5) -> bool:
    """Whether GET `path` gives 200, from a socket or a local port, within `timeout` seconds."""
    if isinstance(target, Path):
        connection: http.client.HTTPConnection = _Unix(target, timeout)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", target, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
