"""From the maps of three-class networks to masks: the post-processing of HPA-Cell-Segmentation.

A network gives three maps of a picture: background, border, interior; one network for nuclei, one for cells.
Seeds inside nuclei grow to nuclei, nuclei to cells over the interior, cells over their border. The algorithm and
its constants are those of CellProfiling/HPA-Cell-Segmentation (``hpacellseg/utils.py``, ``label_cell``).
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from pydantic import Field
from skimage.filters import threshold_otsu

from common.errors import DataError
from common.params import Params
from common.segmentation.flooding import flood
from common.segmentation.full_size import reduce, restore
from common.segmentation.label_maps import areas, by_first_pixel, drop_small, fill_labels, peel, split_parts

MAX_CELLS = 65535
PUBLISHED_PX_PER_UM = 12.5
"""Scale of the pictures that the published constants were chosen for: 2048 px of .08 um."""

FAST_PX_PER_UM = PUBLISHED_PX_PER_UM / 4
"""Scale at which ``fast`` works: that of the networks, 512 px a field."""

TOLERANCE = 1e-3
"""Resizing a float map may leave [0, 1] by this much."""

BODY_LEVEL = 176
"""Interior (of 255) above which most cells are apart: where ``flood`` looks for undisputed parts."""


class LabelCellsParams(Params):
    """What may be tuned. The defaults are the published constants; areas in pixels of .08 um became um2."""

    mode: Literal["exact", "fast"] = "exact"
    """``exact``: the published result. ``fast``: the same at a quarter of its scale, outlines at full size."""
    field_width_um: float | None = Field(default=163.84, gt=0)
    """Longer side of the maps, um. None: their pixels are .08 um, as the published code takes for granted."""
    seed_threshold: float = Field(default=0.15, ge=0, le=1)
    """A nucleus begins where its interior is more probable than this."""
    max_border_sum: float = Field(default=0.95, ge=0)
    """No nucleus begins where the probabilities of both borders add up to this or more."""
    nucleus_threshold: float = Field(default=0.4, ge=0, le=1)
    """A nucleus is where its interior is more probable than this."""
    min_cell_threshold: float = Field(default=0.22, ge=0, le=1)
    """A cell's interior is at least this probable; more where ``otsu_ratio`` says so."""
    otsu_ratio: float = Field(default=0.5, ge=0)
    """Cell threshold over Otsu's threshold of the cell interior map."""
    border_threshold: float = Field(default=0.05, ge=0, le=1)
    """A cell has its border where that is more probable than this."""
    min_seed_um2: float = Field(default=3.2, ge=0)
    """Smaller seeds of nuclei are dropped, um2 (500 px)."""
    max_hole_um2: float = Field(default=6.4, ge=0)
    """Holes of nuclei below this are filled, um2 (1,000 px)."""
    min_speck_um2: float = Field(default=0.0512, ge=0)
    """Smaller specks of the nucleus map are dropped, um2 (8 px)."""
    min_nucleus_um2: float = Field(default=16.0, ge=0)
    """Smaller nuclei are dropped, um2 (2,500 px)."""
    min_cell_um2: float = Field(default=35.2, ge=0)
    """Smaller cells are dropped, um2 (5,500 px)."""
    closing_um: float = Field(default=0.48, ge=0)
    """Radius of the disc that closes gaps of cells, um (6 px)."""
    wrap_border_sum: bool = True
    """Add both borders in 8 bits, so that 256 becomes 0: an accident of the published code. False: saturate."""
    exclude_border: bool = False
    """Keep cells off their border until the last step: meant by the published code, yet without effect in it."""


@dataclass(frozen=True)
class Maps:
    """What is looked at, (H, W) uint8 each: probabilities times 255."""

    nucleus_border: np.ndarray
    nucleus: np.ndarray
    cell_border: np.ndarray
    cell: np.ndarray


