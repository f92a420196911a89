"""What a cell holds once its outline is final: the structures that several channels share."""

import numpy as np

from common.simulate.shapes import Body, Cell
from common.simulate.structures import Mask, Plane, dots, lies_on, pick, thicken, walks


def finish(rng: np.random.Generator, body: Body, mask: Mask) -> Cell:
    """Fill a body with what its final ``mask`` allows."""
    nucleus = mask & (body.nucleus_reach < 1)
    cytoplasm = mask & (body.nucleus_reach > 1.1)
    edge = (1 - body.nucleus_reach) * np.float32(body.nucleus_radius / body.zoom)
    nuclear = np.clip(edge + 0.5, 0, 1) * mask
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
        dome=np.exp(-1.2 * np.minimum(body.reach, 2) ** 2) * mask,
        fibres=_spindle(rng, body, mask) if body.mitotic else _microtubules(rng, body, cytoplasm, organiser),
    )


def _nucleoli(rng: np.random.Generator, body: Body, nucleus: Mask) -> Plane:
    """(h, w) one to four round blobs well inside the nucleus."""
    centres = pick(rng, nucleus & (body.nucleus_reach < 0.65), int(rng.integers(1, 5)))
    sigma = body.nucleus_radius * rng.uniform(0.12, 0.2)
    return np.clip(2.2 * dots(centres, rng.uniform(0.6, 1.2, len(centres)), sigma, nucleus.shape) - 0.6, 0, 1)


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


def _microtubules(
    rng: np.random.Generator, body: Body, cytoplasm: Mask, organiser: tuple[float, float]
) -> Plane:
    """(h, w) fibres that leave the organising centre or start elsewhere; some pass over the nucleus."""
    starts = np.vstack([np.tile(organiser, (45, 1)), pick(rng, cytoplasm, 90)])
    starts += rng.normal(0, 1.5 * body.zoom, starts.shape)
    headings = rng.uniform(0, 2 * np.pi, len(starts))
    allowed = cytoplasm | (body.nucleus_reach < 1.1) & (body.reach < 1)
    counts = walks(rng, starts, headings, 1.5 * body.radius, 0.06 / np.sqrt(body.zoom), allowed)
    return 0.5 * thicken(counts, 0.8 * body.zoom)


def _spindle(rng: np.random.Generator, body: Body, mask: Mask) -> Plane:
    """(h, w) fibres that bulge from pole to pole, and an aster at each pole."""
    along = np.array([np.sin(body.axis), np.cos(body.axis)])
    across = np.array([along[1], -along[0]])
    pole = 0.55 * body.radius
    t = np.linspace(-1, 1, int(4 * pole))
    bulge = rng.normal(0, 0.32 * body.radius, (60, 1)) * (1 - t**2)
    fibres = np.asarray(body.centre) + (t * pole)[None, :, None] * along + bulge[..., None] * across
    at = fibres.reshape(-1, 2).astype(int)
    at = at[lies_on(at, mask)]
    lens = np.zeros(mask.shape, np.float32)
    np.add.at(lens, (at[:, 0], at[:, 1]), 0.5)
    poles = np.asarray(body.centre) + np.repeat([pole * along, -pole * along], 20, axis=0)
    asters = walks(rng, poles, rng.uniform(0, 2 * np.pi, len(poles)), 0.35 * body.radius, 0.05, mask)
    return 0.3 * thicken(lens + asters, 1.0 * body.zoom)
