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
from common.simulate.cell_lines import CELL_LINES
from common.simulate.debris import Debris, scatter
from common.simulate.difficulty import Conditions, conditions_at
from common.simulate.given import lay_out_on
from common.simulate.label_sets import LabelSet
from common.simulate.labels import SPINDLE, Expression, Truth, blur_labels, express, label_sample
from common.simulate.layout import Layout, lay_out
from common.simulate.optics import photograph
from common.simulate.patterns import paint, paint_references
from common.simulate.samples import Entry, SimulateParams, Split, generator, plan
from common.simulate.structures import Plane, blur

LabelMap = npt.NDArray[np.uint16]

LEAST_ENERGY = 0.08
"""A class is true of a cell that shows at least this part of what the field's median positive cell shows."""


@dataclass(frozen=True)
class Labels:
    """The weak labels of an image: of its sample, and as people wrote them down."""

    clean: LabelSet
    noisy: LabelSet


@dataclass(frozen=True)
class Flags:
    """What is special about each cell, (cells,) each."""

    mitotic: npt.NDArray[np.bool_]
    out_of_focus: npt.NDArray[np.bool_]
    silent: npt.NDArray[np.bool_]
    """It expresses nothing."""


@dataclass(frozen=True)
class Field:
    """One simulated image. Value k of the masks is cell k, and row k - 1 of ``truth`` and of the flags is its."""

    image_id: str
    sample_id: str
    cell_line: str
    split: Split
    image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]  # (4, H, W), channels as in CHANNELS
    cells: LabelMap  # (H, W)
    nuclei: LabelMap  # (H, W)
    truth: Truth
    flags: Flags
    debris: list[Debris]
    labels: LabelSet = ()  # weak and noisy; empty until the whole sample is drawn


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
    return [replace(fields[entry.image_id], labels=labels[entry.image_id].noisy) for entry in entries]


def simulate_field(
    entry: Entry, params: SimulateParams, given: tuple[LabelMap, LabelMap | None] | None = None
) -> Field:
    """Draw one field, without its labels. The only slow step: about .1 s for 512 px and 12 cells.

    Args:
        given: cells and perhaps nuclei to lay the field out on, both (H, H), instead of simulated ones.

    Raises:
        DataError: the given label maps cannot be used; see ``lay_out_on``.
    """
    rng = generator(params, "field", entry.field)
    conditions = conditions_at(params.difficulty)
    zoom = params.side_px / 512 * params.zoom
    if given is not None:
        layout = lay_out_on(rng, *given, params.side_px, zoom)
    else:
        forced = int(rng.integers(1, 3)) if SPINDLE in entry.classes else 0
        line = CELL_LINES[entry.cell_line]
        layout = lay_out(rng, line, params.side_px, zoom, params.mitotic_rate, forced)
    cells = layout.cells + layout.strays
    expression = express(rng, entry.classes, cells, conditions)
    look = int(generator(params, "look", entry.look).integers(2**32))
    out_of_focus = rng.random(len(cells)) < conditions.defocused
    planes, energies = _paint_cells(rng, layout, expression, out_of_focus, conditions, look)
    debris = scatter(rng, planes, layout.frame, params.debris)
    known = len(layout.cells)
    mitotic = np.array([cell.mitotic for cell in layout.cells], bool)
    return Field(
        image_id=entry.image_id,
        sample_id=entry.sample_id,
        cell_line=entry.cell_line,
        split=entry.split,
        image=photograph(
            rng, planes[(slice(None), *layout.frame.window)], zoom, params.bit_depth, conditions
        ),
        cells=layout.cell_mask,
        nuclei=layout.nucleus_mask,
        truth=judge_truth(energies[:known]),
        flags=Flags(mitotic, out_of_focus[:known], expression.silent[:known]),
        debris=debris,
    )


def label_fields(
    entries: Sequence[Entry], truths: dict[str, Truth], params: SimulateParams
) -> dict[str, Labels]:
    """Give every image its weak labels: those of its sample, which need the truth of all its fields.

    Args:
        truths: image id to truth.

    Returns:
        Image id to labels.
    """
    samples = defaultdict(list)
    for entry in entries:
        samples[entry.sample].append(entry.image_id)
    labels = {}
    for sample, image_ids in samples.items():
        clean = label_sample([truths[image_id] for image_id in image_ids])
        noisy = blur_labels(clean, generator(params, "sample", sample), params.label_noise)
        labels.update(dict.fromkeys(image_ids, Labels(clean, noisy)))
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
    expression: Expression,
    out_of_focus: npt.NDArray[np.bool_],
    conditions: Conditions,
    look: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Paint all cells; ``look`` seeds what the cells of a sample have in common.

    Returns:
        (4, canvas, canvas) light, and (cells, 19) the protein's light by cell and class inside the picture.
    """
    canvas = layout.frame.canvas
    planes = np.zeros((len(CHANNELS), canvas, canvas), np.float32)
    picture = np.zeros((canvas, canvas), np.float32)
    picture[layout.frame.window] = 1
    energies = np.zeros(expression.brightness.shape)
    background = np.float32(conditions.background * rng.uniform(0.5, 1.5))
    for index, cell in enumerate(layout.cells + layout.strays):
        red, blue, yellow = paint_references(rng, cell, look)
        green = background * cell.dome
        for class_id in np.flatnonzero(expression.brightness[index]):
            protein = paint(rng, cell, int(class_id), conditions, look)
            strength = expression.brightness[index, class_id]
            energies[index, class_id] = strength * np.sum(protein.shown * picture[cell.box])
            green = green + strength * protein.total
        for class_id in np.flatnonzero(expression.confusing[index]):
            protein = paint(rng, cell, int(class_id), conditions, look)
            green = green + expression.confusing[index, class_id] * protein.total
        defocus = rng.uniform(2, 4) * cell.zoom if out_of_focus[index] else 0.0
        for plane, light in zip(planes, (red, green, blue, yellow), strict=True):
            plane[cell.box] += _focus(light, defocus)
    return planes, energies


def _focus(light: Plane, defocus_px: float) -> Plane:
    return blur(light, defocus_px) if defocus_px else light
