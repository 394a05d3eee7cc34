"""Talking to a running server: where it is, whose token is used, one request, one live stream.

`http.client`, not httpx2: that imports in 0.19 s on two cores, and an answer is promised within 0.3 s.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlencode, urlsplit

from cli.answers import FaultView, Json, ProblemView
from cli.stream import Message, messages

API: Final = "/api/v1"
ROOTS_DATA: Final = Path("/var/lib/aiw/data")  # PostgreSQL refuses to run as root, and `nobody` cannot enter /root
REFUSED, USAGE, NOT_SUCCEEDED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 69, 130
# One request may be sent again while a part restarts; never longer than a person would wait before asking why.
TRIES: Final = 3
LONGEST_RETRY_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 30.0
PAGE: Final = 200  # items an answer, the most that a list gives
FAULTS_SHOWN: Final = 3
SILENCE_SECONDS: Final = 75.0  # a stream says something at least every minute


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the command. `chosen`: `--data` was given, so the environment's server is not meant."""

    data: Path
    port: int
    json: bool
    lang: str
    chosen: bool = False


class Stop(Exception):
    """The command ends here: an exit code, and one line of the catalogue that says what, and the mend."""

    def __init__(self, code: int, key: str, **values: object) -> None:
        """`code`: the exit code. `key`, `values`: the line."""
        super().__init__(key, values)
        self.code = code
        self.key = key
        self.values = values


class Refusal(Stop):
    """The server answered with a problem (RFC 9457): `code` ends its type."""

    def __init__(self, status: int, problem: ProblemView, retry_after: float) -> None:
        """`problem`: as the server wrote it; empty if it was none."""
        unavailable = status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
        super().__init__(UNREACHABLE if unavailable else REFUSED, "cli.error.problem")
        title = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else str(status)
        about: ProblemView = {"type": "about:blank", "title": title, "status": status, "detail": title}
        self.status = status
        self.problem: ProblemView = {**about, **problem}
        self.problem_code = self.problem["type"].rpartition("/")[2]
        self.seconds = round(retry_after)

    def __str__(self) -> str:
        """Its title and detail, as the server wrote them."""
        return ": ".join(filter(None, [self.problem["title"], self.detail()]))

    def detail(self) -> str:
        """What is wrong where: each fault with its pointer and hint, else the detail."""
        faults = self.problem.get("errors") or []
        if faults:
            return "; ".join(_fault(fault) for fault in faults[:FAULTS_SHOWN])
        return "" if self.problem["detail"] == self.problem["title"] else self.problem["detail"]


