"""Work in batches that a killed run leaves behind finished, so that the next run does only the rest.

A shard is a batch of named items (images). It is done in a folder of its own below ``.shards``; then a note is written
there, with the fingerprint of what went in, and its files move up. A run does the shards that have no such note.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

import pandas as pd

from common.errors import DataError, fail_together
from common.files import atomic, discard
from common.parallel import killed_at, pmap
from common.tables import SKIPPED

T = TypeVar("T")
Rows = pd.DataFrame | str
"""The rows of an item, or a sentence on why it cannot be used."""
Work = Callable[[Mapping[str, T], Path, int], Mapping[str, Rows]]
"""Does some items of the shard of that number, by name: writes files into the folder that it is given and returns the
rows of each. It writes nothing for an item that cannot be used. What an item gives does not depend on the others."""
OnFault = Literal["stop", "skip"]
"""Whether items that cannot be used stop the stage, or are left out; they are listed in both cases."""

NOTES = ".shards"


@dataclass(frozen=True)
class Shard(Generic[T]):
    """A batch of items by their names, and the fingerprint of all that shapes its output."""

    number: int
    items: Mapping[str, T]
    fingerprint: str


def fingerprint(settings: str, files: Iterable[Path]) -> str:
    """Sum up what a shard is made from: settings, files by their size and time, and the code of this package."""
    found = hashlib.sha256(f"{_code()}\n{settings}\n".encode())
    for path in files:
        known = path.stat() if path.exists() else None
        found.update(f"{path} {known and (known.st_size, known.st_mtime_ns)}\n".encode())
    return found.hexdigest()


@cache
def _code() -> str:
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def one_by_one(
    items: Mapping[str, T], folder: Path, shard: int, work: Callable[[T, Path, int], pd.DataFrame]
) -> dict[str, Rows]:
    """The ``Work`` (with ``partial``) that does each item by itself; ``work`` may raise a ``DataError``."""
    found: dict[str, Rows] = {}
    for name, item in items.items():
        try:
            found[name] = work(item, folder, shard)
        except DataError as error:
            found[name] = str(error)
    return found


def run_shards(
    work: Work[T], shards: Sequence[Shard[T]], folder: Path, columns: Sequence[str], what: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Do, in parallel, the shards that ``folder`` does not hold yet; call ``finish_shards`` when all else is written.

    Args:
        columns: those of the table where there are no rows.
        what: names the work on the progress bar.

    Returns:
        The rows of all items in their order, and the faults of the items that cannot be used, by name; an item that
        kills its worker is one of them. Shards with a fault are done again by the next run, so that a mended image
        is seen.
    """
    notes = folder / NOTES
    notes.mkdir(parents=True, exist_ok=True)
    wanted = {f"{shard.number:05d}": shard.fingerprint for shard in shards}
    for note in sorted(notes.glob("*.parquet")):
        if _fingerprint_of(note) != wanted.get(note.stem):
            _forget(note, folder)
    todo = [shard for shard in shards if not _note(folder, shard.number).exists()]
    if len(todo) < len(shards):
        print(f"{what}: {len(shards) - len(todo)} of {len(shards)} parts are kept", file=sys.stderr)
    isolate = partial(_isolate, work=work, folder=folder, what=what)
    for _ in pmap(partial(_run_shard, work=work, folder=folder), todo, what, deadly=isolate):
        pass
    for shard in shards:
        _move_up(_note(folder, shard.number), folder)
    tables = [pd.read_parquet(_note(folder, shard.number)) for shard in shards]
    faults = {name: fault for table in tables for name, fault in table.attrs["faults"].items()}
    return _joined(tables, columns), faults


def finish_shards(folder: Path) -> None:
    """Remove the notes: ``folder`` is complete."""
    discard(folder / NOTES)


def settle_faults(faults: dict[str, str], total: int, on_fault: OnFault, folder: Path) -> None:
    """Stop because of items that cannot be used, or list them on the screen and in ``folder``.

    Raises:
        DataError: there are faults and ``on_fault`` is ``stop``, or all of the ``total`` items have one.
    """
    discard(folder / SKIPPED)
    if on_fault == "stop" or len(faults) == total:
        advice = "mend them and run again: what is done is kept; or leave them out by on_fault: skip"
        fail_together(list(faults.values()), f"{len(faults)} of {total} images cannot be used", advice)
    if faults:
        listed = pd.DataFrame({"image_id": list(faults), "reason": list(faults.values())})
        listed.to_csv(folder / SKIPPED, index=False)
        lines = [f"  {fault}" for fault in list(faults.values())[:20]]
        print(
            f"warning: {len(faults)} of {total} images are left out; all are in {SKIPPED}", *lines, sep="\n"
        )


def _note(folder: Path, number: int) -> Path:
    return folder / NOTES / f"{number:05d}.parquet"


def _fingerprint_of(note: Path) -> str | None:
    known = pd.read_parquet(note).attrs
    return None if known["faults"] else known["fingerprint"]


def _forget(note: Path, folder: Path) -> None:
    for name in pd.read_parquet(note).attrs["files"]:
        discard(folder / name)
    discard(note)


def _isolate(shard: Shard[T], work: Work[T], folder: Path, what: str) -> None:
    """Do a shard that kills its worker: find the items that do so even alone, then do the shard without them."""
    deadly: dict[str, str] = {}

    def note(name: str) -> None:
        deadly[name] = killed_at(name)

    alone = partial(_try_alone, shard=shard, work=work, folder=folder)
    for _ in pmap(alone, list(shard.items), f"{what}, one by one", deadly=note):
        pass
    for _ in pmap(partial(_run_shard, work=work, folder=folder, deadly=deadly), [shard], what):
        pass


def _try_alone(name: str, shard: Shard[T], work: Work[T], folder: Path) -> None:
    with TemporaryDirectory(dir=folder / NOTES) as scratch:
        work({name: shard.items[name]}, Path(scratch), shard.number)


def _run_shard(
    shard: Shard[T], work: Work[T], folder: Path, deadly: Mapping[str, str] = MappingProxyType({})
) -> None:
    note = _note(folder, shard.number)
    made = note.with_suffix("")
    discard(made)
    made.mkdir()
    harmless = {name: item for name, item in shard.items.items() if name not in deadly}
    found = {**deadly, **work(harmless, made, shard.number)}
    table = _joined([rows for name in shard.items if not isinstance(rows := found[name], str)], ())
    faults = {name: rows for name in shard.items if isinstance(rows := found[name], str)}
    files = sorted(path.name for path in made.iterdir())
    table.attrs = {"fingerprint": shard.fingerprint, "files": files, "faults": faults}
    with atomic(note) as part:
        table.to_parquet(part, index=False)
    _move_up(note, folder)


def _move_up(note: Path, folder: Path) -> None:
    made = note.with_suffix("")
    if made.exists():
        for path in made.iterdir():
            path.replace(folder / path.name)
        made.rmdir()


def _joined(tables: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    full = [table for table in tables if len(table)]  # an empty one would change the types of columns
    for table in full:
        table.attrs = {}
    return pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=list(columns))
