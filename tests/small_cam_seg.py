"""System C, small enough for tests: networks of 64 px, one epoch a step."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from approaches.cam_seg.learning import train_classifier
from approaches.cam_seg.recipe import Recipe
from common.classes import NEGATIVE, PROBABILITIES
from common.field_data import Inputs, fold_parts
from common.params import load_recipe
from common.training_run import NoRun, Place

RECIPE = Path(__file__).parents[1] / "approaches/cam_seg/recipes" / "sccam_unet.yaml"
IDS = list("abcdef")
FOLDS = pd.DataFrame({"image_id": IDS, "fold": [0, 1] * 3})


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
