"""Where images come from: the simulator, a competition folder, or a folder of one's own."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from common.competition import only, read_competition
from common.errors import fail_together
from common.ingest import competition_entries, folder_entries, ingest, write_no_truth, write_truth
from common.parallel import pmap
from common.params import Params
from common.shards import OnFault
from common.simulate.folder import write_competition_folder
from common.simulate.samples import SimulateParams


class ImagesParams(Params):
    """The section ``images`` of params.yaml."""

    source: Literal["simulate", "kaggle", "folder"]
    folder: str
    """Of the sources kaggle and folder."""
    on_fault: OnFault = "stop"
    """Whether an image that cannot be read stops the stage or is left out; it is listed in both cases."""
    simulate: SimulateParams


def collect(params: ImagesParams, images: Path, truth: Path) -> pd.DataFrame:
    """Write the folders ``images`` and ``truth`` from the source; returns the images table.

    Raises:
        DataError: what is wrong with the source, all faults at once.
    """
    if params.source == "folder":
        write_no_truth(truth)
        return ingest(folder_entries(Path(params.folder)), "folder", images, on_fault=params.on_fault)
    if params.source == "kaggle":
        return collect_competition(Path(params.folder), "kaggle", images, truth, params.on_fault)
    with tempfile.TemporaryDirectory() as folder:
        write_competition_folder(Path(folder), params.simulate, partial(pmap, what="simulated fields"))
        return collect_competition(Path(folder), "simulate", images, truth)


def collect_competition(
    folder: Path, source: str, images: Path, truth: Path, on_fault: OnFault = "stop"
) -> pd.DataFrame:
    """Write the folders ``images`` and ``truth`` from a folder in the competition's shape."""
    competition = read_competition(folder)
    fail_together(competition.faults, folder, "mend them, then run again (hpa check lists them too)")
    table = ingest(competition_entries(competition), source, images, on_fault=on_fault)
    write_truth(only(competition, set(table["image_id"])), truth)
    return table
