"""Simulated fields with known truth: pixels, masks, every cell's classes, and weak image labels.

Layout, patterns and optics are drawn in this order from one generator a field, so that a field depends on its
number and the parameters only.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from common.classes import CHANNELS, CLASSES, NEGATIVE
from common.simulate.difficulty import Conditions, conditions_at
from common.simulate.labels import SPINDLE, express, label_sample
from common.simulate.layout import CELL_LINES, Layout, lay_out
from common.simulate.optics import photograph
from common.simulate.patterns import paint, paint_references
from common.simulate.samples import Entry, SimulateParams, Split, generator, plan
from common.simulate.structures import Plane, blur

__all__ = ["Entry", "Field", "SimulateParams", "label_fields", "plan", "simulate", "simulate_field"]

Truth = npt.NDArray[np.uint8]
"""(cells, 19) 0 or 1."""

LEAST_ENERGY = 0.08
"""A class is true of a cell that shows at least this part of what the field's median positive cell shows."""


@dataclass(frozen=True)
class Field:
    """One simulated image. Value k of the masks is cell k, and row k - 1 of ``truth`` its classes."""

    image_id: str
    sample_id: str
    cell_line: str
    split: Split
    image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]  # (4, H, W), channels as in CHANNELS
    cells: npt.NDArray[np.uint16]  # (H, W)
    nuclei: npt.NDArray[np.uint16]  # (H, W)
    truth: Truth
    labels: tuple[int, ...] = ()  # weak; empty until the whole sample is drawn


def simulate(
    params: SimulateParams,
    run: Callable[[Callable[[Entry], Field], Sequence[Entry]], Iterable[Field]] = map,
) -> list[Field]:
    """Draw all fields in memory, the train part first, with their weak labels.

    Args:
        run: maps a function over the plan, as ``map`` or a process pool's map does.
    """
    entries = plan(params)
    fields = {field.image_id: field for field in run(partial(simulate_field, params=params), entries)}
    labels = label_fields(entries, {image_id: field.truth for image_id, field in fields.items()}, params)
    return [replace(fields[entry.image_id], labels=labels[entry.image_id]) for entry in entries]


def simulate_field(entry: Entry, params: SimulateParams) -> Field:
    """Draw one field, without its labels. The only slow step: about .07 s for 512 px and 13 cells."""
    rng = generator(params, "field", entry.field)
    mitotic = int(rng.integers(1, 3)) if SPINDLE in entry.classes else 0
    layout = lay_out(rng, CELL_LINES[entry.cell_line], params.side_px, mitotic)
    conditions = conditions_at(params.difficulty)
    brightness = express(rng, entry.classes, layout.cells + layout.strays)
    planes, energies = _paint_cells(rng, layout, brightness, conditions, entry.sample)
    return Field(
        image_id=entry.image_id,
        sample_id=entry.sample_id,
        cell_line=entry.cell_line,
        split=entry.split,
        image=photograph(rng, planes, layout.zoom, params.bit_depth, conditions),
        cells=layout.cell_mask,
        nuclei=layout.nucleus_mask,
        truth=judge_truth(energies[: len(layout.cells)]),
    )


def label_fields(
    entries: Sequence[Entry], truths: dict[str, Truth], params: SimulateParams
) -> dict[str, tuple[int, ...]]:
    """Give every image its weak labels: those of its sample, which need the truth of all its fields.

    Args:
        truths: image id to truth.

    Returns:
        Image id to sorted class ids.
    """
    samples = defaultdict(list)
    for entry in entries:
        samples[entry.sample].append(entry.image_id)
    labels = {}
    for sample, image_ids in samples.items():
        rng = generator(params, "sample", sample)
        shared = label_sample([truths[image_id] for image_id in image_ids], rng, params.label_noise)
        labels.update(dict.fromkeys(image_ids, shared))
    return labels


def judge_truth(energies: npt.NDArray[np.float64]) -> Truth:
    """(cells, 19) truth from the light of each cell and class: a class stays only where it can be seen.

    A cell that shows none is Negative.
    """
    truth = np.zeros(energies.shape, np.uint8)
    for class_id in sorted(set(range(len(CLASSES))) - {NEGATIVE}):
        light = energies[:, class_id]
        if (light > 0).any():
            truth[:, class_id] = (light > 0) & (light >= LEAST_ENERGY * np.median(light[light > 0]))
    truth[:, NEGATIVE] = ~truth.any(axis=1)
    return truth


def _paint_cells(
    rng: np.random.Generator,
    layout: Layout,
    brightness: npt.NDArray[np.float32],
    conditions: Conditions,
    look: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Paint all cells.

    Returns:
        (4, side, side) light, and (cells, 19) the protein's light by cell and class inside the picture.
    """
    planes = np.zeros((len(CHANNELS), layout.canvas, layout.canvas), np.float32)
    picture = np.zeros((layout.canvas, layout.canvas), np.float32)
    picture[layout.window] = 1
    energies = np.zeros(brightness.shape)
    background = np.float32(conditions.background * rng.uniform(0.5, 1.5))
    for cell, shown, energy in zip(layout.cells + layout.strays, brightness, energies, strict=True):
        red, blue, yellow = paint_references(rng, cell, look)
        green = background * cell.dome
        for class_id in np.flatnonzero(shown):
            painted = paint(rng, cell, int(class_id), conditions, look)
            energy[class_id] = shown[class_id] * np.sum(painted.shown * picture[cell.box])
            green = green + shown[class_id] * (painted.shown + painted.faint)
        defocus = rng.uniform(2, 4) * layout.zoom if rng.random() < conditions.defocused else 0.0
        for plane, light in zip(planes, (red, green, blue, yellow), strict=True):
            plane[cell.box] += _focus(light, defocus)
    return planes[(slice(None), *layout.window)], energies


def _focus(light: Plane, defocus_px: float) -> Plane:
    return blur(light, defocus_px) if defocus_px else light
