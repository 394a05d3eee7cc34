"""Our own nginx: the front door on the laptop."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local import binaries
from infra.local.errors import UpError
from infra.local.folder import DataFolder, write_private
from infra.local.postgres import CLEAN_ENVIRONMENT
from infra.local.process import Start, run_program
from infra.nginx.pages import write_pages
from infra.nginx.render import PAGES, FrontDoor, render


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there (0: any). UpError("port_taken") names a free one."""
    try:
        return _try_port(wanted)
    except OSError as exc:
        if exc.errno == errno.EACCES:
            raise UpError("port_forbidden", port=wanted) from exc
        if exc.errno != errno.EADDRINUSE:
            raise
        for other in range(wanted + 1, wanted + 50):
            try:
                raise UpError("port_taken", port=wanted, other=_try_port(other)) from exc
            except OSError:
                continue
        raise UpError("port_taken", port=wanted, other=_try_port(0)) from exc


def _try_port(port: int) -> int:
    with socket.socket() as probe:
        # As nginx does: a connection that has just ended is no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()
        taken: int = probe.getsockname()[1]
        return taken


def start(folder: DataFolder, port: int, sockets: Mapping[str, Sequence[Path]], base: str) -> int:
    """Write the configuration and the pages and start nginx; returns its process id.

    `base`: the path under which people reach the pages, without a trailing slash.
    """
    configuration = folder.run / "nginx.conf"
    door = FrontDoor(port=port, sockets=sockets, run=folder.run, as_root=os.geteuid() == 0)
    write_private(configuration, render(door))
    write_pages(folder.run / PAGES, base)
    return run_program(
        [binaries.nginx(), "-p", folder.run, "-e", "stderr", "-c", configuration],
        Start(log=folder.log / "nginx.log", cwd=folder.run, environment=CLEAN_ENVIRONMENT),
    )
