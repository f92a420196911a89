"""The page's server: a static page, pictures of known cells, and a few answers in JSON."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from importlib import resources

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp

from common.errors import DataError, MachineError, ParamsError
from common.labelling.answers import add_answers
from common.labelling.guard import Guard
from common.labelling.session import Session

LEAST_TOKEN = 12
STATIC = {"/": ("page.html", "text/html"), "/login": ("login.html", "text/html")}
STATIC |= {"/page.js": ("page.js", "text/javascript"), "/page.css": ("page.css", "text/css")}


def make_app(session: Session, hosts: frozenset[str], token: str | None = None) -> ASGIApp:
    """The server as an ASGI app.

    Args:
        session: see there.
        hosts: what browsers may call this server, like ``127.0.0.1:8765``.
        token: asked of raters, where given.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(DataError, _refused)
    for address, (file, kind) in STATIC.items():
        content = resources.files("common.labelling").joinpath(file).read_bytes()
        answer = Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})
        app.add_api_route(address, _constant(answer), methods=["GET"])
    add_answers(app, session)
    return Guard(app, hosts, token)


def _constant(answer: Response) -> Callable[[], Awaitable[Response]]:
    async def given() -> Response:
        return answer

    return given


def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=409)


def serve(session: Session, host: str, port: int, token: str | None) -> None:
    """Serve the page until a signal ends it.

    Raises:
        ParamsError: an address that others reach needs a token.
        MachineError: the address or port cannot be used.
    """
    refuse_open(host, token)
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise MachineError(f"{host}:{port}: cannot be used ({error.strerror}); give another --port") from None
    with listening:
        port = listening.getsockname()[1]
        print(f"open http://{_in_url(host)}:{port}/ in a browser; Ctrl-C ends", flush=True)
        app = make_app(session, names_of(host, port), token)
        # Its access log would hold the names of raters.
        uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        ).run(sockets=[listening])


def refuse_open(host: str, token: str | None) -> None:
    """Refuse to serve others than this machine's users without a token.

    Raises:
        ParamsError: says what to give.
    """
    if token is not None and len(token) < LEAST_TOKEN:
        raise ParamsError(f"--token: has {len(token)} characters, expected at least {LEAST_TOKEN}")
    if host in ("0.0.0.0", "::"):
        raise ParamsError(f"--host {host}: give the one address that raters type into their browsers")
    if token is None and not _is_loopback(host):
        raise ParamsError(f"--host {host}: others reach this address; give a --token that raters must know")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_of(host: str, port: int) -> frozenset[str]:
    """What browsers may call a server at ``host``."""
    names = {_in_url(host.lower())} | ({"localhost", "127.0.0.1"} if _is_loopback(host) else set())
    return frozenset(f"{name}:{port}" for name in names) | (names if port == 80 else set())


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
