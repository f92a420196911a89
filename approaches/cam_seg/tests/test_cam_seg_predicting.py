"""What trained networks of system C say: labels of cells, predictions, maps."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.cam_seg.asking import ask, load_classifiers, load_folds
from approaches.cam_seg.dataset import AskedImages
from approaches.cam_seg.explain import explainable
from approaches.cam_seg.labelling import label_images
from approaches.cam_seg.map_store import MapStore
from approaches.cam_seg.predict import predict_new
from approaches.cam_seg.predicting import predict, predict_out_of_fold, predict_unseen
from common.cells import KEYS
from common.classes import CLASSES, NEGATIVE, PROBABILITIES
from common.field_data import Inputs
from common.predictions import Predictions, check_image_predictions, check_predictions
from tests.small_cam_seg import FOLDS, IDS, labels


def test_a_training_image_is_labelled_by_the_classifier_that_did_not_see_it(
    trained: Path, inputs: Inputs
) -> None:
    store = MapStore(trained / "maps")
    recipe = load_classifiers([trained / "classifiers/fold-0"]).recipe
    for image_id, fold in zip(IDS[:4], FOLDS["fold"], strict=False):
        networks = load_classifiers([trained / f"classifiers/fold-{fold}"])
        row = inputs.rows({image_id})
        given = torch.tensor(labels().loc[row[0], list(PROBABILITIES)].to_numpy(np.float32))
        images = AskedImages(inputs, row, recipe, 64)
        ((_, _, asker),) = ask(networks, images, "maps")
        with torch.inference_mode():
            maps, _ = asker.classifier_maps(0, given, recipe.maps.size_px)
        np.testing.assert_allclose(store.read(image_id), maps, atol=2e-3)


def test_with_the_published_switch_it_is_labelled_by_those_that_saw_it(
    trained: Path, inputs: Inputs, tmp_path: Path
) -> None:
    shutil.copytree(trained / "classifiers", tmp_path / "classifiers")
    for path in (tmp_path / "classifiers").glob("*/recipe.json"):
        given = json.loads(path.read_text()) | {"pseudo_maps": "in_fold"}
        path.write_text(json.dumps(given))
    label_images(tmp_path / "classifiers", inputs, labels(), FOLDS, tmp_path / "maps")
    swapped = FOLDS.assign(fold=1 - FOLDS["fold"])
    label_images(trained / "classifiers", inputs, labels(), swapped, tmp_path / "swapped")
    for image_id in IDS:  # of two folds, the other is the one that saw it
        found, expected = (MapStore(tmp_path / name).read(image_id) for name in ("maps", "swapped"))
        np.testing.assert_array_equal(found, expected)


def test_cells_are_labelled_with_classes_of_their_image_only(trained: Path, inputs: Inputs) -> None:
    table = pd.read_parquet(trained / "labels.parquet")
    assert set(map(tuple, table[KEYS].to_numpy())) <= set(map(tuple, inputs.cells[KEYS].to_numpy()))
    given = table[["image_id"]].merge(labels(), on="image_id")[list(PROBABILITIES)].to_numpy()
    found = table[list(PROBABILITIES)].to_numpy()
    patterns = np.arange(19) != NEGATIVE
    assert (found[:, patterns][given[:, patterns] == 0] == 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert (table["source"] == "maps").all()


def images_of(found: Predictions) -> pd.DataFrame:
    assert found.images is not None
    return found.images


def test_every_cell_and_image_is_predicted_out_of_fold_and_by_all_folds(
    trained: Path, inputs: Inputs
) -> None:
    oof = predict_out_of_fold(trained / "models", inputs, FOLDS)
    unseen = predict_unseen(trained / "models", inputs, set(IDS))
    nothing = predict_unseen(trained / "models", inputs, set())
    assert (len(nothing.cells), len(images_of(nothing))) == (0, 0)
    for whole in (oof, unseen):
        check_predictions(whole.cells, "here", inputs.cells)
        check_image_predictions(images_of(whole), "here", IDS)
    columns = list(PROBABILITIES)
    alone = [predict(load_folds([trained / f"models/fold-{fold}"]), inputs, np.arange(6)) for fold in (0, 1)]
    for image_id, fold in zip(FOLDS["image_id"], FOLDS["fold"], strict=True):
        for found, expected in ((oof.cells, alone[fold].cells), (images_of(oof), images_of(alone[fold]))):
            here, there = (table[table["image_id"] == image_id][columns] for table in (found, expected))
            np.testing.assert_allclose(here, there, atol=1e-6)
    mean = (images_of(alone[0])[columns] + images_of(alone[1])[columns]) / 2
    np.testing.assert_allclose(images_of(unseen)[columns], mean, atol=1e-6)


def test_a_cell_has_the_mean_of_the_combined_maps_times_the_probability_of_the_image(
    trained: Path, inputs: Inputs
) -> None:
    networks = load_folds([trained / "models/fold-0"])
    row = np.array([0])
    found = predict(networks, inputs, row)
    ((_, seen, asker),) = ask(networks, AskedImages(inputs, row, networks.recipe, 64), "maps")
    with torch.inference_mode():
        maps, probabilities = asker.ensemble(64)
        single, _ = asker.classifier_maps(0, torch.ones(19), 64)
        segmented = asker.segmenter_maps(0, 64)
    np.testing.assert_allclose(maps, (single + segmented) / 2, atol=1e-5)
    for row_number, cell_id in enumerate((1, 3)):
        inside = maps[:, seen.masks[0] == cell_id]
        expected = probabilities * inside.mean(1)  # a sigmoid is active everywhere: the coverage is 1
        kept = found.cells.loc[row_number, list(PROBABILITIES)].to_numpy(float)
        np.testing.assert_allclose(kept, np.where(probabilities >= 0.01, expected, 0), atol=1e-5)


def own_images(inputs: Inputs, data: Path) -> Path:
    """A folder like data/ of the same images."""
    data.mkdir()
    (data / "masks").symlink_to(inputs.masks)
    (data / "fields").symlink_to(inputs.masks / "fields")
    inputs.cells.to_parquet(data / "cells.parquet")
    return data


def test_predicting_own_images_ends_with_the_recipe_s_postprocessing(
    trained: Path, inputs: Inputs, tmp_path: Path
) -> None:
    data, models = own_images(inputs, tmp_path / "data"), tmp_path / "models"
    shutil.copytree(trained / "models/fold-0", models / "fold-0")
    plain = predict_new(models, data).cells
    path = models / "fold-0/recipe.json"
    rule = {"postprocess": {"negative": "one_minus_max"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | rule))
    found = predict_new(models, data).cells[list(PROBABILITIES)].to_numpy()
    np.testing.assert_allclose(found[:, 18], 1 - found[:, :18].max(axis=1), atol=1e-6)
    assert not np.allclose(found[:, 18], plain[f"p_{NEGATIVE}"])
    np.testing.assert_allclose(found[:, :18], plain[list(PROBABILITIES)[:18]], atol=1e-6)


def test_all_fields_with_cells_are_explained_by_maps_of_both_networks(
    trained: Path, inputs: Inputs, tmp_path: Path
) -> None:
    given = explainable(trained / "models", own_images(inputs, tmp_path / "data"))
    pictures = list(given.pictures)
    assert [picture.image_id for picture in pictures] == IDS[:5]
    assert [list(picture.ids) for picture in pictures] == [[1, 3]] * 5
    pixels = pictures[0].pixels[None].float() / 255
    with torch.inference_mode():
        assert {name: maps(pixels).shape[1] for name, maps in given.maps.items()} == {"CAM": 19, "U-Net": 19}
        torch.testing.assert_close(
            given.maps["CAM"](pixels).mean((2, 3)), given.network(pixels)[:, : len(CLASSES)]
        )
    assert given.layer in list(given.network.modules())
