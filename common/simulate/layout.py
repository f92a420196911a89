"""Where the cells of a field lie.

Lengths are in pixels of a 512 px picture, times ``zoom``. Cells are laid out on a canvas that is larger
than the picture on each side, so that border cells are whole cells, cut.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from common.simulate.anatomy import finish
from common.simulate.cell_lines import CellLine
from common.simulate.shapes import MITOTIC_RADIUS, Body, Cell, Spot, grow
from common.simulate.structures import Mask

MARGIN_PX = 64
LEAST_NUCLEUS = 0.6
"""A cell with less of its nucleus inside the picture is painted, but not in the masks."""
LEAST_NUCLEUS_PX = 60
GROWTH = 1.03
"""Of the radius: neighbours and the edge of the picture take a part of the area."""
CROWDING = 1.2
"""More cells are tried than a picture holds."""


@dataclass(frozen=True)
class Frame:
    """The picture on its canvas."""

    side: int
    margin: int
    zoom: float

    @property
    def canvas(self) -> int:
        """The side of the canvas."""
        return self.side + 2 * self.margin

    @property
    def window(self) -> tuple[slice, slice]:
        """The picture's place on the canvas."""
        return (slice(self.margin, self.margin + self.side),) * 2


@dataclass(frozen=True)
class Layout:
    """The cells of one field. ``cells[k - 1]`` is value k of the masks; ``strays`` are painted only."""

    frame: Frame
    cells: list[Cell]
    strays: list[Cell]
    cell_mask: npt.NDArray[np.uint16]  # (side, side)
    nucleus_mask: npt.NDArray[np.uint16]  # (side, side)


def lay_out(
    rng: np.random.Generator, line: CellLine, side_px: int, zoom: float, mitotic_rate: float, mitotic: int
) -> Layout:
    """Draw the cells of one field, of which at least ``mitotic`` divide.

    The masks number cells from 1 in raster order of their first pixel.
    """
    frame = Frame(side_px, round(MARGIN_PX * zoom), zoom)
    spots = _place(rng, line, frame, mitotic_rate, mitotic)
    bodies = [grow(rng, spot, line, zoom, frame.canvas) for spot in spots]
    masks = _press(bodies, frame.canvas)
    return arrange([finish(rng, body, mask) for body, mask in zip(bodies, masks, strict=True)], frame)


def arrange(cells: list[Cell], frame: Frame) -> Layout:
    """Number the cells that are seen well enough, and draw their masks."""
    picture = np.zeros((frame.canvas, frame.canvas), bool)
    picture[frame.window] = True
    seen = [_is_seen(cell, picture) for cell in cells]
    strays = [cell for cell, known in zip(cells, seen, strict=True) if not known]
    known = sorted(
        (cell for cell, known in zip(cells, seen, strict=True) if known),
        key=lambda cell: _first_pixel(cell, picture),
    )
    masks = np.zeros((2, frame.canvas, frame.canvas), np.uint16)
    for number, cell in enumerate(known, start=1):
        masks[0][cell.box][cell.mask] = number
        masks[1][cell.box][cell.nucleus] = number
    return Layout(frame, known, strays, masks[0][frame.window].copy(), masks[1][frame.window].copy())


def _place(
    rng: np.random.Generator, line: CellLine, frame: Frame, mitotic_rate: float, mitotic: int
) -> list[Spot]:
    """Choose centres by rejection: cells of some lines prefer to sit beside a cell that is there."""
    shape = (line.count / line.count_sd) ** 2
    pictures = (frame.side / frame.zoom / 512) ** 2
    # The line's count holds for the picture; centres also fall on the rim around it, and some find no place.
    rim = CROWDING * ((frame.side + frame.margin) / frame.side) ** 2
    count = round(rng.gamma(shape, line.count / shape) * pictures * rim)
    spread = np.sqrt(np.log1p(line.area_cv**2))
    typical = GROWTH * np.sqrt(line.area_px / np.pi) * frame.zoom
    spots: list[Spot] = []
    for index in range(max(count, mitotic + 1)):
        divides = index < mitotic or rng.random() < mitotic_rate
        radius = typical * rng.lognormal(0, spread / 2) * (MITOTIC_RADIUS if divides else 1)
        for _ in range(40):
            y, x = _propose(rng, spots, radius, line.clumping, frame)
            # The first cells lie well inside: every field has a cell, and a forced mitosis is seen.
            if index <= mitotic:
                y, x = frame.margin + rng.uniform(0.15, 0.85, size=2) * frame.side
            if all(np.hypot(y - s.y, x - s.x) > 0.74 * (radius + s.radius) for s in spots):
                spots.append(Spot(y, x, radius, divides))
                break
    return spots


def _propose(
    rng: np.random.Generator, spots: list[Spot], radius: float, clumping: float, frame: Frame
) -> tuple[float, float]:
    """A centre anywhere, or beside a random cell."""
    low, high = frame.margin / 2, frame.side + 1.5 * frame.margin
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
    return [largest_piece(owner[body.box] == index) for index, body in enumerate(bodies)]


def largest_piece(mask: Mask) -> Mask:
    """The largest connected part of ``mask``: neighbours can cut a cell in two."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    return np.asarray(pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _is_seen(cell: Cell, picture: Mask) -> bool:
    """Whether enough of the nucleus lies in the picture, and enough of it is left by the neighbours."""
    seen = np.count_nonzero(cell.nucleus & picture[cell.box])
    return bool(
        seen >= max(LEAST_NUCLEUS * np.count_nonzero(cell.nucleus), LEAST_NUCLEUS_PX * cell.zoom**2, 1)
    )


def _first_pixel(cell: Cell, picture: Mask) -> int:
    """The raster position of the cell's first pixel inside the picture."""
    y, x = divmod(int(np.argmax(cell.mask & picture[cell.box])), cell.mask.shape[1])
    return (y + cell.corner[0]) * picture.shape[1] + x + cell.corner[1]
