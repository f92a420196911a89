"""Statistics of the cell lines, measured over public fields of the atlas; lengths in pixels of a 512 px picture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CellLine:
    """How cells of a line look and lie. ``corners`` and ``processes`` are by eye, the rest is measured."""

    share: float
    """Of the images."""
    count: float
    """Cells in a picture: mean and standard deviation."""
    count_sd: float
    area_px: float
    """The median area of a cell."""
    area_cv: float
    eccentricity: float
    nucleus_share: float
    """Of the area of the cell."""
    clumping: float
    """0: cells lie anywhere; 1: all of them beside each other."""
    corners: float
    """0: outlines are smooth; 1: spread out between points that hold on to the glass."""
    processes: float
    """The share of cells with long thin arms."""


CELL_LINES = {
    "U-2 OS": CellLine(0.388, 11.3, 5.4, 11160, 0.43, 0.72, 0.15, 0.25, 0.8, 0.2),
    "A-431": CellLine(0.216, 10.5, 4.0, 12260, 0.50, 0.60, 0.16, 0.75, 0.3, 0.0),
    "U-251 MG": CellLine(0.201, 11.6, 4.2, 7080, 0.50, 0.70, 0.19, 0.20, 0.9, 0.4),
    "HEK 293": CellLine(0.030, 17.7, 6.5, 4160, 0.50, 0.72, 0.27, 0.70, 0.6, 0.2),
    "PC-3": CellLine(0.027, 14.1, 7.1, 5130, 0.45, 0.74, 0.24, 0.40, 0.6, 0.2),
    "A549": CellLine(0.024, 15.9, 9.0, 9300, 0.44, 0.64, 0.17, 0.45, 0.6, 0.1),
    "RH-30": CellLine(0.023, 18.1, 13.3, 5000, 0.40, 0.80, 0.24, 0.30, 0.8, 0.4),
    "HeLa": CellLine(0.022, 10.8, 7.6, 10740, 0.45, 0.78, 0.16, 0.30, 0.7, 0.2),
    "SH-SY5Y": CellLine(0.019, 24.0, 7.7, 2990, 0.43, 0.70, 0.33, 0.60, 0.7, 0.6),
    "SiHa": CellLine(0.015, 23.3, 16.6, 8600, 0.45, 0.80, 0.17, 0.60, 0.5, 0.1),
    "SK-MEL-30": CellLine(0.014, 18.0, 11.5, 6500, 0.55, 0.80, 0.20, 0.30, 0.8, 0.5),
    "HaCaT": CellLine(0.009, 13.6, 8.7, 12900, 0.35, 0.64, 0.16, 0.80, 0.2, 0.0),
    "HAP1": CellLine(0.004, 40.0, 20.0, 2490, 0.50, 0.64, 0.33, 0.80, 0.5, 0.1),
}
