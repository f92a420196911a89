"""Progress: a bar on a terminal, a rare plain line elsewhere, so that logs stay readable."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
QUIET_S = 10.0


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass ``items`` on and show how far they are; work shorter than 10 s says nothing in a log."""
    if sys.stderr.isatty():
        yield from _bar(items, total, what)
    else:
        yield from _lines(items, total, what)


def _bar(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=what)


def _lines(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    started = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= QUIET_S:
            left_s = (now - started) / done * (total - done)
            print(f"{what}: {done}/{total}, about {left_s:.0f} s left", file=sys.stderr, flush=True)
            said = now
