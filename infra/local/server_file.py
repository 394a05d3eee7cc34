"""`run/server.json`: what runs on a data folder, for the command line and for the next supervisor."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from infra.local.part import Part
from infra.local.stack import Stack


def describe(stack: Stack, parts: Sequence[Part]) -> str:
    """Its content: `pid`, `url`, `port`, `database_url` (the owner's), `redis_url`, `parts`: name -> pid, started."""
    running = {
        part.name: {"pid": part.process.pid, "started": part.process.started}
        for part in parts
        if part.process is not None
    }
    content = {
        "pid": os.getpid(),
        "url": stack.url,
        "port": stack.port,
        "database_url": stack.database_url,
        "redis_url": stack.redis_url,
        "parts": running,
    }
    return json.dumps(content, indent=1)
