"""The recipe of system C, from images over classifiers, labels and a U-Net to tables of cells and images."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from approaches.cam_seg.asking import CLASSIFIER
from approaches.cam_seg.labelling import label_images
from approaches.cam_seg.learning import train_classifier, train_segmenter
from approaches.cam_seg.predicting import predict_out_of_fold, predict_unseen
from approaches.cam_seg.recipe import Recipe
from common.cells import cell_mask_path, measure_cells, nucleus_mask_path
from common.classes import COLORS, NEGATIVE, PROBABILITIES
from common.field_data import Inputs, fold_parts
from common.fields import FieldParams, FieldStore
from common.images import Field, write_png
from common.params import load_recipe
from common.predictions import check_image_predictions, check_predictions
from common.reducing import write_fields
from common.training_run import NoRun, Place

RECIPE = Path(__file__).parents[1] / "recipes" / "sccam_unet.yaml"
IDS = list("abcdef")
FOLDS = pd.DataFrame({"image_id": IDS, "fold": [0, 1] * 3})


@pytest.fixture(autouse=True, scope="module")
def serial() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPA_PARALLEL", "serial")


def small(**changes: Any) -> Recipe:
    given = load_recipe(Recipe, RECIPE, "demo").model_dump(mode="json")
    given["view"]["size_px"] = 64
    given["backbone"]["name"] = "test_resnet"
    given["segmenter"] |= {"encoder": "tu-test_resnet", "decoder_channels": [8, 8, 8, 8, 8]}
    given["subcategories"]["clusters"] = 2
    for step in given["steps"].values():
        step["trainer"] |= {"epochs": 1, "batch_size": 2, "precision": "32-true"}
    for section in ("pseudo", "cells"):
        given[section]["size_px"] = 64
    return Recipe.model_validate_json(json.dumps(given | changes))


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


def labels() -> pd.DataFrame:
    table = pd.DataFrame(0.0, index=range(6), columns=list(PROBABILITIES))
    table["p_0"], table["p_5"] = [1.0, 1, 1, 0, 1, 0], [0.0, 0, 1, 1, 1, 0]
    table.loc[5, f"p_{NEGATIVE}"] = 1.0
    table.insert(0, "image_id", IDS)
    return table


def train(recipe: Recipe, inputs: Inputs, fold: int, out: Path) -> pd.DataFrame:
    parts = fold_parts(inputs.fields, labels(), FOLDS, fold)
    place = Place(out, out.parent / "scratch" / out.name, NoRun())
    out.mkdir(parents=True)
    train_classifier(recipe, inputs.fields, parts, inputs.masks, place)
    return pd.read_csv(out / "history.csv")


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


def test_it_all_runs(trained: Path, inputs: Inputs) -> None:
    oof = predict_out_of_fold(trained / "models", inputs, FOLDS)
    unseen = predict_unseen(trained / "models", inputs, set(IDS))
    for found in (oof, unseen):
        check_predictions(found.cells, "here", inputs.cells)
        check_image_predictions(found.images, "here", IDS)
