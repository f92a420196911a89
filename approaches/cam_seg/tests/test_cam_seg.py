"""The recipe of system C, from images over classifiers, labels and a U-Net to tables of cells and images."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from approaches.cam_seg.asking import CLASSIFIER, ask, load_classifiers, load_folds
from approaches.cam_seg.dataset import AskedImages, MixedImages, PaintedImages, labels_by_image
from approaches.cam_seg.explain import explainable
from approaches.cam_seg.labelling import label_images
from approaches.cam_seg.learning import train_classifier, train_segmenter
from approaches.cam_seg.map_store import MapStore
from approaches.cam_seg.predict import predict_new
from approaches.cam_seg.predicting import predict, predict_out_of_fold, predict_unseen
from approaches.cam_seg.recipe import Recipe
from common.cells import KEYS, cell_mask_path, measure_cells, nucleus_mask_path
from common.classes import CLASSES, COLORS, NEGATIVE, PROBABILITIES
from common.errors import ParamsError
from common.field_data import Inputs, Part, fold_parts
from common.fields import FieldParams, FieldStore
from common.images import Field, write_png
from common.losses.recipe import Focal
from common.params import build, load_recipe
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


def test_sccam_unet_is_system_c() -> None:
    recipe = load_recipe(Recipe, RECIPE, "full")
    first, second, segment = recipe.steps.values()
    assert (recipe.backbone.name, recipe.view.size_px, len(recipe.view.channels)) == ("resnet50", 512, 4)
    assert [step.optimizer.lr for step in (first, second, segment)] == [0.5, 0.005, 0.25]
    assert [step.trainer.batch_size for step in (first, second, segment)] == [40, 40, 12]
    for step in recipe.steps.values():
        assert (step.optimizer.name, step.optimizer.momentum, step.optimizer.weight_decay) == (
            "sgd",
            0.9,
            4e-5,
        )
        assert step.schedule.warmup_cosine is not None
        assert step.schedule.warmup_cosine.warmup == 0.1
        assert (step.trainer.seed, step.trainer.monitor) == (42, "val/loss")
    assert first.loss.focal == Focal(gamma=2, reduction="sum_classes")
    assert segment.loss.focal == Focal(gamma=2, reduction="mean")
    assert recipe.subcategories is not None
    assert (recipe.sub_classes, recipe.subcategories.loss_weight) == (190, 5)
    assert (recipe.pseudo.confidence, recipe.cells.confidence) == ("cam_rate", "cam_rate_mean")
    assert (recipe.pseudo.background_rule, recipe.cells.background_rule) == (True, False)
    assert recipe.pseudo_masks.threshold == 0.225
    assert len(recipe.maps.views) == 9
    assert (recipe.ensemble.classifier.role, recipe.ensemble.segmenter.role) == ("both", "maps")


def test_steps_of_other_names_are_refused() -> None:
    given = small().model_dump(mode="json")
    given["steps"]["round_2"] = given["steps"].pop("round_1")
    with pytest.raises(ParamsError, match="steps are round_0, round_1 and segment"):
        build(Recipe, given, "recipe")


def test_several_epochs_that_would_predict_together_are_refused() -> None:
    given = small().model_dump(mode="json")
    given["steps"]["segment"]["trainer"]["ensemble"] = [1.0]
    with pytest.raises(ParamsError, match=r"steps.segment.trainer.ensemble has no effect here"):
        build(Recipe, given, "recipe")


def test_both_rounds_are_trained_unless_sub_categories_are_off(
    trained: Path, inputs: Inputs, tmp_path: Path
) -> None:
    both = pd.read_csv(trained / "classifiers/fold-0/history.csv")
    assert list(both["step"]) == ["round_0", "round_1"]
    assert list(both["epoch"]) == [0, 1]
    one = train(small(subcategories=None), inputs, 0, tmp_path / "fold-0")
    assert list(one["step"]) == ["round_0"]
    weights = [
        load_classifiers([folder]).classifiers[0].state_dict()
        for folder in (trained / "classifiers/fold-0", tmp_path / "fold-0")
    ]
    assert weights[0]["sub_classes.weight"].shape[0] == 19 * 2
    assert "sub_classes.weight" not in weights[1]


def test_round_1_goes_on_from_round_0_or_starts_anew(inputs: Inputs, tmp_path: Path) -> None:
    given = small().model_dump(mode="json")
    given["steps"]["round_1"]["optimizer"]["lr"] = 1e-12
    for start in ("round_0", "backbone"):
        recipe = build(Recipe, given | {"round_1_from": start}, "recipe")
        train(recipe, inputs, 0, tmp_path / start)
    train(small(subcategories=None), inputs, 0, tmp_path / "alone")
    heads = {
        path.name: load_classifiers([path]).classifiers[0].classes.weight
        for path in tmp_path.iterdir()
        if (path / "recipe.json").exists()
    }
    torch.testing.assert_close(heads["round_0"], heads["alone"], atol=1e-6, rtol=0)
    assert not torch.allclose(heads["backbone"], heads["alone"], atol=1e-3)


@pytest.mark.parametrize("option", [{"puzzle": {}}, {"fair": {"share": 1.0}}])
def test_puzzle_and_fair_activation_train_both_rounds(
    option: dict[str, Any], inputs: Inputs, tmp_path: Path
) -> None:
    given = small().model_dump(mode="json") | option
    history = train(build(Recipe, given, "recipe"), inputs, 0, tmp_path / "fold-0")
    plain = train(small(), inputs, 0, tmp_path / "plain")
    assert np.isfinite(history["train/loss"]).all()
    assert not np.allclose(history["train/loss"], plain["train/loss"])
    assert list(history["step"]) == ["round_0", "round_1"]


def test_fair_activation_changes_pictures_that_are_trained_on_and_no_others(inputs: Inputs) -> None:
    given = small().model_dump(mode="json") | {"fair": {"share": 1.0}, "augment": []}
    part = Part(np.arange(6), np.zeros((6, len(CLASSES))))
    mixed = MixedImages(inputs.fields, part, build(Recipe, given, "recipe"), inputs.masks)
    plain = MixedImages(inputs.fields, part, small(augment=[]), inputs.masks)
    assert torch.equal(mixed[0][0], plain[0][0])
    assert not torch.equal(mixed[2, 0][0], plain[2, 0][0])
    assert torch.equal(mixed[2, 0][0], mixed[2, 0][0])
    assert not torch.equal(mixed[2, 0][0], mixed[3, 0][0])
    assert torch.equal(mixed[2, 5][0], plain[2, 5][0]), "f has no cell"


def test_pixels_and_painted_planes_move_together(inputs: Inputs) -> None:
    table = inputs.cells[KEYS].assign(**dict.fromkeys(PROBABILITIES, 0.0))
    table.loc[table["cell_id"] == 3, "p_5"] = 1.0
    part = Part(np.arange(6), np.zeros((6, len(CLASSES))))
    images = PaintedImages(inputs.fields, part, small(), inputs.masks, labels_by_image(table))
    pixels, still, _ = images[0]
    assert still.shape == (20, 64, 64)
    assert still.sum(0).min() == still.sum(0).max() == 1
    assert still[5].sum() > still[NEGATIVE].sum() > 0
    for epoch in range(6):
        moved, planes, _ = images[epoch, 0]
        both = torch.cat([pixels, still])
        turns = [both.rot90(turn, (1, 2)) for turn in range(4)]
        views = turns + [each.flip(2) for each in turns]
        assert any(torch.equal(torch.cat([moved, planes]), view) for view in views)
    empty = images[5][1]
    assert empty[19].min() == 1


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


def test_every_cell_and_image_is_predicted_out_of_fold_and_by_all_folds(
    trained: Path, inputs: Inputs
) -> None:
    oof = predict_out_of_fold(trained / "models", inputs, FOLDS)
    unseen = predict_unseen(trained / "models", inputs, set(IDS))
    nothing = predict_unseen(trained / "models", inputs, set())
    assert (len(nothing.cells), len(nothing.images)) == (0, 0)
    for whole in (oof, unseen):
        check_predictions(whole.cells, "here", inputs.cells)
        check_image_predictions(whole.images, "here", IDS)
    columns = list(PROBABILITIES)
    alone = [predict(load_folds([trained / f"models/fold-{fold}"]), inputs, np.arange(6)) for fold in (0, 1)]
    for image_id, fold in zip(FOLDS["image_id"], FOLDS["fold"], strict=True):
        for found, expected in ((oof.cells, alone[fold].cells), (oof.images, alone[fold].images)):
            here, there = (table[table["image_id"] == image_id][columns] for table in (found, expected))
            np.testing.assert_allclose(here, there, atol=1e-6)
    mean = (alone[0].images[columns] + alone[1].images[columns]) / 2
    np.testing.assert_allclose(unseen.images[columns], mean, atol=1e-6)


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
