"""nginx's configuration, made from `common.routes.ROUTES`: a route is typed once, and the front door cannot disagree.

One map answers "which function?" by method and path. An exact path is found by hash; one with `{id}` is an expression.
What nginx has to answer itself is problem+json, or for a browser a page (`infra.nginx.pages`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.routes import FUNCTIONS, ROUTES, Route
from infra.nginx.pages import HEADERS as PAGE_HEADERS, OWN, SECONDS

# Headers that RFC 9110 asks of an answer.
HEADERS: Final = {405: ("Allow", "GET, HEAD, POST, PUT, DELETE"), 503: ("Retry-After", "1")}
# The longest `?wait=` is 60 s; streams send something at least as often.
READ_SECONDS: Final = 75
# Functions refuse a body over 10 MB themselves, with a pointer; this only ends what is far beyond.
MOST_BODY: Final = "20m"
# Where the pages of `infra.nginx.pages` lie, seen from the folder that nginx runs in.
PAGES: Final = "pages"
# nginx's own answers: status it found -> status it gives, problem code, title (codes as in common/core/errors.py).
PROBLEMS: Final = {
    400: (400, "malformed", "This is not a valid HTTP request"),
    404: (404, "not_found", "There is no such thing here"),
    405: (405, "method_not_allowed", "This method is not allowed here"),
    408: (408, "timeout", "The request did not arrive in time"),
    413: (413, "too_large", "The body is too large"),
    414: (414, "too_large", "The address is too long"),
    494: (431, "too_large", "The request's headers are too large"),
    500: (500, "error", "Something went wrong here"),
    501: (400, "malformed", "This way of sending a body is not understood: chunked, or with a length"),
    502: (503, "unavailable", "The function that answers this is not running right now"),
    503: (503, "unavailable", "The function that answers this is not running right now"),
    504: (504, "timeout", "The function did not answer in time; what was asked may have happened"),
    505: (505, "malformed", "Speak HTTP/1.1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """What the configuration is made of. `sockets`: a function's name -> where its replicas listen."""

    port: int
    sockets: Mapping[str, Sequence[Path]]
    run: Path
    as_root: bool = False


# Where nginx keeps what does not fit into memory; of the last three it only wants to know the place.
SPOOLS: Final = {
    "client_body": "nginx-body",
    "proxy": "nginx-proxy",
    "fastcgi": "nginx-unused",
    "uwsgi": "nginx-unused",
    "scgi": "nginx-unused",
}


def render(door: FrontDoor) -> str:
    """The whole configuration file."""
    # Sockets under /root are root's: workers that become `nobody` would answer 502.
    user = "user root;" if door.as_root else ""
    upstreams = "\n".join(_upstream(name, door.sockets[name]) for name in FUNCTIONS)
    spools = "\n".join(f"    {name}_temp_path {_quoted(door.run / place)};" for name, place in SPOOLS.items())
    return f"""\
# Made from common/routes.py at each start; changes here are lost.
{user}
daemon off;
worker_processes 1;
pid {_quoted(door.run / "nginx.pid")};
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    map_hash_bucket_size 256;
    map_hash_max_size 4096;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    client_max_body_size {MOST_BODY};
    # An array of 1,000 tasks stays in memory on its way.
    client_body_buffer_size 1m;
    large_client_header_buffers 4 16k;
{spools}

    # We listen on this machine only, so another address can come from nobody but a proxy of the user's on it.
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
    map $http_x_forwarded_proto $aiw_scheme {{ default $scheme; https https; }}

    map "$request_method $uri" $aiw_function {{
        default dashboard;
{_routes(ROUTES)}
    }}

{_READER}
{_headers()}

{upstreams}

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Proto $aiw_scheme;
    proxy_set_header X-Call-Id $request_id;
    proxy_connect_timeout 5s;
    proxy_read_timeout {READ_SECONDS}s;
    proxy_send_timeout {READ_SECONDS}s;
    # Streams switch buffering off by X-Accel-Buffering.
    proxy_buffers 16 16k;
    proxy_buffer_size 16k;

{_server(door.port)}
}}
"""


# Of the request as it came: where an answer of nginx's own is made, it has become a GET of another path. A language is
# found as the dashboard finds it: `?lang=`, what was chosen before, the first of Accept-Language that we speak.
_READER: Final = r"""
    map $request_uri $aiw_place { default page; "" program; "~^/(api|_|function)([/?]|$)" program; }
    map "$aiw_place $http_accept" $aiw_reader { default program; "~*^page .*text/html" browser; }
    map $request $aiw_verb { default post; "~^(GET|HEAD) " get; }
    map $http_accept_language $aiw_spoken { default en; "~*^((?!\s*(ko|en))[^,]*,)*\s*ko" ko; }
    map $cookie_aiw_lang $aiw_chosen { default $aiw_spoken; ko ko; en en; }
    map $request_uri $aiw_lang { default $aiw_chosen; "~[?&]lang=ko(&|$)" ko; "~[?&]lang=en(&|$)" en; }
    map $aiw_reader $aiw_own { default "_problem/"; browser "_page/$aiw_verb.$aiw_lang/"; }
"""


