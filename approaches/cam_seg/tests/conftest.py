"""Six small images, and all that system C learns of them."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from approaches.cam_seg.asking import CLASSIFIER
from approaches.cam_seg.labelling import label_images
from approaches.cam_seg.learning import train_segmenter
from common.cells import cell_mask_path, measure_cells, nucleus_mask_path
from common.classes import COLORS
from common.field_data import Inputs, fold_parts
from common.fields import FieldParams, FieldStore
from common.images import Field, write_png
from common.reducing import write_fields
from common.training_run import NoRun, Place
from tests.small_cam_seg import FOLDS, IDS, labels, small, train


@pytest.fixture(autouse=True, scope="module")
def serial() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPA_PARALLEL", "serial")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Images a to f: two cells each, but none in f."""
    folder = tmp_path_factory.mktemp("images")
    rng, tables = np.random.default_rng(0), []
    for image_id in IDS:
        mask, nuclei = np.zeros((96, 96), np.uint16), np.zeros((96, 96), np.uint16)
        if image_id != "f":
            mask[4:40, 4:40], mask[50:92, 20:80] = 1, 3
            nuclei[10:20, 10:20], nuclei[60:80, 40:60] = 1, 3
        write_png(cell_mask_path(folder, image_id), mask)
        write_png(nucleus_mask_path(folder, image_id), nuclei)
        for color in COLORS:
            cv2.imwrite(str(folder / f"{image_id}_{color}.png"), rng.integers(0, 200, (96, 96), np.uint8))
        tables.append(measure_cells(image_id, nuclei, mask))
    fields = [Field(i, tuple(folder / f"{i}_{color}.png" for color in COLORS)) for i in IDS]
    write_fields(fields, FieldParams(field_px=96), folder / "fields")
    return Inputs(FieldStore(folder / "fields"), folder, pd.concat(tables[:5], ignore_index=True))


@pytest.fixture(scope="module")
def trained(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``classifiers/``, ``maps/``, ``labels.parquet`` and ``models/`` of two folds."""
    folder = tmp_path_factory.mktemp("trained")
    for fold in (0, 1):
        train(small(), inputs, fold, folder / f"classifiers/fold-{fold}")
    table = label_images(folder / "classifiers", inputs, labels(), FOLDS, folder / "maps")
    table.to_parquet(folder / "labels.parquet")
    for fold in (0, 1):
        out = folder / f"models/fold-{fold}"
        shutil.copytree(folder / f"classifiers/fold-{fold}", out / CLASSIFIER)
        place = Place(out, folder / "scratch-u" / str(fold), NoRun())
        parts = fold_parts(inputs.fields, labels(), FOLDS, fold)
        train_segmenter(small(), inputs.fields, parts, inputs.masks, table, place)
    return folder
