"""Trains the networks of one fold: the classifier in its rounds, and the U-Net."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from approaches.cam_seg.dataset import MixedImages, PaintedImages, labels_by_image
from approaches.cam_seg.network import CamClassifier, classifier_of, pooled_features, segmenter_of
from approaches.cam_seg.recipe import Recipe, SubcategoryParams
from approaches.cam_seg.steps import ClassifierStep, SegmenterStep
from approaches.cam_seg.subcategories import assign_subcategories, find_subcategories, save_subcategories
from common.field_data import LabelledImages, Part
from common.fields import FieldStore
from common.forward import half_precision, loader_options
from common.progress import track
from common.trained import save_trained
from common.training import fit
from common.training_run import Place

Parts = tuple[Part, Part]
"""The images of the other folds, and those of the fold."""


def train_classifier(recipe: Recipe, store: FieldStore, parts: Parts, masks: Path, place: Place) -> None:
    """Train round 0, find sub-categories by its features, train round 1 on both; write the last network.

    Clusters are found in the images that are trained on; those of the fold are given the nearest.
    """
    torch.manual_seed(recipe.seed)  # initial weights
    network = classifier_of(recipe, 0)
    history = _fit_round(
        "round_0", network, recipe, [MixedImages(store, part, recipe, masks) for part in parts], place
    )
    if recipe.subcategories is not None:
        parts = _with_subcategories(network, recipe, recipe.subcategories, store, parts, place.out)
        first, network = network, classifier_of(recipe, recipe.sub_classes)
        if recipe.round_1_from == "round_0":
            network.load_state_dict(first.state_dict(), strict=False)
        data = [MixedImages(store, part, recipe, masks) for part in parts]
        history += _fit_round("round_1", network, recipe, data, place, len(history))
    _save(network, recipe, history, place)


def train_segmenter(
    recipe: Recipe, store: FieldStore, parts: Parts, masks: Path, labels: pd.DataFrame, place: Place
) -> None:
    """Train the U-Net on the pseudo masks of the other folds' images, judge it by those of the fold's; write it.

    Args:
        labels: the labels table that pseudo masks are painted by.
    """
    torch.manual_seed(recipe.seed)
    network, by_image = segmenter_of(recipe), labels_by_image(labels)
    train, valid = (PaintedImages(store, part, recipe, masks, by_image) for part in parts)
    step = SegmenterStep(network, recipe)
    history = fit(step, train, valid, recipe.steps[step.name], place.scratch, place.run)
    _save(network, recipe, history, place)


def image_features(
    network: CamClassifier, images: LabelledImages, recipe: Recipe, params: SubcategoryParams
) -> np.ndarray:
    """What sub-categories are found by: (N, F) float32."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    trainer = recipe.steps["round_0"].trainer
    batches = DataLoader(images, trainer.batch_size, **loader_options())
    found = []
    with torch.inference_mode(), half_precision(device, trainer.precision):
        for pixels, *_ in track(batches, len(batches), "features"):
            scaled = pixels.to(device).float() / 255
            found.append(pooled_features(network, scaled, params.views, params.unit_length).cpu().numpy())
    return np.concatenate(found)


def _with_subcategories(
    network: CamClassifier,
    recipe: Recipe,
    params: SubcategoryParams,
    store: FieldStore,
    parts: Parts,
    out: Path,
) -> Parts:
    """The parts with sub-classes beside the classes in their targets; writes the clusters."""
    features = [
        image_features(network, LabelledImages(store, part, recipe), recipe, params) for part in parts
    ]
    known = find_subcategories(features[0], parts[0].targets, np.arange(len(features[0])), params)
    save_subcategories(known, out / "subcategories.safetensors")
    train, valid = (
        Part(part.rows, np.hstack([part.targets, assign_subcategories(each, part.targets, known)]))
        for part, each in zip(parts, features, strict=True)
    )
    return train, valid


def _fit_round(
    name: str,
    network: CamClassifier,
    recipe: Recipe,
    data: list[MixedImages],
    place: Place,
    first_epoch: int = 0,
) -> list[dict[str, Any]]:
    step = ClassifierStep(network, recipe, name, first_epoch)
    return fit(step, data[0], data[1], recipe.steps[name], place.scratch, place.run)


def _save(network: torch.nn.Module, recipe: Recipe, history: list[dict[str, Any]], place: Place) -> None:
    save_trained(place.out, network, recipe)
    pd.DataFrame(history).to_csv(place.out / "history.csv", index=False)
