"""The page's server: a static page, pictures of known cells, and a few answers in JSON."""

import ipaddress
import socket
from importlib import resources
from threading import Thread
from typing import Annotated

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.types import ASGIApp

from common.classes import CLASSES
from common.errors import DataError, MachineError, ParamsError
from common.labelling.guard import Guard
from common.labelling.ledger import SHOWS
from common.labelling.session import Session
from common.labelling.storage import Event, Rater
from common.params import Params
from common.quality import ClassId

AHEAD = 24
"""So many cells are drawn before anybody asks."""
LEAST_TOKEN = 12
STATIC = {"/": ("page.html", "text/html"), "/login": ("login.html", "text/html")}
STATIC |= {"/page.js": ("page.js", "text/javascript"), "/page.css": ("page.css", "text/css")}


Held = Annotated[tuple[str, int], Field(strict=False)]  # JSON has no tuples


class Wanted(Params):
    """What the page asks for: the next cells, without those that it holds."""

    rater: Rater
    class_id: ClassId
    count: Annotated[int, Field(ge=1, le=100)] = AHEAD
    held: Annotated[list[Held], Field(max_length=500)] = []


Events = Annotated[list[Event], Field(min_length=1, max_length=200)]


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
    _add_reading(app, session)
    _add_writing(app, session)
    return Guard(app, hosts, token)


def _constant(answer: Response) -> object:
    async def given() -> Response:
        return answer

    return given


def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=409)


def _add_reading(app: FastAPI, session: Session) -> None:
    @app.get("/api/session")
    def about() -> dict[str, object]:
        classes = [{"id": class_id, "name": CLASSES[class_id]} for class_id in session.classes]
        return {
            "classes": classes,
            "cells": len(session.subjects.cells),
            "shows": SHOWS,
            "version": session.version,
        }

    @app.get("/pictures/{version}/{image_id}/{cell_id}.jpg")
    def picture(version: str, image_id: str, cell_id: int) -> Response:
        row = session.row(image_id, cell_id)
        if row is None or version != session.version:
            raise HTTPException(404, "no such cell")
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(session.pictures.of(row), media_type="image/jpeg", headers=kept)

    @app.get("/api/cell")
    def cell(image: str, cell: int, class_id: ClassId, rater: Rater) -> dict[str, object]:
        return session.describe(_known(session, image, cell), class_id, rater, "jump")

    @app.get("/api/audit")
    def audit(image: str, cell: int, class_id: ClassId) -> list[dict[str, object]]:
        return session.audit(_known(session, image, cell), class_id)

    @app.get("/api/trail")
    def trail(
        rater: Rater, class_id: ClassId, count: int = Query(50, ge=1, le=200)
    ) -> list[dict[str, object]]:
        return session.trail(rater, class_id, count)

    @app.get("/api/progress")
    def progress(rater: Rater, class_id: ClassId) -> dict[str, object]:
        return session.progress(rater, class_id)

    @app.get("/api/disputes")
    def disputes(rater: Rater, class_id: ClassId) -> list[dict[str, object]]:
        return session.disputes(rater, class_id)

    @app.get("/api/agreement")
    def agreement() -> list[dict[str, object]]:
        return session.agreement()


def _known(session: Session, image_id: str, cell_id: int) -> int:
    row = session.row(image_id, cell_id)
    if row is None:
        raise HTTPException(404, f"there is no cell {cell_id} of {image_id}")
    return row


def _add_writing(app: FastAPI, session: Session) -> None:
    @app.post("/api/next")
    def next_cells(wanted: Wanted) -> list[dict[str, object]]:
        if wanted.class_id not in session.classes:
            raise HTTPException(404, f"class {wanted.class_id} is not scored here")
        found = session.next_cells(wanted.rater, wanted.class_id, wanted.count, wanted.held)
        rows = [_known(session, str(cell["image"]), int(str(cell["cell"]))) for cell in found]
        Thread(target=lambda: [session.pictures.of(row) for row in rows], daemon=True).start()
        return found

    @app.post("/api/events")
    def record(events: Events) -> dict[str, int]:
        return {"new": session.record(events)}


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
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


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
