"""``hpa simulate``: a folder of simulated fields with known cells, in the competition's shape."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    folder: Annotated[
        Path, typer.Argument(help="Written: train.csv, train/, test/, truth.csv, truth_masks/ ...")
    ],
    fields: Annotated[int, typer.Option(min=1, help="Fields of the training part.")] = 24,
    test_fields: Annotated[int, typer.Option(min=0, help="Fields of the test part.")] = 8,
    side_px: Annotated[int, typer.Option(min=128, max=4096, help="Width and height of a field.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same folder.")] = 0,
) -> None:
    """Write simulated fields with the truth of every cell."""
    from functools import partial

    from common.parallel import pmap
    from common.simulate.folder import write_competition_folder
    from common.simulate.samples import SimulateParams

    params = SimulateParams(fields=fields, test_fields=test_fields, side_px=side_px, seed=seed)
    write_competition_folder(folder, params, partial(pmap, what="simulated fields"))
    print(f"{folder}: {fields} training and {test_fields} test fields; try: hpa check {folder}")
