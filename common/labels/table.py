"""The labels of cells while sources set them one after the other, and which source set each value last.

In a table on disk the column ``source`` says it for a whole row: the source of most classes, then the exceptions,
like ``image 6=auto_negative 11=mitotic``. ``unknown`` is where no source set a value.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES

UNKNOWN = "unknown"


class CellLabels:
    """Soft labels of ``cells`` (image_id, cell_id), all unknown at first.

    ``values`` is (N, 19) float32 in [0, 1] or NaN, ``first`` what the first source made of it; ``missed`` lists what
    sources could not attach to a cell.
    """

    def __init__(self, cells: pd.DataFrame) -> None:
        self.cells = cells[KEYS].reset_index(drop=True)
        self.values = np.full((len(cells), len(CLASSES)), np.nan, np.float32)
        self.first = self.values
        self.missed: list[pd.DataFrame] = []
        self._names = [UNKNOWN]
        self._origin = np.zeros(self.values.shape, np.int16)

    def put(self, name: str, class_id: int, rows: np.ndarray, values: np.ndarray | float) -> None:
        """Set a class of ``rows`` ((N,) bool, or numbers of rows) to one value, or to one for each of the rows."""
        if name not in self._names:
            self._names.append(name)
        self.values[rows, class_id] = values
        self._origin[rows, class_id] = self._names.index(name)

    def set_by(self, names: Sequence[str], class_id: int) -> np.ndarray:
        """(N,) bool: the cells whose value of a class was last set by one of ``names``."""
        numbers = [number for number, known in enumerate(self._names) if known in names]
        return np.isin(self._origin[:, class_id], numbers)

    def source_of(self, row: int, class_id: int) -> str:
        """The source that set a value last."""
        return self._names[self._origin[row, class_id]]

    def counts(self) -> pd.DataFrame:
        """How many values each source set last, and how many of them are at least .5: a row a source, in order."""
        numbers, high = self._origin.ravel(), self.values.ravel() >= 0.5
        table = {
            "source": self._names,
            "values": np.bincount(numbers, minlength=len(self._names)),
            "at_least_half": np.bincount(numbers[high], minlength=len(self._names)),
        }
        return pd.DataFrame(table)

    def to_table(self) -> pd.DataFrame:
        """The labels table: image_id, cell_id, ``p_0`` to ``p_18``, source. Cells of which nothing is known are out."""
        known = ~np.isnan(self.values).all(axis=1)
        table = self.cells[known].reset_index(drop=True)
        table[list(PROBABILITIES)] = self.values[known]
        distinct, row_of = np.unique(self._origin[known], axis=0, return_inverse=True)
        texts = np.array([self._describe(row) for row in distinct], object)
        return table.assign(source=texts[row_of.ravel()] if len(texts) else "")

    def _describe(self, origin: np.ndarray) -> str:
        most = int(np.bincount(origin).argmax())
        others = [f"{class_id}={self._names[n]}" for class_id, n in enumerate(origin) if n != most]
        return " ".join([self._names[most], *others])


def sources_of(table: pd.DataFrame) -> np.ndarray:
    """Which source set each value of a labels table last: (N, 19) names."""
    rows = [_parse(text) for text in table["source"]]
    return np.array(rows, object).reshape(-1, len(CLASSES))


@cache
def _parse(text: str) -> tuple[str, ...]:
    most, *others = text.split(" ")
    exceptions = dict(word.split("=") for word in others)
    return tuple(exceptions.get(str(class_id), most) for class_id in range(len(CLASSES)))
