"""Labels the cells of training images by the maps of their image, which the U-Net then learns."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.cam_seg.asking import Asker, Networks, ask, load_classifiers
from approaches.cam_seg.cell_labels import label_cells
from approaches.cam_seg.dataset import AskedImages
from approaches.cam_seg.map_store import write_maps
from approaches.cam_seg.maps import combine, enlarge
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.field_data import Inputs

SOURCE = "maps"


def label_images(
    models: Path, inputs: Inputs, labels: pd.DataFrame, folds: pd.DataFrame, out: Path
) -> pd.DataFrame:
    """Label the cells of all labelled training images; their maps go into the folder ``out``.

    Args:
        labels: image_id and 0/1 in ``p_0`` to ``p_18``.

    Returns:
        A labels table of the cells that are large enough to be judged.
    """
    known = labels.merge(folds, on="image_id").set_index("image_id")
    numbers = sorted(known["fold"].unique().tolist())
    networks = load_classifiers([models / f"fold-{number}" for number in numbers])
    rows = inputs.rows(set(known.index))
    images = AskedImages(inputs, rows, networks.recipe, networks.recipe.pseudo.size_px)
    cells = dict(zip(images.ids, inputs.cells_of(rows), strict=True))
    tables: list[pd.DataFrame] = []

    def labelled() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for image_id, seen, asker in ask(networks, images, "maps"):
            row = known.loc[image_id]
            given = row[list(PROBABILITIES)].to_numpy(float)
            asked = _asked(networks, numbers.index(row["fold"]))
            maps = _maps(asker, asked, given)
            yield image_id, maps, given
            ids = cells[image_id]["cell_id"].to_numpy(np.int64)
            params = networks.recipe.pseudo
            size = (params.size_px, params.size_px)
            found = label_cells(enlarge(maps, size), given, seen.masks, seen.protein, ids, params)
            table = pd.DataFrame(found.confidence[found.judged], columns=list(PROBABILITIES))
            keys = {"image_id": image_id, "cell_id": ids[found.judged]}
            tables.append(pd.DataFrame(keys).join(table))

    write_maps(out, labelled())
    return pd.concat(tables, ignore_index=True).assign(source=SOURCE).sort_values(KEYS, ignore_index=True)


def _asked(networks: Networks, fold: int) -> list[int]:
    """Which classifiers speak about an image of a fold: that which did not see it, or those that did."""
    if networks.recipe.pseudo_maps == "out_of_fold":
        return [fold]
    return [number for number in range(len(networks.classifiers)) if number != fold]


def _maps(asker: Asker, asked: list[int], given: np.ndarray) -> np.ndarray:
    """The mean of the classifiers' maps, of the given classes alone."""
    recipe, weights = asker.networks.recipe, torch.tensor(given, dtype=torch.float32)
    maps = (asker.classifier_maps(number, weights, recipe.maps.size_px)[0] for number in asked)
    return combine(maps, [1 / len(asked)] * len(asked), recipe.maps.zero)
