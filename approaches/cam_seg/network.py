"""The two networks: a classifier whose classes are maps, and a U-Net that learns pseudo masks.

B pictures, C channels, F features, K maps (19 classes, then sub-classes), h x w their grid.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, normalize

from approaches.cam_seg.recipe import Recipe, SegmenterParams
from common.backbones import LOAD_ERRORS, BackboneParams, avoid_retries, build_features
from common.classes import CLASSES
from common.errors import MissingWeightsError, ParamsError
from common.recipes import Normalize
from common.torchvision_ops import declare_torchvision_ops
from common.tta import see

RGB = 3
"""Published weights know so many channels."""


class Scale(nn.Module):
    """Pixels (B, C, H, W), uint8 or in [0, 1], to mean 0 and standard deviation 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalize: Normalize) -> None:
        super().__init__()
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(normalize, name)).reshape(-1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """The shape stays."""
        return ((pixels if pixels.is_floating_point() else pixels.float() / 255) - self.mean) / self.std


class CamClassifier(nn.Module):
    """A convolutional backbone whose features a 1 x 1 convolution turns into a map of each class (SC-CAM).

    A logit is the mean of its map, which is the map of the mean feature: pooling and the convolution are linear.
    """

    def __init__(self, backbone: nn.Module, width: int, sub_classes: int = 0, drop: float = 0.0) -> None:
        super().__init__()
        self.scale: nn.Module = nn.Identity()
        self.backbone, self.width, self.drop = backbone, width, drop
        self.classes = _head(width, len(CLASSES))
        self.sub_classes = _head(width, sub_classes) if sub_classes else None

    def forward(
        self, pixels: Tensor, read: Callable[["CamClassifier", Tensor], Tensor] | None = None
    ) -> Tensor:
        """(B, C, H, W) to (B, K) logits; or what ``read`` makes of the network and the pixels.

        A training gives precision and devices to this method alone: a loss of more than logits has to come through it.
        """
        return self.logits_of(self.features(pixels)) if read is None else read(self, pixels)

    def features(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) to (B, F, h, w)."""
        features: Tensor = self.backbone.forward_features(self.scale(pixels))  # type: ignore[operator]
        return features

    def maps_of(self, features: Tensor) -> Tensor:
        """(B, F, h, w) to (B, K, h, w), of any sign."""
        maps: Tensor = self.classes(features)
        return maps if self.sub_classes is None else torch.cat([maps, self.sub_classes(features)], 1)

    def logits_of(self, features: Tensor) -> Tensor:
        """(B, F, h, w) to (B, K)."""
        pooled = dropout(features.mean((2, 3), keepdim=True), self.drop, self.training)
        return self.maps_of(pooled).flatten(1)


def classifier_of(recipe: Recipe, sub_classes: int, pretrained: bool = True) -> CamClassifier:
    """The classifier of a recipe; not ``pretrained``: with random weights, to be loaded.

    Raises:
        ParamsError, MissingWeightsError: as ``build_classifier``.
    """
    wanted = recipe.backbone.model_copy(update={"pretrained": recipe.backbone.pretrained and pretrained})
    network = build_classifier(wanted, len(recipe.view.channels), sub_classes)
    network.scale = Scale(recipe.normalize)
    return network


def segmenter_of(recipe: Recipe, pretrained: bool = True) -> nn.Module:
    """The U-Net of a recipe; else as ``classifier_of``."""
    wanted = recipe.segmenter.model_copy(update={"pretrained": recipe.segmenter.pretrained and pretrained})
    return nn.Sequential(Scale(recipe.normalize), build_segmenter(wanted, len(recipe.view.channels)))


def build_classifier(params: BackboneParams, channels: int, sub_classes: int = 0) -> CamClassifier:
    """The classifier of round 0, or with ``sub_classes`` (190 in system C) that of round 1.

    Raises:
        ParamsError, MissingWeightsError: as ``common.backbones``.
    """
    backbone, width = build_features(params, RGB if params.pretrained else channels)
    if params.pretrained:
        widen_stem(backbone, channels)
    return CamClassifier(backbone, width, sub_classes, params.dropout)


def build_segmenter(params: SegmenterParams, channels: int) -> nn.Module:
    """(B, channels, H, W), sides multiples of 32, to logits (B, 20, H, W): the classes, then background.

    Raises:
        ParamsError: there is no such encoder, or it has fewer steps than the decoder.
        MissingWeightsError: pretrained weights cannot be had.
    """
    declare_torchvision_ops()
    if params.pretrained:
        avoid_retries()
    import segmentation_models_pytorch as smp

    depth = len(params.decoder_channels)
    shape = {"encoder_depth": depth, "decoder_channels": params.decoder_channels}
    given = {"in_channels": channels, "classes": len(CLASSES) + 1}
    try:
        network: nn.Module = smp.Unet(params.encoder, encoder_weights=None, **shape, **given)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ParamsError(
            f"segmenter.encoder: {params.encoder!r} with {depth} decoder_channels cannot be built "
            f"({str(error)[:200]}); see segmentation-models-pytorch for the names of encoders"
        ) from None
    if not params.pretrained:
        return network
    try:
        network = smp.Unet(
            params.encoder, encoder_weights="imagenet", **shape, **given | {"in_channels": RGB}
        )
    except LOAD_ERRORS as error:
        raise MissingWeightsError(
            f"pretrained weights of the encoder {params.encoder} cannot be loaded "
            f"({str(error).strip().partition(chr(10))[0]}); go online once, or set segmenter.pretrained to false"
        ) from None
    widen_stem(network, channels)
    return network


def widen_stem(network: nn.Module, channels: int) -> None:
    """Let the first convolution take more channels: each further one starts with the weights of the last (blue).

    System C. timm and smp would repeat red and shrink all weights by 3 / channels.
    """
    stem = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
    weight = stem.weight.detach()
    further = weight[:, -1:].expand(-1, channels - weight.shape[1], -1, -1)
    stem.weight = nn.Parameter(torch.cat([weight, further], 1))
    stem.in_channels = channels


def pooled_features(
    network: CamClassifier, pixels: Tensor, groups: Sequence[Sequence[str]], unit_length: bool
) -> Tensor:
    """What sub-categories are found by: (B, C, H, W) to (B, groups x F) float32.

    Args:
        groups: views (``common.tta``); the features of a group are averaged, those of groups joined.
        unit_length: whether the features of each view are first brought to length 1.
    """
    joined = []
    for views in groups:
        seen = [network.features(see(pixels, view)).float().mean((2, 3)) for view in views]
        joined.append(torch.stack([normalize(each) if unit_length else each for each in seen]).mean(0))
    return torch.cat(joined, 1)


def _head(width: int, classes: int) -> nn.Conv2d:
    convolution = nn.Conv2d(width, classes, 1, bias=False)
    nn.init.xavier_uniform_(convolution.weight)
    return convolution
