"""One function in a process of its own: uvicorn on a socket that the supervisor keeps open."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from fastapi import FastAPI

BACKLOG: Final = 2048
# Longer than nginx keeps an idle connection: whoever closes first must be the one that sends next.
KEEP_ALIVE_SECONDS: Final = 75
# A drain longer than this is ended by the supervisor anyway.
DRAIN_SECONDS: Final = 18


class QuietServer(uvicorn.Server):
    """uvicorn without its ten looks a second: nginx writes the date, and a signal says when to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Makes nothing that belongs to a loop: that is only there later."""
        super().__init__(config)
        self._ended: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Wait until a signal asks for the end."""
        await self.on_tick(0)
        self._ended, self._loop = asyncio.Event(), asyncio.get_running_loop()
        # The signal may have come before there was an event to set.
        if not self.should_exit:
            await self._ended.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain. Runs between two bytecodes of the main thread, so the loop itself sets the event."""
        super().handle_exit(sig, frame)
        if self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)


class Together(asyncio.Transport):
    """A connection on which what is written in pairs goes out at once.

    uvicorn writes an answer's head and body one after the other, and uvloop sends each: nginx would be woken twice.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """`transport`: the real one."""
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send it with what is held, or hold it for what follows in this turn of the loop."""
        if self._held is None:
            self._held = bytes(data)
            self._loop.call_soon(self._send)
            return
        held, self._held = self._held, None
        self._transport.write(held + data)

    def close(self) -> None:
        """Send what is held, and close."""
        self._send()
        self._transport.close()

    def is_closing(self) -> bool:
        """See asyncio.Transport."""
        return self._transport.is_closing()

    def _send(self) -> None:
        # A stream's head has no body yet, and goes out by itself.
        if self._held is not None:
            held, self._held = self._held, None
            self._transport.write(held)


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol; what it answers goes through `Together`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self.transport = Together(transport)


def listen(path: Path) -> socket.socket:
    """A listening socket, ours alone. Kept by the supervisor, requests queue in it while a function is restarted."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve `app` until SIGTERM, then let requests finish. Its lifespan opens what it needs: nothing is open before."""
    # The parent froze what it had imported; from here on this process collects its own garbage.
    gc.enable()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=WholeAnswers,
        ws="none",
        lifespan="on",
        # The app logs one line per request itself.
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # Only nginx can reach the socket, and it overwrites the headers that name the client.
        proxy_headers=True,
        forwarded_allow_ips="*",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    QuietServer(config).run(sockets=[listener])
