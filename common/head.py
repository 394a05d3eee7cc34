"""HEAD is served wherever GET is: the same status and headers, and no body (RFC 9110 section 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Enough(Exception):
    """The headers are out: what would follow them is not made. A stream does not even begin."""


def headed(app: ASGIApp) -> ASGIApp:
    """What answers HEAD as `app` answers GET, without the body."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def begun(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _Enough

        try:
            await app(asked, receive, begun)
        except _Enough:
            return
        finally:
            # Telemetry counts by the route, which is named in the scope that it was found for.
            if "route" in asked:
                scope["route"] = asked["route"]

    return serve
