"""Do maps point at the right cells? Measured where the truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from approaches.cam_seg.pooling import CellPixels


@dataclass(frozen=True)
class Mass:
    """Of each class (C,): the mass of its map in cells that show it, in other cells, and outside all cells, and the
    areas of the first two in pixels. Only of images where some cells show the class and some do not."""

    right: np.ndarray
    wrong: np.ndarray
    outside: np.ndarray
    right_px: np.ndarray
    wrong_px: np.ndarray


def measure_mass(maps: np.ndarray, cells: np.ndarray, ids: np.ndarray, shows: np.ndarray) -> Mass:
    """Share out the maps of an image.

    Args:
        maps: (C, H, W), 0 or above.
        cells: (H, W) mask.
        ids: (n,) of all cells in it.
        shows: (n, C) which cell shows which class.
    """
    pixels = CellPixels(cells, ids)
    in_cells = pixels.sums(pixels.gather(maps))
    right, wrong = (in_cells * shows).sum(0), (in_cells * ~shows).sum(0)
    areas = [pixels.areas @ chosen for chosen in (shows, ~shows)]
    outside = maps.sum((1, 2), dtype=np.float64) - right - wrong
    told = (areas[0] > 0) & (areas[1] > 0)
    return Mass(*(np.where(told, each, 0) for each in (right, wrong, outside.clip(0), *areas)))


def pointing(masses: Sequence[Mass]) -> dict[str, np.ndarray]:
    """Sum up images, class by class; NaN where no image tells.

    Returns:
        ``hit``: the share of the mass in cells that lies in the right ones; ``chance``: that of a map which is even
        over all cells; ``outside``: the share of all mass that lies in no cell. All (C,), 0 to 1.
    """
    right, wrong, outside, right_px, wrong_px = (
        np.sum([getattr(mass, name) for mass in masses], axis=0) for name in Mass.__dataclass_fields__
    )
    with np.errstate(invalid="ignore"):
        return {
            "hit": right / (right + wrong),
            "chance": right_px / (right_px + wrong_px),
            "outside": outside / (right + wrong + outside),
        }