def label_cells(
    nucleus_maps: np.ndarray, cell_maps: np.ndarray, params: LabelCellsParams
) -> tuple[np.ndarray, np.ndarray]:
    """Label the nuclei and cells of a field.

    Args:
        nucleus_maps: (3, H, W) uint8 in 0..255 or float32 in [0, 1]: background, border, interior of nuclei.
        cell_maps: (3, H, W), likewise of cells. The background maps are not looked at.
        params: see ``LabelCellsParams``.

    Returns:
        nuclei: (H, W) uint16, 0 background; value k lies in cell k. Nuclei that share a cell share its number;
            a nucleus outside all cells is dropped.
        cells: (H, W) uint16, 0 background, values 1..n in raster order. No cell begins without a nucleus, but
            one whose nucleus is too small in the end is kept without it.

    Raises:
        DataError: another shape, type or range, or more than 65,535 cells.
    """
    maps = _read(nucleus_maps, cell_maps)
    scale = PUBLISHED_PX_PER_UM
    if params.field_width_um is not None:
        scale = max(maps.cell.shape) / params.field_width_um
    if params.mode == "exact":
        threshold = _cell_threshold(maps.cell, params)
        kept, cells = _label(maps, threshold, scale, params)
        cells = cells.astype(np.uint16)
        return np.multiply(cells, kept), cells
    return _label_fast(maps, scale, params)


def _label_fast(maps: Maps, scale: float, params: LabelCellsParams) -> tuple[np.ndarray, np.ndarray]:
    factor = max(1, round(scale / FAST_PX_PER_UM))
    small = Maps(**{name: reduce(full, factor) for name, full in vars(maps).items()})
    threshold = _cell_threshold(small.cell, params)
    kept, cells = _label(small, threshold, scale / factor, params)
    refused = _body(small, threshold, params) & (cells == 0)
    core = _above(maps.nucleus, params.nucleus_threshold)
    return restore(cells.astype(np.uint16), kept, refused, _body(maps, threshold, params), core, factor)


def _body(maps: Maps, threshold: float, params: LabelCellsParams) -> np.ndarray:
    """Where the maps see the interior or border of cells, (H, W) bool."""
    return _above(maps.cell, threshold) | _above(maps.cell_border, params.border_threshold)


def _label(
    maps: Maps, threshold: float, scale: float, params: LabelCellsParams
) -> tuple[np.ndarray, np.ndarray]:
    """Run the algorithm on maps of ``scale`` px per um.

    Returns:
        Where a cell's nucleus is, (H, W) bool, and cells, (H, W) int32 in raster order.
    """
    exact = params.mode == "exact"
    min_cell = _pixels(params.min_cell_um2, scale)
    nuclei = _nuclei(maps, scale, params)
    region = _above(maps.cell, threshold)
    if params.exclude_border:
        region &= ~_above(maps.cell_border, params.border_threshold)
    cells = drop_small(flood(maps.cell, nuclei, region, level=BODY_LEVEL), min_cell)
    closed = cv2.morphologyEx(cells.astype(np.uint16), cv2.MORPH_CLOSE, _disc(params.closing_um * scale))
    cells = _components(peel(closed), 4) if exact else fill_labels(closed)
    reach = (cells > 0) | _above(maps.cell_border, params.border_threshold)
    if params.exclude_border:
        reach |= closed > 0  # else the peeled pixel parts cells from the border they should grow into
    cells = flood(np.maximum(maps.cell, int(255 * threshold)), cells, reach)
    cells = _components(peel(cells), 8) if exact else fill_labels(cells)
    cells = by_first_pixel(drop_small(cells, min_cell))
    _check_count(cells)
    return _large_parts((nuclei > 0) & (cells > 0), _pixels(params.min_nucleus_um2, scale), 8), cells


def _nuclei(maps: Maps, scale: float, params: LabelCellsParams) -> np.ndarray:
    """Label the nuclei, (H, W) int32; each part of one has its own number."""
    borders = maps.nucleus_border + maps.cell_border
    if not params.wrap_border_sum:
        borders = cv2.add(maps.nucleus_border, maps.cell_border)
    seeds = _above(maps.nucleus, params.seed_threshold) & (borders < 255 * params.max_border_sum)
    seeds = drop_small(_components(seeds, 4), _pixels(params.min_seed_um2, scale))
    mask = _above(maps.nucleus, params.nucleus_threshold)
    mask = ~_large_parts(~mask, _pixels(params.max_hole_um2, scale), 4)
    mask = _large_parts(mask, _pixels(params.min_speck_um2, scale), 4)
    nuclei = flood(np.zeros_like(maps.nucleus), seeds, mask, lines=params.mode == "exact")
    nuclei = split_parts(drop_small(nuclei, _pixels(params.min_nucleus_um2, scale)))
    _check_count(nuclei)
    return nuclei


