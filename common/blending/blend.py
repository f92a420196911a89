"""From the published tables of all members to one blend and what it gained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.blending.fitting import ClassBlend, Known, apply_blend, cross_fit, fit_blend, ranked
from common.blending.members import as_table, name_of, part_of, read_part, with_images
from common.blending.params import BlendParams
from common.blending.report import report
from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES
from common.errors import DataError, ParamsError
from common.image_table import ids_of
from common.labels.weak import copy_image_labels
from common.postprocess import postprocess
from common.predictions import Predictions
from common.tables import read_table


@dataclass(frozen=True)
class Data:
    """What a blend is made of beside its members: the images and cells tables, and image_id, fold."""

    images: pd.DataFrame
    cells: pd.DataFrame
    folds: pd.DataFrame

    def part(self, split: str) -> tuple[pd.DataFrame, list[str]]:
        """The cells and the image ids of ``train`` or ``test``."""
        ids = ids_of(self.images, split)
        return self.cells[self.cells["image_id"].isin(ids)], sorted(ids)


@dataclass(frozen=True)
class Blend:
    """Prediction tables of both parts, and the report: members, weights, gains."""

    oof: pd.DataFrame
    test: pd.DataFrame
    report: dict[str, Any]


def blend_members(folders: list[Path], data: Data, params: BlendParams) -> Blend:
    """Blend all members as ``params`` say; out-of-fold rows by what was fitted on other folds, test rows by all.

    Raises:
        DataError: a member's table is faulty or has other cells; an image has no fold.
        ParamsError: fixed weights name no member.
    """
    fixed = None
    if params.fixed:
        folders, fixed = _fixed_members(folders, params.fixed)
    oof, test = read_part(folders, "oof", *data.part("train")), read_part(folders, "test", *data.part("test"))
    targets, fold = read_targets(Path(params.labels), data.images, oof.cells), _fold_of(oof.cells, data.folds)
    raw = oof
    if params.calibration == "rank":
        oof, test = ranked(oof), ranked(test)
    blended = cross_fit(oof, targets, fold, params, fixed)
    blends = fit_blend(oof, Known(np.arange(len(targets)), targets), params, fixed)
    names = [name_of(folder) for folder in folders]
    found = report(names, raw.cell, blended, targets, raw.image)
    found = {**_described(names, [name_of(f) for f in with_images(folders)], params, blends), **found}
    tables = as_table(oof, blended), as_table(test, apply_blend(test, blends, params))
    whole, unseen = (postprocess(table, data.cells, params.postprocess) for table in tables)
    return Blend(whole, unseen, found)


def blend_new(
    folders: list[Path], data: Data, params: BlendParams, found: dict[str, Predictions], cells: pd.DataFrame
) -> pd.DataFrame:
    """Blend what members say of new images by what is learned on their out-of-fold tables.

    Args:
        found: by the name of a member, of all that ``folders`` hold.
        cells: the new cells.

    Returns:
        A prediction table.
    """
    fixed = None
    if params.fixed:
        folders, fixed = _fixed_members(folders, params.fixed)
    oof, new = (
        read_part(folders, "oof", *data.part("train")),
        part_of([found[name_of(f)] for f in folders], cells),
    )
    targets = read_targets(Path(params.labels), data.images, oof.cells)
    if params.calibration == "rank":
        oof, new = ranked(oof), ranked(new)
    blends = fit_blend(oof, Known(np.arange(len(targets)), targets), params, fixed)
    return postprocess(as_table(new, apply_blend(new, blends, params)), cells, params.postprocess)


def _fixed_members(folders: list[Path], weights: dict[str, float]) -> tuple[list[Path], np.ndarray]:
    names = [name_of(folder) for folder in folders]
    if unknown := sorted(set(weights) - set(names)):
        known = ", ".join(names)
        raise ParamsError(f"params.yaml: blend.fixed names {', '.join(unknown)}, but the members are {known}")
    chosen = [folder for folder in folders if name_of(folder) in weights]
    return chosen, np.array([weights[name_of(folder)] for folder in chosen])


def read_targets(labels: Path, images: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
    """What is learned from: (N, 19) in [0, 1], NaN where nothing is known.

    Args:
        labels: the folder of the images table, for the labels of images, or a labels table.
        cells: image_id, cell_id of the N cells.

    Raises:
        DataError: see ``read_table``.
    """
    if labels.suffix != ".parquet":
        known = copy_image_labels(images, cells)
    else:
        known = read_table(labels, [*KEYS, *PROBABILITIES], "the labels stage of its approach")
    columns = [*KEYS, *PROBABILITIES]
    aligned = cells[KEYS].merge(known[columns], on=KEYS, how="left", validate="one_to_one")
    return aligned[list(PROBABILITIES)].to_numpy(np.float64)


def _fold_of(cells: pd.DataFrame, folds: pd.DataFrame) -> np.ndarray:
    fold = cells["image_id"].map(folds.set_index("image_id")["fold"])
    if (lost := fold.isna()).any():
        first = cells.loc[lost, "image_id"].iloc[0]
        raise DataError(f"data/folds.parquet: has no fold of image {first}; run: dvc repro folds")
    return fold.to_numpy(np.int64)


def _described(
    names: list[str], image_names: list[str], params: BlendParams, blends: list[ClassBlend]
) -> dict[str, Any]:
    return {
        "members": names,
        "image_members": image_names if params.image.source == "published" else [],
        "params": params.model_dump(),
        "weights": {
            name: [round(float(w), 4) for w in blend.weights]
            for name, blend in zip(CLASSES, blends, strict=True)
        },
        "image_weights": [blend.image_weight for blend in blends],
    }


def summary(found: dict[str, Any]) -> str:
    """One line: how many members were blended, and how."""
    params = found["params"]
    images = ", ".join(found["image_members"]) or "nobody"
    term = {"none": "no image term", "cells": "image term of cell means", "published": f"images of {images}"}
    return (
        f"blend of {', '.join(found['members'])}: {params['weights']} weights, {params['mix']}, "
        f"calibration {params['calibration']}, {term[params['image']['source']]}"
    )
