"""Reading a live stream: `text/event-stream`, line by line."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass

from cli.answers import Json


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a live stream."""

    position: str
    body: Json


def messages(lines: Iterator[str]) -> Iterator[Message]:
    """The messages of a `text/event-stream` body (WHATWG HTML, section 9.2.6); comments keep the connection alive."""
    position = ""
    data: list[str] = []
    for line in lines:
        text = line.rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text and data:
            try:
                yield Message(position, json.loads("\n".join(data)))
            except ValueError as exc:
                raise http.client.HTTPException("a message that is not JSON") from exc
        if not text:
            data = []
        elif name == "data":
            data.append(value)
        elif name == "id":
            position = value
