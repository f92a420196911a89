"""What the events amount to, kept in memory: who gave which score to which cell, and the way back for an undo."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from common.labelling.storage import Event

SHOWS = 4
"""A score from which on a cell counts as found: .9 and more as a soft label."""

Place = tuple[str, int, int]
"""image_id, y, x."""


class Ledger:
    """Events by rater and class, those that were undone left out."""

    def __init__(self) -> None:
        self._trails: dict[tuple[str, int], dict[str, Event]] = defaultdict(dict)

    def apply(self, events: Iterable[Event]) -> None:
        """Take further events into account, in the order in which they were kept."""
        for event in events:
            trail = self._trails[event.rater, event.class_id]
            if event.kind == "undo":
                trail.pop(str(event.undoes), None)
            else:
                trail[event.id] = event

    def trail(self, rater: str, class_id: int) -> list[Event]:
        """A rater's standing events of a class, in order; of one cell there may be several."""
        return list(self._trails.get((rater, class_id), {}).values())

    def latest(self, rater: str, class_id: int) -> dict[Place, Event]:
        """The last standing event of each place that a rater met."""
        return {(event.image_id, event.y, event.x): event for event in self.trail(rater, class_id)}

    def of_class(self, class_id: int) -> Iterator[tuple[str, dict[Place, Event]]]:
        """The raters of a class, and ``latest`` of each."""
        for rater in [rater for rater, known in self._trails if known == class_id]:
            yield rater, self.latest(rater, class_id)

    def progress(self, rater: str, class_id: int) -> dict[str, object]:
        """How many cells a rater scored and found, and the same by the stream that brought them."""
        streams: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        skipped = 0
        for event in self.latest(rater, class_id).values():
            if event.score is None:
                skipped += 1
            elif event.kind == "score":
                streams[event.why][0] += 1
                streams[event.why][1] += event.score >= SHOWS
        scored, found = (sum(numbers[i] for numbers in streams.values()) for i in (0, 1))
        return {
            "scored": scored,
            "found": found,
            "skipped": skipped,
            "streams": dict(sorted(streams.items())),
        }