def _cell_threshold(interior: np.ndarray, params: LabelCellsParams) -> float:
    counts = cv2.calcHist([interior], [0], None, [256], [0, 256]).ravel()
    levels = np.flatnonzero(counts)
    otsu = levels[0] / 255
    if len(levels) > 1:
        bins, edges = np.histogram(levels / 255, bins=256, weights=counts[levels])
        otsu = threshold_otsu(hist=(bins, (edges[1:] + edges[:-1]) / 2))
    return max(params.min_cell_threshold, params.otsu_ratio * float(otsu))


def _above(grey: np.ndarray, threshold: float) -> np.ndarray:
    """Where (H, W) uint8 over 255 is above a probability; bool."""
    return grey >= int((np.arange(256) / 255 <= threshold).sum())


def _components(region: np.ndarray, connectivity: int) -> np.ndarray:
    return cv2.connectedComponents(region.view(np.uint8), connectivity=connectivity)[1]


def _large_parts(region: np.ndarray, min_area: int, connectivity: int) -> np.ndarray:
    """Keep the parts of (H, W) bool that have at least ``min_area`` pixels."""
    if min_area <= 1:
        return region
    parts = _components(region, connectivity)
    kept = areas(parts) >= min_area
    kept[0] = False
    return np.take(kept, parts)


def _pixels(area_um2: float, scale: float) -> int:
    return round(area_um2 * scale**2)


def _disc(radius: float) -> np.ndarray:
    """All pixels with their centre within ``radius`` px, uint8: ``skimage.morphology.disk`` for any radius."""
    reach = np.arange(-int(radius), int(radius) + 1)
    return (reach[:, None] ** 2 + reach**2 <= radius**2).astype(np.uint8)


def _check_count(labels: np.ndarray) -> None:
    if labels.max(initial=0) > MAX_CELLS:
        raise DataError(
            f"the maps hold {labels.max()} nuclei or cells, a mask at most {MAX_CELLS}; raise min_nucleus_um2 "
            "and min_cell_um2, or check field_width_um"
        )


def _read(nucleus_maps: np.ndarray, cell_maps: np.ndarray) -> Maps:
    """Check the maps and take what is needed of them."""
    for name, maps in (("nucleus", nucleus_maps), ("cell", cell_maps)):
        _check(name, maps)
    if nucleus_maps.shape != cell_maps.shape:
        raise DataError(
            f"the nucleus maps are {nucleus_maps.shape}, the cell maps {cell_maps.shape}; expected maps of the "
            "same picture, equal in size"
        )
    return Maps(*(_to_uint8(maps[plane]) for maps in (nucleus_maps, cell_maps) for plane in (1, 2)))


def _check(name: str, maps: np.ndarray) -> None:
    if maps.ndim != 3 or maps.shape[0] != 3 or 0 in maps.shape:
        raise DataError(
            f"the {name} maps have shape {maps.shape}, expected (3, H, W): background, border, interior"
        )
    if maps.dtype not in (np.uint8, np.float32):
        raise DataError(f"the {name} maps are {maps.dtype}, expected uint8 (0..255) or float32 in [0, 1]")
    if maps.dtype == np.float32 and not (maps.min() >= -TOLERANCE and maps.max() <= 1 + TOLERANCE):
        raise DataError(
            f"the {name} maps span [{maps.min():.3g}, {maps.max():.3g}], expected probabilities in [0, 1] "
            "without NaN; apply softmax to the network's output"
        )


def _to_uint8(plane: np.ndarray) -> np.ndarray:
    plane = np.ascontiguousarray(plane)
    return cv2.convertScaleAbs(plane, alpha=255) if plane.dtype == np.float32 else plane
