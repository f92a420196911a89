"""What the server answers: pictures of known cells, and JSON."""

from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, HTTPException, Query
from fastapi.responses import Response
from pydantic import Field

from common.classes import CLASSES
from common.labelling import review
from common.labelling.ledger import SHOWS
from common.labelling.session import Session
from common.labelling.storage import Event, Rater
from common.params import Params
from common.quality import ClassId

Held = Annotated[tuple[str, int], Field(strict=False)]  # JSON has no tuples


class Wanted(Params):
    """What the page asks for: the next cells, without those that it holds."""

    rater: Rater
    class_id: ClassId
    count: Annotated[int, Field(ge=1, le=100)] = 24
    held: Annotated[list[Held], Field(max_length=500)]


Events = Annotated[list[Event], Field(min_length=1, max_length=200)]
Json = dict[str, object]


def add_answers(app: FastAPI, session: Session) -> None:
    """Add the routes of a session to ``app``."""
    answers = Answers(session)
    for name in ("session", "cell", "audit", "trail", "progress", "disputes", "agreement"):
        app.add_api_route(f"/api/{name}", getattr(answers, name), methods=["GET"])
    app.add_api_route("/pictures/{version}/{image_id}/{cell_id}.jpg", answers.picture, methods=["GET"])
    app.add_api_route("/api/next", answers.next, methods=["POST"])
    app.add_api_route("/api/events", answers.events, methods=["POST"])


class Answers:
    """The answers of one session, each named like its address."""

    def __init__(self, session: Session) -> None:
        self._of = session

    def session(self) -> Json:
        """What the page must know before all else."""
        classes = [{"id": class_id, "name": CLASSES[class_id]} for class_id in self._of.classes]
        return {"classes": classes, "cells": len(self._of.subjects.cells), "shows": SHOWS}

    def picture(self, version: str, image_id: str, cell_id: int) -> Response:
        """A cell's JPEG; its address changes with the segmentation."""
        row = self._row(image_id, cell_id)
        if version != self._of.version:
            raise HTTPException(404, "the cells were segmented anew; load the page again")
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(self._of.pictures.of(row), media_type="image/jpeg", headers=kept)

    def cell(self, image: str, cell: int, class_id: ClassId, rater: Rater) -> Json:
        """A cell to jump to."""
        return self._of.jump(self._row(image, cell), rater, class_id)

    def audit(self, image: str, cell: int, class_id: ClassId) -> list[Json]:
        """All that happened to a cell."""
        return review.audit(self._of, self._row(image, cell), class_id)

    def trail(
        self, rater: Rater, class_id: ClassId, count: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> list[Json]:
        """A rater's last cells."""
        return self._of.trail(rater, class_id, count)

    def progress(self, rater: Rater, class_id: ClassId) -> Json:
        """How much a rater scored and found."""
        return self._of.progress(rater, class_id)

    def disputes(self, class_id: ClassId) -> list[Json]:
        """Cells to review."""
        return review.disputes(self._of, class_id)

    def agreement(self) -> list[Json]:
        """How far raters agree."""
        return review.agreements(self._of)

    def next(self, wanted: Wanted, after: BackgroundTasks) -> list[Json]:
        """The next cells; their pictures are drawn while the page reads the answer."""
        if wanted.class_id not in self._of.classes:
            raise HTTPException(404, f"class {wanted.class_id} is not scored here")
        found = self._of.next_cells(wanted.rater, wanted.class_id, wanted.count, wanted.held)
        for cell in found:
            after.add_task(self._of.pictures.of, self._row(str(cell["image_id"]), int(str(cell["cell_id"]))))
        return found

    def events(self, events: Events) -> dict[str, int]:
        """Keep events; once this answers, they are on the disk."""
        return {"new": self._of.record(events)}

    def _row(self, image_id: str, cell_id: int) -> int:
        row = self._of.row(image_id, cell_id)
        if row is None:
            raise HTTPException(404, f"there is no cell {cell_id} of {image_id}")
        return row
