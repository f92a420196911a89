"""From a recipe's key ``labels`` to a labels table."""

import pandas as pd

from common.errors import ParamsError
from common.labels.lookalikes import Denoise
from common.labels.manual import Samples, Scores
from common.labels.sources import (
    AutoNegative,
    AutoPositive,
    Draw,
    Exclusive,
    ImageLabels,
    Known,
    Pseudo,
    Source,
)
from common.labels.table import CellLabels
from common.params import build

KINDS: dict[str, type[Source]] = {
    "image": ImageLabels,
    "scores": Scores,
    "samples": Samples,
    "auto_negative": AutoNegative,
    "auto_positive": AutoPositive,
    "pseudo": Pseudo,
    "denoise": Denoise,
    "draw": Draw,
    "exclusive": Exclusive,
}
MISSED = ["source", "image_id", "class", "score", "reason"]


def read_sources(given: object, where: str) -> list[Source]:
    """Check the value of ``labels``: a word for a source without values, or a list of words and mappings.

    Raises:
        ParamsError: no such source, a wrong value, or two sources of one name.
    """
    entries = given if isinstance(given, list) else [given]
    sources = [_read_source(entry, f"{where}: labels[{place}]") for place, entry in enumerate(entries)]
    names = [source.name for source in sources]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ParamsError(
            f"{where}: labels has several sources called {', '.join(repeated)}; give each a name"
        )
    if not sources:
        raise ParamsError(f"{where}: labels is empty, expected image or a list of sources")
    return sources


def _read_source(entry: object, where: str) -> Source:
    values = entry if isinstance(entry, dict) else {"kind": entry}
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ParamsError(f"{where}: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    return build(KINDS[kind], {"name": kind, **values}, where)


def build_labels(sources: list[Source], cells: pd.DataFrame, known: Known) -> CellLabels:
    """Apply ``sources`` in their order to ``cells``, those of ``known.cells`` that may be trained on.

    Raises:
        DataError: see the sources.
    """
    labels = CellLabels(cells)
    for number, source in enumerate(sources):
        source.apply(labels, known)
        if number == 0:
            labels.first = labels.values.copy()
    return labels


def missed_scores(labels: CellLabels) -> pd.DataFrame:
    """The scores that no cell got: ``MISSED`` and, where known, y, x or the number of the cell."""
    if not labels.missed:
        return pd.DataFrame(columns=MISSED)
    table = pd.concat(labels.missed, ignore_index=True).drop(columns="cell_id", errors="ignore")
    return table[[*MISSED, *(column for column in table if column not in MISSED)]]
