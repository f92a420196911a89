"""Asks trained networks about images: maps and probabilities, averaged over networks and views."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from approaches.cam_seg.dataset import AskedImages, Seen
from approaches.cam_seg.maps import combine, normalise_maps, predict_maps, shares
from approaches.cam_seg.network import CamClassifier, classifier_of, segmenter_of
from approaches.cam_seg.recipe import Recipe
from common.classes import CLASSES
from common.forward import half_precision, loader_options, make_ready
from common.progress import track
from common.trained import load_trained
from common.tta import predict_maps_with

CLASSIFIER = "classifier"
"""The folder in a fold's."""


@dataclass(frozen=True)
class Networks:
    """What is asked: classifiers and U-Nets of one recipe, on one device."""

    classifiers: list[CamClassifier]
    segmenters: list[nn.Module]
    recipe: Recipe
    device: torch.device


def load_classifiers(folders: Sequence[Path]) -> Networks:
    """Read the classifiers alone. Raises as ``load_trained``."""
    loaded = [load_trained(folder, Recipe, _classifier) for folder in folders]
    ready = [make_ready(network, recipe.trainer.channels_last) for network, recipe in loaded]
    return Networks([network for network, _ in ready], [], loaded[-1][1], ready[-1][1])


def load_folds(folders: Sequence[Path]) -> Networks:
    """Read whole folds: each is a U-Net, with its classifier in a folder below. Raises as ``load_trained``."""
    known = load_classifiers([folder / CLASSIFIER for folder in folders])
    loaded = [load_trained(folder, Recipe, _segmenter) for folder in folders]
    segmenters = [make_ready(network, recipe.trainer.channels_last)[0] for network, recipe in loaded]
    return replace(known, segmenters=segmenters, recipe=loaded[-1][1])


def _classifier(recipe: Recipe) -> CamClassifier:
    return classifier_of(recipe, recipe.sub_classes, pretrained=False)


_segmenter = partial(segmenter_of, pretrained=False)


def ask(networks: Networks, images: AskedImages, what: str) -> Iterator[tuple[str, Seen, "Asker"]]:
    """Each image's id, what is seen of it, and who answers questions about it."""
    loader = DataLoader(images, batch_size=None, collate_fn=_as_it_is, **loader_options())
    with torch.inference_mode(), half_precision(networks.device, networks.recipe.trainer.precision):
        for image_id, seen in zip(images.ids, track(loader, len(images), what), strict=True):
            yield image_id, seen, Asker(networks, seen.pixels.to(networks.device))


def _as_it_is(seen: Any) -> Any:
    """Arrays stay arrays."""
    return seen


@dataclass(frozen=True)
class Asker:
    """Asks about one image."""

    networks: Networks
    pixels: Tensor

    def classifier_maps(self, number: int, weights: Tensor, size_px: int) -> tuple[np.ndarray, np.ndarray]:
        """Of one classifier: (19, size, size) maps, normalised and times ``weights`` (19,), and (19,) probabilities."""
        params, size = self.networks.recipe.maps, (size_px, size_px)
        found, probabilities = predict_maps(
            self.networks.classifiers[number], self.pixels, params.views, size
        )
        maps = normalise_maps(found, weights[None].to(found.device), params.epsilon)
        return maps[0].cpu().numpy(), probabilities[0].cpu().numpy().astype(float)

    def segmenter_maps(self, number: int, size_px: int) -> np.ndarray:
        """Of one U-Net: (19, size, size) probabilities."""
        network = self.networks.segmenters[number]
        views, size = self.networks.recipe.segmenter_views, (size_px, size_px)

        def planes(picture: Tensor) -> Tensor:
            return network(picture)[:, : len(CLASSES)].float().sigmoid()

        return predict_maps_with(views, planes, self.pixels, size)[0].cpu().numpy()

    def ensemble(self, size_px: int) -> tuple[np.ndarray, np.ndarray]:
        """Maps and probabilities of all networks, by the weights of the recipe (system C)."""
        parts, recipe = self.networks, self.networks.recipe
        members = [recipe.ensemble.classifier] * len(parts.classifiers)
        members += [recipe.ensemble.segmenter] * len(parts.segmenters)
        ones = torch.ones(len(CLASSES))
        answers = [self.classifier_maps(number, ones, size_px) for number in range(len(parts.classifiers))]
        maps = [maps for maps, _ in answers]
        maps += [self.segmenter_maps(number, size_px) for number in range(len(parts.segmenters))]
        probabilities = np.mean([found for _, found in answers], axis=0)
        return combine(maps, shares(members, "maps"), recipe.maps.zero), probabilities
