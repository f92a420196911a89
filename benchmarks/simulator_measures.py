"""What is measured of one simulated field for ``benchmarks.simulator``: a few numbers, so that many fields fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from common.cells import measure_cells
from common.classes import CHANNELS
from common.simulate.fields import simulate_field
from common.simulate.labels import Truth
from common.simulate.samples import Entry, SimulateParams

BLUE = CHANNELS.index("nucleus")
LEAST_WAVES, MOST_WAVES = 8, 120
"""The waves a picture of the band of which a power slope is taken."""
BRIGHT = (0.99, 0.999, 0.999, 0.99)
"""The quantile that says how bright a channel is, of each channel: those that the targets were measured at."""


@dataclass(frozen=True)
class Measures:
    """One field; areas in its pixels, which are those of a 512 px picture."""

    image_id: str
    sample_id: str
    cell_line: str
    truth: Truth
    cell_areas: NDArray[np.float64]  # (cells,)
    nucleus_areas: NDArray[np.float64]  # (cells,)
    cell_eccentricities: NDArray[np.float64]  # (cells,)
    nucleus_eccentricities: NDArray[np.float64]  # (cells,)
    nucleus_greys: NDArray[np.float64]  # (cells,) mean blue in the nucleus
    nucleus_grains: NDArray[np.float64]  # (cells,) its spread in the nucleus over that mean
    on_border: NDArray[np.bool_]  # (cells,)
    coverage: float
    means: NDArray[np.float64]  # (4,) grey levels
    brights: NDArray[np.float64]  # (4,) grey levels at the quantiles ``BRIGHT``
    zeros: NDArray[np.float64]  # (4,) shares of pixels
    slopes: NDArray[np.float64]  # (4,)


def measure_field(entry: Entry, params: SimulateParams) -> Measures:
    """Simulate one field and keep its numbers."""
    field = simulate_field(entry, params)
    cells = measure_cells(field.image_id, field.nuclei, field.cells)
    greys, grains = nucleus_greys(field.image[BLUE], field.nuclei, len(cells))
    return Measures(
        image_id=field.image_id,
        sample_id=field.sample_id,
        cell_line=field.cell_line,
        truth=field.truth,
        cell_areas=cells["area_px"].to_numpy(float),
        nucleus_areas=cells["nucleus_area_px"].to_numpy(float),
        cell_eccentricities=eccentricities(field.cells),
        nucleus_eccentricities=eccentricities(field.nuclei),
        nucleus_greys=greys,
        nucleus_grains=grains,
        on_border=cells["touches_border"].to_numpy(bool),
        coverage=float(np.mean(field.cells > 0)),
        means=field.image.mean((1, 2)),
        brights=np.array([np.quantile(c, share) for c, share in zip(field.image, BRIGHT, strict=True)]),
        zeros=np.mean(field.image == 0, axis=(1, 2)),
        slopes=np.array([power_slope(channel) for channel in field.image]),
    )


def eccentricities(mask: NDArray[np.uint16]) -> NDArray[np.float64]:
    """(n,) of the ellipses that fit the labels of an (H, W) mask."""
    table = regionprops_table(mask, properties=("eccentricity",))
    return np.asarray(table["eccentricity"], float)


def nucleus_greys(
    blue: NDArray[np.uint8] | NDArray[np.uint16], nuclei: NDArray[np.uint16], cells: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(cells,) mean grey of each nucleus, and its standard deviation over the mean; NaN where there is none."""
    inside = nuclei > 0
    ids, greys = nuclei[inside], blue[inside].astype(float)
    areas, sums, squares = (
        np.bincount(ids, weights, cells + 1)[1:] for weights in (np.ones(len(ids)), greys, greys**2)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / areas
        return mean, np.sqrt(np.maximum(squares / areas - mean**2, 0)) / mean


def power_slope(channel: NDArray[np.uint8] | NDArray[np.uint16]) -> float:
    """The slope of log power over log frequency of a square (H, H) picture; NaN for an empty one."""
    side = len(channel)
    power = np.abs(np.fft.rfft2(channel - channel.mean())) ** 2
    waves = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * side
    rings = np.rint(waves).astype(int).ravel()
    radial = np.bincount(rings, power.ravel()) / np.bincount(rings)
    band = np.arange(LEAST_WAVES, MOST_WAVES + 1)
    if not radial[band].all():
        return float("nan")
    return float(np.polyfit(np.log(band), np.log(radial[band]), 1)[0])
