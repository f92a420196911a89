"""The statistics of simulated fields beside those of real ones: label sets, cells, nuclei, grey levels, truth.

    python -m benchmarks.simulator [--fields 300] [--label-sets PATH]

Targets were measured over public tables and fields of the Human Protein Atlas, at 512 px. Cells are counted as in the
masks, those on the border too; nuclei only where the cell is not on the border. Rows by line come from as many fields
of each line, those of labels from small pictures, of which there can be more.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.simulator_labels import Labelled, agreement_rows, class_rows, set_rows
from benchmarks.simulator_measures import BRIGHT, Measures, measure_field
from benchmarks.simulator_rows import Row, print_rows, share_ok
from common.classes import COLORS
from common.parallel import pmap
from common.simulate.cell_lines import CELL_LINES
from common.simulate.fields import label_fields, simulate_field
from common.simulate.labels import Truth
from common.simulate.samples import Entry, SimulateParams, plan

COVERAGE = {0.05: 0.27, 0.5: 0.53, 0.95: 0.79}
ON_BORDER = 0.35
NUCLEI = {
    "area, median": 1190.0,
    "area, variation in a field": 0.33,
    "eccentricity": 0.70,
    "spread of grey inside / mean": 0.33,
    "variation of mean greys in a field": 0.17,
}
MEANS = {"blue": (1.2, 10.6, 25), "green": (1.8, 8.7, 30), "red": (2.9, 17, 35), "yellow": (2.3, 14.6, 32)}
BRIGHTS = {"blue": (75, 204, 255), "green": (71, 160, 255), "red": (49, 143, 233), "yellow": (38, 122, 230)}
QUANTILES = (0.1, 0.5, 0.9)
ZEROS = {"blue": 0.83, "green": 0.60, "red": 0.49, "yellow": 0.51}
SLOPES = {"blue": -3.0, "green": -2.2, "red": -2.3, "yellow": -2.6}
LABEL_SIDE_PX = 128
FEW_CELLS = 5
"""A field with fewer says nothing about how its cells vary."""


def cell_rows(fields: list[Measures]) -> Iterator[Row]:
    """What the masks of all fields say together."""
    on_border = np.concatenate([field.on_border for field in fields])
    yield Row("cells on the border", ON_BORDER, float(on_border.mean()))
    coverage = [field.coverage for field in fields]
    for quantile, target in COVERAGE.items():
        yield Row(
            f"covered by cells, {quantile:.0%} quantile", target, float(np.quantile(coverage, quantile))
        )
    whole = [(field, ~field.on_border) for field in fields]
    areas = [field.nucleus_areas[inside] for field, inside in whole]
    shapes = np.concatenate([field.nucleus_eccentricities[inside] for field, inside in whole])
    grains = np.concatenate([field.nucleus_grains[inside] for field, inside in whole])
    area, spread = np.median(np.concatenate(areas)), variation(areas)
    levels = variation([field.nucleus_greys[inside] for field, inside in whole])
    for (name, target), value in zip(
        NUCLEI.items(), (area, spread, shapes.mean(), np.nanmedian(grains), levels), strict=True
    ):
        yield Row(f"nucleus {name}", target, float(value))


def variation(values: list[np.ndarray]) -> float:
    """The median over fields of the standard deviation of ``values`` over their mean."""
    return float(np.median([one.std() / one.mean() for one in values if len(one) >= FEW_CELLS]))


def line_rows(fields: list[Measures]) -> Iterator[Row]:
    """What the masks say of each cell line."""
    names = ("cells in a field", "their sd", "cell area", "its variation", "eccentricity", "nucleus share")
    for line, known in CELL_LINES.items():
        targets = list(vars(known).values())[1:7]
        mine = [field for field in fields if field.cell_line == line]
        counts = np.array([len(field.cell_areas) for field in mine])
        areas, nuclei, shapes = (
            np.concatenate([getattr(field, name) for field in mine])
            for name in ("cell_areas", "nucleus_areas", "cell_eccentricities")
        )
        share = nuclei.sum() / areas.sum()
        found = (counts.mean(), counts.std(), areas.mean(), areas.std() / areas.mean(), shapes.mean(), share)
        noise = (2 * targets[1] / len(mine) ** 0.5, 2 * targets[1] / (2 * len(mine)) ** 0.5, 0, 0, 0, 0)
        for name, target, value, doubt in zip(names, targets, found, noise, strict=True):
            yield Row(f"{line}: {name}", target, float(value), noise=doubt)


def grey_rows(fields: list[Measures]) -> Iterator[Row]:
    """Grey levels, exact zeros and power slopes of each channel."""
    for channel, color in enumerate(COLORS):
        for what, targets in (("means", MEANS), ("brights", BRIGHTS)):
            values = [getattr(field, what)[channel] for field in fields]
            name = {"means": "mean", "brights": f"{BRIGHT[channel]:.1%} level"}[what]
            for quantile, target in zip(QUANTILES, targets[color], strict=True):
                yield Row(
                    f"{color}: {name}, {quantile:.0%} quantile", target, float(np.quantile(values, quantile))
                )
        yield Row(
            f"{color}: exact zeros", ZEROS[color], float(np.mean([field.zeros[channel] for field in fields]))
        )
        slope = np.nanmedian([field.slopes[channel] for field in fields])
        yield Row(f"{color}: power slope", SLOPES[color], float(slope))


def measured(entries: list[Entry], params: SimulateParams) -> list[Measures]:
    """Simulate fields for their numbers."""
    return list(pmap(partial(measure_field, params=params), entries, "fields"))


def truth_of(entry: Entry, params: SimulateParams) -> Truth:
    """The truth of one field."""
    return simulate_field(entry, params).truth


def labelled_images(params: SimulateParams) -> list[Labelled]:
    """Simulate fields for their labels only."""
    entries = plan(params)
    truths = pmap(partial(truth_of, params=params), entries, "labels")
    known = dict(zip([entry.image_id for entry in entries], truths, strict=True))
    labels = label_fields(entries, known, params)
    return [
        Labelled(entry.sample_id, labels[entry.image_id].noisy, known[entry.image_id]) for entry in entries
    ]


@dataclass(frozen=True)
class Amount:
    """How many fields to simulate for what."""

    fields: int
    line_fields: int
    label_fields: int


def report(amount: Amount, difficulty: float, seed: int, label_sets: Path | None) -> None:
    """Print all tables."""
    params = SimulateParams(
        fields=amount.fields, test_fields=0, difficulty=difficulty, seed=seed, balance=0, duplicates=0
    )
    fields = measured(plan(params), params)
    rows = print_rows("cells and nuclei", cell_rows(fields)) + print_rows("grey levels", grey_rows(fields))
    if amount.line_fields:
        each = params.model_copy(update={"fields": amount.line_fields * len(CELL_LINES)})
        pairs = zip(plan(each), cycle(CELL_LINES), strict=False)
        lines = measured([replace(entry, cell_line=line) for entry, line in pairs], each)
        rows += print_rows("by cell line", line_rows(lines))
    if amount.label_fields:
        images = labelled_images(
            params.model_copy(update={"fields": amount.label_fields, "side_px": LABEL_SIDE_PX})
        )
        rows += print_rows("label sets", set_rows(images, label_sets))
        rows += print_rows("cells against their image's labels", agreement_rows(images))
        rows += print_rows("P(a cell shows the class)", class_rows(images))
    print(f"\n{share_ok(rows)}")


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fields", type=int, default=300, help="of the mix of lines")
    parser.add_argument("--line-fields", type=int, default=24, help="of each cell line; 0 leaves them out")
    parser.add_argument(
        "--label-fields", type=int, default=1500, help=f"of {LABEL_SIDE_PX} px, for labels; 0: none"
    )
    parser.add_argument("--difficulty", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--label-sets", type=Path, help='real sets to compare: JSON {"combos": {"0|16": count}}'
    )
    options = parser.parse_args()
    amount = Amount(options.fields, options.line_fields, options.label_fields)
    report(amount, options.difficulty, options.seed, options.label_sets)


if __name__ == "__main__":
    main()
