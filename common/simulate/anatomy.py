"""What a cell holds once its outline is final: the structures that several channels share."""

import numpy as np

from common.simulate.shapes import Body, Cell
from common.simulate.structures import Gait, Mask, Plane, dots, lies_on, pick, thicken, walks

FIBRE_PX = 0.4
"""Standard deviation across a microtubule as a confocal microscope shows it: 0.3 um at half height."""
ROUND_PX = 2.5
"""Within these pixels of a 512 px picture (.8 um) a nucleus falls from full to nothing: it is round below."""


def finish(rng: np.random.Generator, body: Body, mask: Mask) -> Cell:
    """Fill a body with what its final ``mask`` allows."""
    nucleus = mask & (body.nucleus_reach < 1)
    cytoplasm = mask & (body.nucleus_reach > 1.1)
    edge = (1 - body.nucleus_reach) * np.float32(body.nucleus_radius / body.zoom)
    nuclear = np.clip(edge / ROUND_PX + 0.5, 0, 1) * mask
    nucleoli = np.zeros_like(nuclear) if body.mitotic else nuclear * _nucleoli(rng, body, nucleus)
    organiser = _organiser(rng, body, cytoplasm)
    return Cell(
        **vars(body),
        mask=mask,
        nucleus=nucleus,
        cytoplasm=cytoplasm,
        organiser=organiser,
        nuclear=nuclear,
        nucleoli=nucleoli,
        dome=_dome(body) * mask,
        fibres=_spindle(rng, body, mask) if body.mitotic else _microtubules(rng, body, mask, organiser),
    )


def _dome(body: Body) -> Plane:
    """(h, w) how thick the cell is: thin at its edge and in its arms, round where it divides."""
    y, x = np.ogrid[: body.reach.shape[0], : body.reach.shape[1]]
    far = np.hypot(y - body.centre[0], x - body.centre[1]).astype(np.float32) / np.float32(body.radius)
    reach = np.clip(body.reach, 0.8 * far, 2)
    return np.exp(-(reach**4)) if body.mitotic else np.exp(-1.6 * reach**2)


def _nucleoli(rng: np.random.Generator, body: Body, nucleus: Mask) -> Plane:
    """(h, w) one to five blobs inside the nucleus, each of a few lumps: a tenth to a quarter of its radius."""
    centres = pick(rng, nucleus & (body.nucleus_reach < 0.7), int(rng.integers(1, 6)))
    lumps = np.repeat(centres, 3, axis=0)
    lumps += rng.normal(0, 0.08 * body.nucleus_radius, lumps.shape)
    heights = np.repeat(rng.uniform(0.25, 0.6, len(centres)), 3)
    return np.clip(3 * dots(lumps, heights, 0.09 * body.nucleus_radius, nucleus.shape) - 0.8, 0, 1)


def _organiser(rng: np.random.Generator, body: Body, cytoplasm: Mask) -> tuple[float, float]:
    """A point just outside the nucleus on the side of most cytoplasm; a pole of the spindle in mitosis."""
    if body.mitotic:
        reach = 0.55 * body.radius
        return body.centre[0] + reach * np.sin(body.axis), body.centre[1] + reach * np.cos(body.axis)
    near = cytoplasm & (body.nucleus_reach < 1.35)
    choices = pick(rng, near if near.any() else cytoplasm, 12)
    if not len(choices):
        return body.centre
    ys, xs = np.nonzero(cytoplasm)
    distances = np.hypot(choices[:, 0] - ys.mean(), choices[:, 1] - xs.mean())
    y, x = choices[np.argmin(distances)]
    return float(y), float(x)


def _microtubules(rng: np.random.Generator, body: Body, mask: Mask, organiser: tuple[float, float]) -> Plane:
    """(h, w) fibres from the organising centre and from all round the nucleus, which they turn aside from.

    A part crosses the nucleus: above or below it, the more the lower the optical section lies. Crowded fibres
    add up to less than their sum, as antibodies reach fewer of them.
    """
    cytoplasm = mask & (body.nucleus_reach > 1.03)
    near = pick(rng, cytoplasm & (body.nucleus_reach < 2), 110)
    starts = np.vstack([np.tile(organiser, (30, 1)), near, pick(rng, cytoplasm, 60)])
    starts += rng.normal(0, 1.5 * body.zoom, starts.shape)
    headings = rng.uniform(0, 2 * np.pi, len(starts))
    round_nucleus = walks(rng, starts, headings, Gait(1.5 * body.radius, 0.06), cytoplasm, body.zoom)
    crossing = pick(rng, mask & (body.reach < 0.8), 40)
    headings = rng.uniform(0, 2 * np.pi, len(crossing))
    over_nucleus = walks(rng, crossing, headings, Gait(1.2 * body.radius, 0.06), mask, body.zoom)
    crowd = thicken(round_nucleus + rng.beta(0.5, 1.5) * over_nucleus, FIBRE_PX * body.zoom)
    return 0.65 * crowd / (1 + 0.18 * crowd)


def _spindle(rng: np.random.Generator, body: Body, mask: Mask) -> Plane:
    """(h, w) fibres that bulge from pole to pole, and an aster at each pole."""
    along = np.array([np.sin(body.axis), np.cos(body.axis)])
    across = np.array([along[1], -along[0]])
    pole = 0.55 * body.radius
    t = np.linspace(-1, 1, int(4 * pole))
    bulge = rng.normal(0, 0.22 * body.radius, (200, 1)) * (1 - t**2)
    fibres = np.asarray(body.centre) + (t * pole)[None, :, None] * along + bulge[..., None] * across
    at = fibres.reshape(-1, 2).astype(int)
    at = at[lies_on(at, mask)]
    lens = np.zeros(mask.shape, np.float32)
    np.add.at(lens, (at[:, 0], at[:, 1]), 0.15)
    poles = np.asarray(body.centre) + np.repeat([pole * along, -pole * along], 24, axis=0)
    headings = rng.uniform(0, 2 * np.pi, len(poles))
    asters = walks(rng, poles, headings, Gait(0.35 * body.radius, 0.05), mask, body.zoom)
    return np.minimum(0.4 * thicken(lens + asters, 0.6 * body.zoom), 1.8)
