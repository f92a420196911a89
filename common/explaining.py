"""Where in a picture a network sees a class: its own maps, and Grad-CAM for any convolutional network."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.classes import CHANNELS, PROBABILITIES
from common.errors import ParamsError
from common.files import atomic
from common.overlay import display_colors, outline, short_name
from common.torchvision_ops import declare_torchvision_ops

SIDE_PX = 320
HEAD_PX = 30
MARGIN = 0.15
"""Of a cell's box, on each side."""
STRENGTH = 0.6
"""How much of the pixels the hottest place hides."""


@dataclass(frozen=True)
class Picture:
    """What a network is shown to judge cells, and the same for the eye.

    ``pixels`` is (C, H, W) as the network takes it; ``shown`` (h, w, 3) uint8, the same view at any resolution;
    ``mask`` (h, w) numbers the cells in it, of which those in ``ids`` are judged.
    """

    image_id: str
    pixels: Tensor
    shown: np.ndarray
    mask: np.ndarray
    ids: Sequence[int]


@dataclass(frozen=True)
class Explainable:
    """A network that gives (B, 19 or more) logits, the layer whose features it reads, and what it is shown.

    ``maps`` are those that the approach has of its own, by name: each takes (1, C, H, W) to (1, 19, h, w).
    """

    network: nn.Module
    layer: nn.Module
    pictures: Iterable[Picture]
    maps: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)


def last_features(backbone: nn.Module) -> nn.Module:
    """The last layer of a timm network that gives features."""
    return backbone.get_submodule(backbone.feature_info[-1]["module"])  # type: ignore[index, arg-type]


def field_colors(planes: np.ndarray) -> np.ndarray:
    """A field (4, h, w) as a square for the eye: padded below or to the right, as networks see it."""
    side = max(planes.shape[1:])
    return square(display_colors(planes), side)


def square(plane: np.ndarray, side: int) -> np.ndarray:
    """Pad (h, w) or (h, w, 3) with 0 below and to the right."""
    rest = [(0, side - length) for length in plane.shape[:2]]
    return np.pad(plane, rest + [(0, 0)] * (plane.ndim - 2))


def view_colors(pixels: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """What a network sees (h, w, C) for the eye; channels that it does not see are black."""
    planes = np.zeros((len(CHANNELS), *pixels.shape[:2]), pixels.dtype)
    for plane, channel in enumerate(channels):
        planes[CHANNELS.index(channel)] = pixels[..., plane]
    return display_colors(planes)


def explain(given: Explainable, predictions: pd.DataFrame, top: int, out: Path) -> Iterator[Path]:
    """Write ``<image>/<cell>_<class>.png`` for the ``top`` most probable classes of each cell; gives the paths.

    Args:
        predictions: a prediction table.

    Raises:
        ParamsError: the package grad-cam is not installed.
    """
    asked = _grad_cam(given)
    table = predictions.set_index(["image_id", "cell_id"])[list(PROBABILITIES)]
    for picture in given.pictures:
        wanted = table.loc[[(picture.image_id, cell_id) for cell_id in picture.ids]].to_numpy()
        first = np.argsort(-wanted, axis=1, kind="stable")[:, :top]
        for class_id in np.unique(first).tolist():
            heats = {name: _own_map(maps, picture.pixels, class_id) for name, maps in given.maps.items()}
            heats["Grad-CAM"] = asked(picture.pixels, class_id)
            for row in np.flatnonzero((first == class_id).any(1)).tolist():
                title = f"{short_name(class_id)} {wanted[row, class_id]:.2f}"
                drawn = draw(picture, picture.ids[row], heats, title)
                path = out / picture.image_id / f"{picture.ids[row]}_{class_id}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic(path) as part:
                    drawn.save(part, "PNG")
                yield path


def draw(picture: Picture, cell_id: int, heats: Mapping[str, np.ndarray], title: str) -> Image.Image:
    """The cell, outlined, then the cell under each of ``heats``: (H, W) in [0, 1] over the whole picture."""
    inside = picture.mask == cell_id
    box = _box(inside)
    tiles = {title: picture.shown[box].copy()}
    for name, heat in heats.items():
        large = cv2.resize(heat, picture.shown.shape[1::-1], interpolation=cv2.INTER_LINEAR)[box]
        tiles[name] = _under(picture.shown[box], large)
    drawn = Image.new("RGB", (len(tiles) * SIDE_PX, HEAD_PX + SIDE_PX), "#111111")
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(16)
    cell = _fit(inside[box].astype(np.uint8), cv2.INTER_NEAREST) > 0
    for place, (name, pixels) in enumerate(tiles.items()):
        tile = _fit(pixels, cv2.INTER_CUBIC)
        outline(tile, cell, "#ffffff", 1)
        drawn.paste(Image.fromarray(tile), (place * SIDE_PX, HEAD_PX))
        pen.text((place * SIDE_PX + 6, 5), name, fill="#dddddd", font=font)
    return drawn


def _grad_cam(given: Explainable) -> Callable[[Tensor, int], np.ndarray]:
    """Selvaraju et al. 2017, by the package grad-cam: (C, H, W) pixels and a class to (H, W) in [0, 1]."""
    declare_torchvision_ops()
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        raise ParamsError("hpa explain needs an extra: pip install 'hpa-arena[cam]'") from None
    looked = GradCAM(given.network.eval(), [given.layer])

    def asked(pixels: Tensor, class_id: int) -> np.ndarray:
        heat: np.ndarray = looked(_floating(pixels)[None], [ClassifierOutputTarget(class_id)])[0]
        return heat.astype(np.float32)

    return asked


def _own_map(maps: Callable[[Tensor], Tensor], pixels: Tensor, class_id: int) -> np.ndarray:
    with torch.inference_mode():
        found = maps(_floating(pixels)[None])[:, class_id : class_id + 1].float().relu()
        large = interpolate(found, pixels.shape[1:], mode="bilinear", align_corners=False)[0, 0]
        return (large / large.max().clamp_min(1e-6)).cpu().numpy()


def _floating(pixels: Tensor) -> Tensor:
    return pixels if pixels.is_floating_point() else pixels.float() / 255


def _box(inside: np.ndarray) -> tuple[slice, slice]:
    """The box of a cell with a margin, square where the picture has room."""
    y, x = np.nonzero(inside)
    half = int((0.5 + MARGIN) * max(np.ptp(y), np.ptp(x))) + 1
    middles = ((y.min() + y.max()) // 2, (x.min() + x.max()) // 2)
    rows, columns = (
        slice(max(0, middle - half), min(side, middle + half))
        for middle, side in zip(middles, inside.shape, strict=True)
    )
    return rows, columns


def _under(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    colors = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    share = STRENGTH * heat[..., None]
    return (pixels * (1 - share) + colors * share).astype(np.uint8)


def _fit(pixels: np.ndarray, how: int) -> np.ndarray:
    """Scale into a square of ``SIDE_PX``, black beside it."""
    scale = SIDE_PX / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return square(cv2.resize(pixels, (width, height), interpolation=how), SIDE_PX)
