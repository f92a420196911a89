"""Every score that a rater gave, kept for good: an SQLite file of events that are added and never changed.

A score belongs to a place (y, x) of an image. The page makes the id of an event, so that what it sends twice is kept
once; an undo is an event too. The state of a cell is what its events amount to.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import Field, StringConstraints, model_validator

from common.errors import DataError
from common.params import Params
from common.quality import ClassId

VERSION = 1
BUSY_MS = 30_000
COLUMNS = ["id", "kind", "rater", "image_id", "y", "x", "class_id", "score", "undoes", "why", "time"]
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  rater TEXT NOT NULL,
  image_id TEXT NOT NULL,
  y INTEGER NOT NULL,
  x INTEGER NOT NULL,
  class_id INTEGER NOT NULL,
  score INTEGER,
  undoes TEXT,
  why TEXT NOT NULL,
  time TEXT NOT NULL
);
CREATE TRIGGER kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER unchanged BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
PRAGMA user_version = {VERSION};
COMMIT;
"""

Score = Annotated[int, Field(ge=0, le=5)]
Rater = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^\w[\w .'-]{0,39}$")
]  # no colon: names with one are files


class Event(Params):
    """Something that a rater did to a cell."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    kind: Literal["score", "review", "skip", "undo"]
    """A review is the score that counts where raters disagree."""
    rater: Rater
    image_id: str
    y: int
    x: int
    class_id: ClassId
    score: Score | None = None
    undoes: str | None = None
    """The id of the rater's event that an undo takes back."""
    why: Annotated[str, Field(pattern=r"^[a-z]{0,20}$")] = ""
    """Why the page showed the cell: a stream of the order."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.score is not None) != (self.kind in ("score", "review")):
            raise ValueError(f"a {self.kind} with the score {self.score}")
        if (self.undoes is not None) != (self.kind == "undo"):
            raise ValueError(f"a {self.kind} that undoes {self.undoes}")
        return self


class ImportedEvent(Event):
    """A score of a file: ``file:NAME`` stands for its raters."""

    rater: Annotated[str, Field(pattern=r"^file:.{1,80}$")]


class EventStore:
    """The file of events; several threads and processes may use it.

    Raises:
        DataError: the file is no such store, or one of another version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._lock = path, Lock()
        self._file = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise DataError(f"{path}: is no file of scores ({error}); give another one") from None

    def _prepare(self) -> None:
        self._file.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        if (found := self._version()) == 0:
            self._file.executescript(SCHEMA)
        elif found != VERSION:
            raise DataError(
                f"{self.path}: has version {found}, expected {VERSION}; use the program that wrote it"
            )

    def _version(self) -> int:
        return int(self._file.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, events: Sequence[Event]) -> list[Event]:
        """Keep all ``events`` or none; when this returns they are on the disk.

        Returns:
            Those that were not there before.

        Raises:
            DataError: an id is that of another event.
        """
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                new = [event for event in events if self._insert(event, time)]
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")
        return new

    def _insert(self, event: Event, time: str) -> bool:
        values = [getattr(event, column) for column in COLUMNS[:-1]]
        marks = ", ".join("?" * len(COLUMNS))
        done = self._file.execute(
            f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING",
            [*values, time],
        )
        if done.rowcount:
            return True
        kept = self._file.execute(f"SELECT {', '.join(COLUMNS[:-1])} FROM events WHERE id = ?", [event.id])
        if list(kept.fetchone()) != values:
            raise DataError(f"event {event.id}: this id is that of another event; give each event its own")
        return False

    def events(self) -> pd.DataFrame:
        """All events in the order in which they came: ``COLUMNS``."""
        with self._lock:
            rows = self._file.execute(f"SELECT {', '.join(COLUMNS)} FROM events ORDER BY number").fetchall()
        return pd.DataFrame(rows, columns=COLUMNS).astype({"score": "Int64"})


def standing(events: pd.DataFrame) -> pd.DataFrame:
    """The events that nobody took back, and of each rater, cell and class only the last."""
    undone = events[events["kind"] == "undo"].set_index(["rater", "undoes"]).index
    own = pd.MultiIndex.from_frame(events[["rater", "id"]])  # a rater takes back what is theirs only
    left = events[(events["kind"] != "undo") & ~own.isin(undone)]
    return left.drop_duplicates(["rater", "image_id", "y", "x", "class_id"], keep="last")


def records(table: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a table; None for NaN."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
