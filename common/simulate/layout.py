"""Where the cells of a field lie.

Lengths are in pixels of a 512 px picture, times ``zoom``. Cells are laid out on a canvas that is larger
than the picture on each side, so that border cells are whole cells, cut.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from common.simulate.anatomy import finish
from common.simulate.shapes import NUCLEUS_SHRINK, Body, Cell, Spot, grow
from common.simulate.structures import Mask

MARGIN_PX = 64
MITOTIC_SHARE = 0.015
LEAST_NUCLEUS = 0.3
"""A cell with less of its nucleus inside the picture is painted, but not in the masks."""


@dataclass(frozen=True)
class CellLine:
    """Statistics of a cell line over public fields; areas are in pixels of a 512 px picture."""

    share: float
    count: float
    count_sd: float
    area_px: float
    area_cv: float
    eccentricity: float
    nucleus_share: float
    clumping: float


CELL_LINES = {
    "U-2 OS": CellLine(0.388, 11.3, 5.4, 11160, 0.43, 0.72, 0.15, 0.25),
    "A-431": CellLine(0.216, 10.5, 4.0, 12260, 0.50, 0.60, 0.16, 0.75),
    "U-251 MG": CellLine(0.201, 11.6, 4.2, 7080, 0.50, 0.70, 0.19, 0.20),
    "HEK 293": CellLine(0.030, 17.7, 6.5, 4160, 0.50, 0.72, 0.27, 0.70),
    "PC-3": CellLine(0.027, 14.1, 7.1, 5130, 0.45, 0.74, 0.24, 0.40),
    "HeLa": CellLine(0.022, 10.8, 7.6, 10740, 0.45, 0.78, 0.16, 0.30),
}


@dataclass(frozen=True)
class Layout:
    """The cells of one field. ``cells[k - 1]`` is value k of the masks; ``strays`` are painted only."""

    cells: list[Cell]
    strays: list[Cell]
    cell_mask: npt.NDArray[np.uint16]  # (side, side)
    nucleus_mask: npt.NDArray[np.uint16]  # (side, side)
    window: tuple[slice, slice]  # the picture on the canvas
    canvas: int
    zoom: float


def lay_out(rng: np.random.Generator, line: CellLine, side_px: int, mitotic: int) -> Layout:
    """Draw the cells of one field, of which at least ``mitotic`` divide.

    The masks number cells from 1 in raster order of their first pixel.
    """
    zoom = side_px / 512
    margin = round(MARGIN_PX * zoom)
    canvas = side_px + 2 * margin
    nucleus_radius = NUCLEUS_SHRINK * np.sqrt(line.nucleus_share * line.area_px / np.pi) * zoom
    spots = _place(rng, line, side_px, margin, mitotic)
    bodies = [grow(rng, spot, (line.eccentricity, nucleus_radius), zoom, canvas) for spot in spots]
    cells = [finish(rng, body, mask) for body, mask in zip(bodies, _press(bodies, canvas), strict=True)]
    window = (slice(margin, margin + side_px),) * 2
    picture = np.zeros((canvas, canvas), bool)
    picture[window] = True
    known = sorted((c for c in cells if _is_seen(c, picture)), key=lambda cell: _first_pixel(cell, picture))
    masks = np.zeros((2, canvas, canvas), np.uint16)
    for number, cell in enumerate(known, start=1):
        masks[0][cell.box][cell.mask] = number
        masks[1][cell.box][cell.nucleus] = number
    strays = [cell for cell in cells if not _is_seen(cell, picture)]
    return Layout(known, strays, masks[0][window].copy(), masks[1][window].copy(), window, canvas, zoom)


def _place(rng: np.random.Generator, line: CellLine, side: int, margin: int, mitotic: int) -> list[Spot]:
    """Choose centres by rejection: cells of some lines prefer to sit beside a cell that is there."""
    shape = (line.count / line.count_sd) ** 2
    # The line's count holds for the picture; centres also fall on the rim around it.
    count = round(rng.gamma(shape, line.count / shape) * ((side + margin) / side) ** 2)
    spread = np.sqrt(np.log1p(line.area_cv**2))
    typical = np.sqrt(line.area_px / np.pi) * side / 512
    spots: list[Spot] = []
    for index in range(max(count, mitotic + 1)):
        divides = index < mitotic or rng.random() < MITOTIC_SHARE
        radius = typical * np.exp(rng.normal(-(spread**2) / 4, spread / 2)) * (0.62 if divides else 1)
        for _ in range(40):
            y, x = _propose(rng, spots, radius, line.clumping, (side, margin))
            # The first cells lie well inside: every field has a cell, and a forced mitosis is seen.
            if index <= mitotic:
                y, x = margin + rng.uniform(0.15, 0.85, size=2) * side
            if all(np.hypot(y - s.y, x - s.x) > 0.78 * (radius + s.radius) for s in spots):
                spots.append(Spot(y, x, radius, divides))
                break
    return spots


def _propose(
    rng: np.random.Generator, spots: list[Spot], radius: float, clumping: float, frame: tuple[int, int]
) -> tuple[float, float]:
    """A centre anywhere, or beside a random cell; ``frame`` is the picture's side and the canvas' margin."""
    side, margin = frame
    low, high = margin / 2, side + 1.5 * margin
    if spots and rng.random() < clumping:
        friend = spots[rng.integers(len(spots))]
        angle, distance = rng.uniform(0, 2 * np.pi), (radius + friend.radius) * rng.uniform(0.8, 1.05)
        y, x = friend.y + distance * np.sin(angle), friend.x + distance * np.cos(angle)
        if low < min(y, x) and max(y, x) < high:
            return y, x
    y, x = rng.uniform(low, high, size=2)
    return y, x


def _press(bodies: list[Body], canvas: int) -> list[Mask]:
    """The (h, w) masks of bodies on one canvas: a pixel goes to the body of smallest relative distance."""
    nearest = np.ones((canvas, canvas), np.float32)
    owner = np.full((canvas, canvas), -1, np.int16)
    for index, body in enumerate(bodies):
        # No neighbour comes closer to a nucleus than 1.2 times its radius, however large it is.
        claim = np.minimum(body.reach, body.nucleus_reach / 1.25)
        wins = claim < nearest[body.box]
        nearest[body.box][wins] = claim[wins]
        owner[body.box][wins] = index
    return [_largest_piece(owner[body.box] == index) for index, body in enumerate(bodies)]


def _largest_piece(mask: Mask) -> Mask:
    """The largest connected part of ``mask``: neighbours can cut a cell in two."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    return np.asarray(pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _is_seen(cell: Cell, picture: Mask) -> bool:
    """Whether enough of the nucleus lies in the picture, and enough of it is left by the neighbours."""
    seen = np.count_nonzero(cell.nucleus & picture[cell.box])
    return bool(seen >= max(LEAST_NUCLEUS * np.count_nonzero(cell.nucleus), 60 * cell.zoom**2, 1))


def _first_pixel(cell: Cell, picture: Mask) -> int:
    """The raster position of the cell's first pixel inside the picture."""
    y, x = divmod(int(np.argmax(cell.mask & picture[cell.box])), cell.mask.shape[1])
    return (y + cell.corner[0]) * picture.shape[1] + x + cell.corner[1]
