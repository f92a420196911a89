"""The classifier of pictures: features, pooled over a picture or over a cell of it, then a head.

It normalises by itself, and its weights hold mean and deviation: whoever starts from them sees pixels alike.
"""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from common.backbones import add_stem_pool, build_features
from common.classes import CLASSES
from common.forward import in_unit
from common.params import Params
from common.recipes import NetworkRecipe


class Head(Params):
    """From the map of features to one logit a class."""

    pool: Literal["avg", "avg+max"] = "avg"
    """The mean over the picture, or that and the highest value, side by side."""
    hidden: int = Field(default=0, ge=0)
    """Units of a layer before the last one, with batch normalisation and dropout on both sides; 0: none."""
    dropout: float = Field(default=0, ge=0, lt=1)


class ClassifierRecipe(NetworkRecipe):
    """A competing system whose network is a ``Classifier``."""

    extra_stem_pool: bool = False
    """Another 2 x 2 max pooling behind the stem (system A), which makes pictures of 1024 px affordable."""
    head: Head = Head()

    @model_validator(mode="after")
    def _drop_out_in_the_head(self) -> "ClassifierRecipe":
        if self.backbone.dropout:
            raise ValueError("backbone.dropout has no effect here; set head.dropout")
        return self


class Classifier(nn.Module):
    """B pictures of C channels and (S, S) pixels; F features on (h, w) places.

    Args:
        body: its ``forward_features`` takes (B, C, S, S) to (B, F, h, w).
        normalize: mean and standard deviation of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, body: nn.Module, features: int, head: Head, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.body, self.pooling = body, head.pool
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1))
        pooled = features * (2 if head.pool == "avg+max" else 1)
        self.embed = _hidden(pooled, head) if head.hidden else nn.Identity()
        self.embedding_size = head.hidden or pooled
        after = [nn.ReLU(), nn.BatchNorm1d(head.hidden)] if head.hidden else []
        self.classify = nn.Sequential(
            *after, nn.Dropout(head.dropout), nn.Linear(self.embedding_size, len(CLASSES))
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, S, S) pixels, uint8 or in [0, 1] -> (B, classes) logits."""
        logits: Tensor = self.classify(self.embed(self.pool(self.features(pixels))))
        return logits

    def features(self, pixels: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, F, h, w)."""
        found: Tensor = self.body.forward_features((in_unit(pixels) - self.mean) / self.std)  # type: ignore[operator]
        return found

    def pool(self, features: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, P): over the whole picture."""
        mean = features.mean((2, 3))
        return mean if self.pooling == "avg" else torch.cat([mean, features.amax((2, 3))], 1)

    def pool_cells(self, features: Tensor, shares: Tensor) -> Tensor:
        """Pool over each cell of one picture.

        Args:
            features: (F, h, w).
            shares: (n, h, w), how many of each place's pixels are of the cell; none is empty.

        Returns:
            (n, P).
        """
        flat, weights = features.flatten(1), shares.flatten(1)
        mean = (weights / weights.sum(1, keepdim=True)) @ flat.T
        if self.pooling == "avg":
            return mean
        highest = [flat[:, places].amax(1) for places in weights > 0]
        return torch.cat([mean, torch.stack(highest)], 1)

    def class_maps(self, features: Tensor) -> Tensor:
        """The evidence for each class at each place (Zhou et al. 2016): (F, h, w) -> (classes, h, w).

        A head of one layer without its bias. One of two layers, for which no such map is published, sees the features
        of the place as if the whole picture were like it.
        """
        places = features.flatten(1).T
        if isinstance(self.embed, nn.Identity) and self.pooling == "avg":
            maps = places @ self.classify[-1].weight.T  # type: ignore[operator]
        else:
            alike = places if self.pooling == "avg" else torch.cat([places, places], 1)
            maps = self.classify(self.embed(alike))
        return maps.T.reshape(-1, *features.shape[1:])


def build_network(recipe: ClassifierRecipe, pretrained: bool = True) -> Classifier:
    """The network of a recipe; not ``pretrained``: with random weights, to be loaded.

    Raises:
        ParamsError: there is no such backbone, or it has no stem to pool.
        MissingWeightsError: pretrained weights were asked for and cannot be had.
    """
    wanted = recipe.backbone.model_copy(update={"pretrained": recipe.backbone.pretrained and pretrained})
    body, features = build_features(wanted, len(recipe.normalize.mean))
    if recipe.extra_stem_pool:
        add_stem_pool(body)
    return Classifier(body, features, recipe.head, recipe.normalize.mean, recipe.normalize.std)


def _hidden(pooled: int, head: Head) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(pooled), nn.Dropout(head.dropout), nn.Linear(pooled, head.hidden))
