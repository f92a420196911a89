"""Simulated fields to learn segmentation from, drawn when they are needed: none is seen twice, none is stored."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from pydantic import Field as Limit
from torch import Tensor
from torch.utils.data import Dataset

from common.classes import CHANNELS, NEGATIVE
from common.params import Params
from common.segmentation.unet import BRIGHT_PERCENTILE, USED, normalise
from common.segmenter_training.targets import cell_target, nucleus_target
from common.simulate.cell_lines import CELL_LINES
from common.simulate.fields import Field, simulate_field
from common.simulate.samples import Entry, SimulateParams

Span = tuple[float, float]
"""Lowest and highest value; drawn evenly between them."""

RIM_UM = 0.64
FIELD_UM = 164.0
"""Width of a simulated field at zoom 1."""


class SceneParams(Params):
    """How training pictures differ from each other. Lengths are in pixels of the network unless said otherwise."""

    side_px: int = Limit(default=256, ge=64, multiple_of=32)
    """Of the square pieces that the network sees."""
    pieces: int = Limit(default=4, ge=1)
    """Cut out of each simulated field."""
    difficulty: Span = (0.1, 1.0)
    zoom: tuple[float, ...] = Limit(default=(0.75, 1.0, 1.25, 1.6), min_length=1)
    """A few values: the simulator keeps its textures for each."""
    debris: float = Limit(default=1.0, ge=0, le=20)
    mitotic_rate: float = Limit(default=0.03, ge=0, le=1)
    cell_spread: float = Limit(default=0.4, ge=0)
    """Log spread of the brightness of cells, in each channel."""
    hollow: Span = (0.0, 1.0)
    """Share of the light of microtubules and reticulum that nuclei lack."""
    gamma: Span = (0.7, 2.0)
    """Exponent of a channel's brightness: large ones hide thin parts of cells."""
    blur_px: Span = (0.0, 1.6)
    clean: float = Limit(default=0.5, ge=0, le=1)
    """Chance that no noise is added to what the simulated camera has."""
    noise: Span = (0.0, 0.08)
    """Standard deviation, as a share of a bright pixel."""
    haze: Span = (0.0, 0.3)
    """Light of a wide blur that is added, as a share of the picture's own."""
    shading: Span = (0.0, 0.5)
    """Loss of light from one side of the picture to the other."""


class Scenes(Dataset[tuple[Tensor, Tensor]]):
    """Item k is batch k: pixels (B, 3, side, side) float32 and targets (B, 2, side, side) uint8.

    It follows from the seed and k alone, so that a training may stop anywhere and go on.
    """

    def __init__(self, params: SceneParams, seed: int, um_per_px: float, fields: int, batches: int) -> None:
        self.params, self.seed, self.um_per_px = params, seed, um_per_px
        self.fields, self.batches = fields, batches

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pixels, targets = [], []
        for number in range(index * self.fields, (index + 1) * self.fields):
            rng = np.random.default_rng([self.seed, number])
            field = draw_field(rng, number, self.params, self.um_per_px)
            seen = disturb(rng, field, self.params)
            for _ in range(self.params.pieces):
                piece, nuclei, cells = cut(rng, [*seen, field.nuclei, field.cells], self.params.side_px)
                rim_px = max(1, round(RIM_UM / self.um_per_px))
                pixels.append(piece)
                targets.append(np.stack([nucleus_target(nuclei, rim_px), cell_target(cells, rim_px)]))
        return torch.from_numpy(np.stack(pixels)), torch.from_numpy(np.stack(targets))


def draw_field(rng: np.random.Generator, number: int, params: SceneParams, um_per_px: float) -> Field:
    """Simulate a field of any cell line, at the network's scale. Its protein does not matter."""
    simulated = SimulateParams(
        fields=1,
        test_fields=0,
        seed=int(rng.integers(2**31)),
        side_px=max(params.side_px, round(FIELD_UM / um_per_px)),
        zoom=float(rng.choice(params.zoom)),
        difficulty=rng.uniform(*params.difficulty),
        debris=params.debris,
        mitotic_rate=params.mitotic_rate,
    )
    line = str(rng.choice(list(CELL_LINES)))
    return simulate_field(
        Entry(f"scene-{number}", "scenes", line, "train", (NEGATIVE,), number, sample=0, look=0), simulated
    )


def disturb(rng: np.random.Generator, field: Field, params: SceneParams) -> np.ndarray:
    """Change a field as other cells, stains, microscopes and cameras would; gives the network's (3, h, w)."""
    hollow = 1 - np.float32(rng.uniform(*params.hollow)) * _soft((field.nuclei > 0).astype(np.float32))
    noise = np.float32(rng.uniform(*params.noise) * (rng.random() >= params.clean))
    planes = []
    for name in USED:
        plane = field.image[CHANNELS.index(name)].astype(np.float32)
        light = plane / max(float(np.percentile(plane, BRIGHT_PERCENTILE)), 1.0)
        gains = rng.lognormal(0, params.cell_spread, int(field.cells.max()) + 1).astype(np.float32)
        light *= _soft(np.append(np.float32(1), gains[1:])[field.cells])
        light = (light if name == "nucleus" else light * hollow) ** np.float32(rng.uniform(*params.gamma))
        light += np.float32(rng.uniform(*params.haze)) * cv2.GaussianBlur(light, (0, 0), 16)
        light *= _shade(rng, light.shape, params.shading)
        if sigma := rng.uniform(*params.blur_px):
            light = cv2.GaussianBlur(light, (0, 0), sigma)
        light += noise * rng.standard_normal(light.shape, np.float32)
        planes.append(normalise(np.maximum(light, 0)))
    return np.stack(planes)


def _soft(plane: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), 1)


def _shade(rng: np.random.Generator, shape: tuple[int, ...], shading: Span) -> np.ndarray:
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(*shading)
    y, x = np.mgrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
    return (1 - depth * (0.5 + (np.sin(angle) * y + np.cos(angle) * x) / 2**0.5)).astype(np.float32)


def cut(
    rng: np.random.Generator, planes: Sequence[np.ndarray], side_px: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a square out of three channels and two label maps, turned and mirrored by chance.

    Returns:
        (3, side, side) float32, nuclei and cells (side, side) uint16.
    """
    height, width = planes[0].shape
    y, x = rng.integers(height - side_px + 1), rng.integers(width - side_px + 1)
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    pieces = []
    for plane in planes:
        piece = np.rot90(plane[y : y + side_px, x : x + side_px], turns)
        pieces.append(np.ascontiguousarray(piece[:, ::-1] if mirror else piece))
    return np.stack(pieces[:3]), pieces[3], pieces[4]
