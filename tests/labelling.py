"""A folder of two small segmented fields for tests of the labelling page, and a client of its server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from starlette.testclient import TestClient

from common.cells import cell_mask_path, measure_cells, write_mask
from common.images import Field
from common.labelling.order import OrderParams
from common.labelling.server import make_app
from common.labelling.session import Session
from common.labelling.storage import EventStore
from common.labelling.subjects import of_folder
from tests.labelled import mask_of

HOST = "127.0.0.1:8765"


def write_folder(folder: Path, draw: Callable[..., np.ndarray], write: Callable[..., Field]) -> None:
    """Fields a (Mitotic spindle) and b of 40 px in ``folder``/images, three cells each; masks in ``folder``/masks."""
    tables = []
    (folder / "masks").mkdir(parents=True)
    for seed, image_id in enumerate("ab"):
        write(folder / "images", image_id, draw(seed, 40))
        mask = mask_of(1, 2, 3)
        write_mask(cell_mask_path(folder / "masks", image_id), mask)
        tables.append(measure_cells(image_id, mask, mask))
    pd.concat(tables).to_parquet(folder / "masks" / "cells.parquet", index=False)
    (folder / "images" / "train.csv").write_text("ID,Label\na,11\nb,0\n")


def session_of(folder: Path, **values: Any) -> Session:
    """A session on ``write_folder``'s folder that scores classes 11 and 0; its events are in scores.sqlite."""
    subjects = of_folder(folder / "images", folder / "masks")
    given: dict[str, Any] = {"params": OrderParams(), "shared": 1.0} | values
    return Session(subjects, EventStore(folder / "scores.sqlite"), (11, 0), **given)


def client_of(session: Session, token: str | None = None) -> TestClient:
    """A browser at our address."""
    return TestClient(
        make_app(session, frozenset({HOST}), token), base_url=f"http://{HOST}", follow_redirects=False
    )


def event(number: int, cell: dict[str, Any], **values: Any) -> dict[str, Any]:
    """An event of class 11 by Ann, as the page sends it: the score 5, if not said otherwise."""
    place = {key: cell[key] for key in ("image_id", "y", "x")}
    given = {
        "id": str(UUID(int=number)),
        "kind": "score",
        "rater": "Ann",
        "class_id": 11,
        "score": 5,
        "why": "",
    }
    return given | place | values


def next_of(client: TestClient, rater: str = "Ann", count: int = 10, **values: Any) -> list[dict[str, Any]]:
    """The next cells of class 11."""
    wanted = {"rater": rater, "class_id": 11, "count": count, "held": []} | values
    answer = client.post("/api/next", json=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found
