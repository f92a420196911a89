"""Who is blended: every published prediction table of a recipe that is on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.blending.params import BlendParams
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.errors import DataError
from common.params import read_yaml
from common.predictions import Predictions, read_image_predictions, read_predictions
from common.roster import recipes_on, refuse_retired


@dataclass(frozen=True)
class Part:
    """One part (out of fold or test) of all members, the same cells in the same order.

    Attributes:
        cells: image_id, cell_id, sorted.
        image: (N,) int, the image of each cell, from 0 in the order of ids.
        cell: (members, N, 19) float32 probabilities of cells.
        of_image: (N, 19) probabilities of the image of each cell, the mean of the members that publish such; None
            where none does.
    """

    cells: pd.DataFrame
    image: np.ndarray
    cell: np.ndarray
    of_image: np.ndarray | None

    def take(self, rows: np.ndarray) -> "Part":
        """The part with only these cells, in this order; whole images, or image means would change."""
        of_image = None if self.of_image is None else self.of_image[rows]
        image = np.unique(self.image[rows], return_inverse=True)[1]
        return Part(self.cells.iloc[rows].reset_index(drop=True), image, self.cell[:, rows], of_image)


def members(predictions: Path, approaches: Path) -> list[Path]:
    """The folders ``<approach>/<recipe>`` of published predictions.

    Raises:
        DataError: there is none, or one is of a recipe that is no longer on.
    """
    found = sorted(path.parent for path in predictions.glob("*/*/oof.parquet"))
    if not found:
        raise DataError(f"{predictions}: holds no predictions; run: dvc repro")
    on = recipes_on(approaches)
    for member in found:
        refuse_retired(name_of(member), member, on)
    return found


def weighed(folders: list[Path], params: BlendParams, approaches: Path) -> list[Path]:
    """The members that a blend may learn to weigh on out-of-fold rows: see ``BlendParams.stacked``.

    Raises:
        DataError: none is left.
    """
    if params.fixed or params.stacked == "weigh":
        return folders
    kept = [folder for folder in folders if not _is_stacked(approaches, folder)]
    if not kept:
        raise DataError(
            "params.yaml: blend.stacked is leave_out, and every member learned from another system's predictions; "
            "set it to weigh"
        )
    return kept


def _is_stacked(approaches: Path, folder: Path) -> bool:
    recipe = read_yaml(approaches / folder.parent.name / "recipes" / f"{folder.name}.yaml")
    sources = recipe.get("labels")
    return isinstance(sources, list) and any(isinstance(each, dict) and "system" in each for each in sources)


def name_of(folder: Path) -> str:
    """``approach/recipe`` of a folder of predictions."""
    return f"{folder.parent.name}/{folder.name}"


def with_images(folders: list[Path]) -> list[Path]:
    """The members that publish probabilities of images beside those of cells."""
    return [folder for folder in folders if (folder / "oof_images.parquet").exists()]


def read_part(folders: list[Path], part: str, cells: pd.DataFrame, image_ids: list[str]) -> Part:
    """Read one part (``oof`` or ``test``) of all members.

    Args:
        cells: the cells of the part.
        image_ids: its images, those without a cell too.

    Raises:
        DataError: a member's table is faulty, or does not hold exactly these cells (images).
    """
    of_images = {
        folder: read_image_predictions(folder / f"{part}_images.parquet", image_ids)
        for folder in with_images(folders)
    }
    tables = [
        Predictions(read_predictions(folder / f"{part}.parquet", cells[KEYS]), of_images.get(folder))
        for folder in folders
    ]
    return part_of(tables, cells)


def part_of(tables: list[Predictions], cells: pd.DataFrame) -> Part:
    """Put what members say of ``cells`` in one order; each speaks of exactly these."""
    keys = cells[KEYS].sort_values(KEYS, ignore_index=True)
    image, ids = pd.factorize(keys["image_id"])
    columns = list(PROBABILITIES)
    stack = np.empty((len(tables), len(keys), len(columns)), np.float32)
    for row, table in enumerate(tables):
        stack[row] = keys.merge(table.cells, on=KEYS, how="left", validate="one_to_one")[columns]
    of_image = [
        table.images.set_index("image_id").loc[ids, columns].to_numpy(np.float32)
        for table in tables
        if table.images is not None
    ]
    return Part(keys, image, stack, np.mean(of_image, axis=0)[image] if of_image else None)


def as_table(part: Part, values: np.ndarray) -> pd.DataFrame:
    """The prediction table of (N, 19) blended probabilities."""
    return part.cells.join(pd.DataFrame(values, columns=list(PROBABILITIES)))