def _server(port: int) -> str:
    """Where requests come in: by their path, by a function's name, and what nginx answers itself."""
    by_name = "\n".join(_by_name(name) for name in FUNCTIONS)
    given = PAGE_HEADERS | {name: _variable(name) for name in ("Refresh", *(name for name, _ in HEADERS.values()))}
    headers = "\n".join(f"            add_header {name} {_quoted(value)} always;" for name, value in given.items())
    problems = "\n".join(_problem(found, *answer) for found, answer in PROBLEMS.items())
    return f"""\
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            # uvicorn's parser knows no other methods, and answers them with plain text.
            if ($request_method !~ "^(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS)$") {{ return 405; }}
            proxy_pass http://$aiw_function;
        }}
{by_name}
{problems}
        location ^~ /_page/ {{
            internal; alias {PAGES}/; default_type text/html; charset utf-8;
            etag off; if_modified_since off; max_ranges 0;
{headers}
        }}
    }}"""


def _headers() -> str:
    """The same for pages, as variables: nginx sends no header that is empty. A form is never sent again by itself."""
    passing = "|".join(sorted({str(PROBLEMS[found][0]) for found, own in OWN.items() if own.passes}))
    again = f'    map "$aiw_verb $status" $aiw_refresh {{ default ""; "~^get ({passing})$" {SECONDS}; }}'
    return (
        "\n".join(
            f'    map $status {_variable(name)} {{ default ""; {status} {_quoted(value)}; }}'
            for status, (name, value) in HEADERS.items()
        )
        + f"\n{again}"
    )


def _variable(header: str) -> str:
    return f"$aiw_{header.lower().replace('-', '_')}"


def _routes(routes: Sequence[Route]) -> str:
    """The map's lines: each route by its method; then each path alone, so that a wrong method gets its owner's 405."""
    lines: dict[str, str] = {}
    # What is the dashboard's alone needs no line: it has everything that nobody else has.
    shared = {route.path for route in routes if route.function != "dashboard"}
    routes = [route for route in routes if route.path in shared]
    for route in routes:
        methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
        for method in methods:
            lines.setdefault(_key(method, route.path), route.function)
    for route in routes:
        lines.setdefault(_key(None, route.path), route.function)
    return "\n".join(f"        {key} {function};" for key, function in lines.items())


def _key(method: str | None, path: str) -> str:
    """A map's key: a literal where it can be, an anchored expression where the path or the method is open."""
    if method is not None and "{" not in path:
        return f'"{method} {path}"'
    parts = [r"[^/]+" if part.startswith("{") else re.escape(part) for part in path.split("/")]
    return f'"~^{method or "[A-Z]+"} {"/".join(parts)}$"'


def _upstream(name: str, sockets: Sequence[Path]) -> str:
    servers = "\n".join(
        f"        server {_quoted('unix:' + str(path))} max_fails=1 fail_timeout=1s;" for path in sockets
    )
    # uvicorn keeps an idle connection for 75 s: nginx must be the one that closes it, or a POST meets a closing door.
    return f"""\
    upstream {name} {{
{servers}
        keepalive 64;
        keepalive_requests 100000;
        keepalive_timeout 60s;
    }}"""


def _by_name(name: str) -> str:
    """`/function/NAME/…`, as on OpenFaaS: the function sees the path after it."""
    return f"""\
        location = /function/{name} {{ proxy_pass http://{name}/; }}
        location /function/{name}/ {{ proxy_pass http://{name}/; }}"""


def _problem(found: int, status: int, code: str, title: str) -> str:
    # A location by path and not a named one: a request line that nginx cannot read has no path to keep.
    body = json.dumps({"type": f"/problems/{code}", "title": title, "status": status, "detail": title})
    name, value = HEADERS.get(status, ("", ""))
    header = f"add_header {name} {_quoted(value)} always; " if name else ""
    place = "${aiw_own}" if found in OWN else "_problem/"
    return f"""\
        error_page {found} ={status} /{place}{found};
        location = /_problem/{found} {{
            internal; {header}default_type application/problem+json; return {status} {_quoted(body)};
        }}"""


def _quoted(text: str | Path) -> str:
    """A string of nginx's: quoted, and nothing in it ends it."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