def _fault(fault: FaultView) -> str:
    hint = fault.get("hint")
    return f"{fault.get('pointer', '#')}: {fault.get('detail', '')}" + (f" ({hint})" if hint else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that was accepted, and how."""

    status: int
    body: Json
    version: str | None = None  # the ETag


def data_folder() -> Path:
    """Where everything lasts unless `--data` says otherwise."""
    if os.geteuid() == 0:
        return ROOTS_DATA
    return Path.home() / ".local" / "share" / "aiw"


def find_server(options: Options) -> tuple[str, str]:
    """(base URL, token) of the server that is meant. Stop(69) if none runs."""
    url, token = os.environ.get("AIW_URL"), os.environ.get("AIW_TOKEN")
    if url and not options.chosen:
        if not token:
            raise Stop(UNREACHABLE, "cli.error.no_token")
        return url.rstrip("/"), token
    try:
        server = json.loads((options.data / "run" / "server.json").read_text())
        token = (options.data / "secrets" / "admin.token").read_text().strip()
        url = str(server["url"])
    except PermissionError as exc:
        raise Stop(UNREACHABLE, "cli.error.not_yours", path=exc.filename) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise Stop(UNREACHABLE, "cli.error.not_running", data=options.data) from exc
    return url.rstrip("/"), token


class Client:
    """One server, one connection. Every method raises Stop for what is refused or cannot be reached."""

    def __init__(self, options: Options) -> None:
        """The server is looked for when it is first needed."""
        self._options = options

    @cached_property
    def _server(self) -> tuple[str, str]:
        return find_server(self._options)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._server[0]

    @cached_property
    def _connection(self) -> http.client.HTTPConnection:
        return self._connect(ANSWER_SECONDS)

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.url)
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise Stop(UNREACHABLE, "cli.error.bad_url", url=self.url)
            return kind(parts.hostname, parts.port, timeout=seconds)
        except ValueError as exc:
            raise Stop(UNREACHABLE, "cli.error.bad_url", url=self.url) from exc

    def close(self) -> None:
        """End the connection, if there was one."""
        if "_connection" in self.__dict__:
            self._connection.close()

    def get(self, path: str, query: Mapping[str, object] | None = None, *, seconds: float = ANSWER_SECONDS) -> Json:
        """A GET under the API's prefix; `seconds` is how long the answer may take."""
        return self.send("GET", path, query=query, seconds=seconds).body

    def all(self, path: str) -> dict[str, Json]:
        """A list under the API's prefix, whole: page after page, as one answer."""
        items: list[Json] = []
        page: dict[str, Json] = {"next": ""}
        while page["next"] is not None:
            page = cast("dict[str, Json]", self.get(path, {"limit": PAGE, "cursor": page["next"]}))
            items += cast("list[Json]", page["items"])
        return {**page, "items": items}

    def post(self, path: str, body: Json) -> Json:
        """A POST under the API's prefix."""
        return self.send("POST", path, body=body).body

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Json = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Answer:
        """One request, sent again where that is safe: a GET, and whatever carries a key or has not left."""
        headers = {**self._headers(), **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            headers["Content-Type"] = "application/json"
        target = self._target(path, query)
        safe = method == "GET" or "Idempotency-Key" in headers
        for left in reversed(range(TRIES)):
            try:
                status, found, raw = self._once(method, target, data, headers, seconds)
            except (OSError, http.client.HTTPException) as exc:
                self._connection.close()
                unsent = isinstance(exc, ConnectionRefusedError)
                if left and safe and not unsent and not isinstance(exc, TimeoutError):
                    continue
                raise self._unreachable(exc) from exc
            pause = _retry_after(found)
            if status == HTTPStatus.SERVICE_UNAVAILABLE and left and safe and pause <= LONGEST_RETRY_SECONDS:
                time.sleep(pause)
                continue
            return self._judge(status, found, raw)
        raise AssertionError("the last try returns or raises")

    def probe(self, path: str) -> int:
        """The status of a GET outside the API, 0 if there is no answer."""
        try:
            return self._once("GET", self._prefix + path, None, {}, ANSWER_SECONDS)[0]
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0

    def server_time(self) -> str | None:
        """The `Date` of an answer."""
        try:
            return self._once("GET", self._prefix + "/function/dashboard/_/health", None, {}, ANSWER_SECONDS)[1]["Date"]
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None

    def stream(self, path: str, after: str | None = None) -> Iterator[Message]:
        """A live stream; taken up again where it broke, and it ends only when the server cannot be reached any more."""
        silent_tries = 0
        while True:
            try:
                for message in self._stream_once(path, after):
                    silent_tries = 0
                    after = message.position or after
                    yield message
            except (OSError, http.client.HTTPException) as exc:
                silent_tries += 1
                if silent_tries >= TRIES:
                    raise self._unreachable(exc) from exc
            time.sleep(LONGEST_RETRY_SECONDS if silent_tries else 0.1)

    def _stream_once(self, path: str, after: str | None) -> Iterator[Message]:
        connection = self._connect(SILENCE_SECONDS)
        headers = {**self._headers(), "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = after
        try:
            connection.request("GET", self._target(path, None), headers=headers)
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                self._judge(response.status, response.headers, response.read())
            yield from messages(line.decode("utf-8", "replace") for line in response)
        finally:
            connection.close()

    @cached_property
    def _prefix(self) -> str:
        return urlsplit(self.url).path.rstrip("/")

    def _target(self, path: str, query: Mapping[str, object] | None) -> str:
        given = {name: value for name, value in (query or {}).items() if value not in (None, (), [])}
        return self._prefix + API + path + ("?" + urlencode(given, doseq=True) if given else "")

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._server[1]}",
            "Accept": "application/json",
            "Accept-Language": self._options.lang,
        }

    def _once(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._connection
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        connection.request(method, target, data, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def _judge(self, status: int, headers: http.client.HTTPMessage, raw: bytes) -> Answer:
        try:
            body: Json = json.loads(raw) if raw.strip() else None
        except ValueError:
            body = None
            if status < HTTPStatus.BAD_REQUEST:
                raise Stop(UNREACHABLE, "cli.error.not_aiw", url=self.url) from None
        if status < HTTPStatus.BAD_REQUEST:
            return Answer(status, body, headers["ETag"])
        problem = cast(ProblemView, body) if isinstance(body, dict) else ProblemView()
        raise Refusal(status, problem, _retry_after(headers))

    def _unreachable(self, exc: BaseException) -> Stop:
        if isinstance(exc, ConnectionRefusedError | FileNotFoundError):
            return Stop(UNREACHABLE, "cli.error.refused_connection", url=self.url)
        return Stop(UNREACHABLE, "cli.error.no_answer", url=self.url, why=str(exc) or type(exc).__name__)


def _retry_after(headers: http.client.HTTPMessage) -> float:
    try:
        return max(0.1, float(headers["Retry-After"]))
    except (TypeError, ValueError):
        return LONGEST_RETRY_SECONDS
