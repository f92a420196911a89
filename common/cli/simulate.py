"""``hpa simulate``: a folder of simulated fields with known cells, in the competition's shape."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Written: train.csv, train/, test/, the truth (truth.csv, truth_masks/ ...), masks/."
        ),
    ],
    fields: Annotated[int, typer.Option(help="Fields of the training part.")] = 24,
    test_fields: Annotated[int, typer.Option(help="Fields of the test part.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same folder.")] = 0,
    side_px: Annotated[int, typer.Option(help="Width and height of a field.")] = 512,
    zoom: Annotated[float, typer.Option(help="1: a field is 164 um wide; 2: half of that.")] = 1,
    bit_depth: Annotated[int, typer.Option(help="8 or 16.")] = 8,
    difficulty: Annotated[float, typer.Option(help="0 (easy) to 1 (hard).")] = 0.4,
    balance: Annotated[float, typer.Option(help="0: label sets as in the atlas; 1: classes alike.")] = 0.5,
    protein_class: Annotated[
        list[str] | None, typer.Option("--class", help="A class that proteins may have; repeat it.")
    ] = None,
    cell_line: Annotated[list[str] | None, typer.Option(help="A line to draw; repeat it.")] = None,
    label_noise: Annotated[float, typer.Option(help="Scales mistakes in image labels; 0: none.")] = 1,
    duplicates: Annotated[float, typer.Option(help="Share of fields that are there twice.")] = 0.02,
    debris: Annotated[float, typer.Option(help="Aggregates and dead cells in a field.")] = 0.3,
    mitotic_rate: Annotated[float, typer.Option(help="Share of cells that divide.")] = 0.015,
    layouts: Annotated[
        Path | None, typer.Option(help="A folder of cell masks to paint on, instead of simulated outlines.")
    ] = None,
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Write pages of pictures instead, of --seed.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier simulation or gallery.")
    ] = False,
) -> None:
    """Write simulated fields with the truth of every cell."""
    from functools import partial

    from common.classes import CLASSES
    from common.parallel import pmap
    from common.params import build
    from common.simulate.cell_lines import CELL_LINES
    from common.simulate.folder import write_competition_folder
    from common.simulate.gallery import write_gallery
    from common.simulate.samples import SimulateParams

    if gallery:
        _refuse_unheeded(context)
        pages = write_gallery(folder, seed, partial(pmap, what="pictures"), overwrite)
        print("\n".join(str(page) for page in pages))
        return
    given = {
        "fields": fields,
        "test_fields": test_fields,
        "seed": seed,
        "side_px": side_px,
        "zoom": zoom,
        "bit_depth": bit_depth,
        "difficulty": difficulty,
        "balance": balance,
        "classes": protein_class or CLASSES,
        "cell_lines": cell_line or list(CELL_LINES),
        "label_noise": label_noise,
        "duplicates": duplicates,
        "debris": debris,
        "mitotic_rate": mitotic_rate,
    }
    params = build(SimulateParams, given, "hpa simulate")
    write_competition_folder(folder, params, partial(pmap, what="simulated fields"), layouts, overwrite)
    print(f"{folder}: {fields} training and {test_fields} test fields; try: hpa check {folder}")


def _refuse_unheeded(context: typer.Context) -> None:
    from common.errors import ParamsError

    given = [
        option.opts[0]
        for option in context.command.params
        if option.name not in ("folder", "seed", "gallery", "overwrite")
        and (source := context.get_parameter_source(str(option.name))) is not None
        and source.name != "DEFAULT"
    ]
    if given:
        raise ParamsError(f"--gallery draws fields of its own; leave out {', '.join(given)}, or --gallery")
