"""What a pipeline is doing, for people: a view that stays in place on a terminal, a line a stage in a log."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from common.pipeline import Pipeline, short

if TYPE_CHECKING:
    from rich.console import Group


@contextmanager
def view() -> Iterator[Callable[[Pipeline], None]]:
    """Give the function that shows how far a pipeline is."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.live import Live

    console, said = Console(stderr=True), Lines()
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def show(pipeline: Pipeline) -> None:
            said(pipeline)
            live.update(picture(pipeline, said.since))

        yield show


class Lines:
    """Says when a stage ends."""

    def __init__(self) -> None:
        self.since, self.told = time.monotonic(), set[str]()

    def __call__(self, pipeline: Pipeline) -> None:
        for name in [*pipeline.done, *pipeline.failed]:
            if name not in self.told:
                self.told.add(name)
                end = "failed" if name in pipeline.failed else f"{pipeline.seconds[name]:.0f} s"
                count = f"{len(self.told)}/{len(pipeline.after)}"
                print(
                    f"{clock(time.monotonic() - self.since)} {count:>7}  {short(name)}: {end}",
                    file=sys.stderr,
                )


def picture(pipeline: Pipeline, since: float) -> "Group":
    """How far it is, what runs and what it last said, and what is left."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    now, ended = time.monotonic(), len(pipeline.done) + len(pipeline.failed)
    head = Table.grid(padding=(0, 2))
    left = "" if pipeline.left_s is None else f"about {clock(pipeline.left_s)} left"
    bar = ProgressBar(total=len(pipeline.after), completed=ended, width=30)
    head.add_row(bar, f"{ended} of {len(pipeline.after)} stages", clock(now - since), left)
    work = Table.grid(padding=(0, 2), expand=True)
    for column in ({}, {"justify": "right"}, {"ratio": 1, "no_wrap": True}):
        work.add_column(**column)
    for name, each in pipeline.running.items():
        # As Text: a log's [/brackets] are no markup.
        work.add_row(Text(short(name), "bold"), clock(now - each.since), Text(each.says, "dim"))
    kinds = Counter(name.rpartition(":")[2].partition("@")[0] for name in pipeline.waiting)
    rest = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.items())
    return Group(head, work, f"then: {rest or 'nothing more'}")


def clock(seconds: float) -> str:
    """Minutes and seconds: ``3:07``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
