"""Where images come from: the simulator, a competition folder, or a folder of one's own."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from common.competition import only, read_competition
from common.errors import fail_together
from common.ingest import (
    Entry,
    Take,
    competition_entries,
    folder_entries,
    ingest,
    write_no_truth,
    write_truth,
)
from common.own_images import OwnParams, house_folder
from common.parallel import pmap
from common.params import Params
from common.public_hpa import public_entries
from common.public_table import PublicParams
from common.shards import OnFault
from common.simulate.folder import write_competition_folder
from common.simulate.samples import SimulateParams


class ImagesParams(Params):
    """The section ``images`` of params.yaml."""

    source: Literal["simulate", "kaggle", "kaggle+public_hpa", "public_hpa", "folder"]
    folder: str
    """Of all sources but simulate."""
    on_fault: OnFault = "stop"
    """Whether an image that cannot be read stops the stage or is left out; it is listed in both cases."""
    simulate: SimulateParams
    own: OwnParams = OwnParams()
    public_hpa: PublicParams = PublicParams()


def collect(params: ImagesParams, images: Path, truth: Path) -> pd.DataFrame:
    """Write the folders ``images`` and ``truth`` from the source; returns the images table.

    Raises:
        DataError: what is wrong with the source, all faults at once.
    """
    if params.source == "folder":
        write_no_truth(truth)
        return collect_folder(Path(params.folder), params.own, images, params.on_fault)
    if params.source == "public_hpa":
        write_no_truth(truth)
        entries = public_entries(params.public_hpa, Path(params.folder))
        return ingest(entries, "public_hpa", images, on_fault=params.on_fault)
    if params.source in ("kaggle", "kaggle+public_hpa"):
        more = public_entries(params.public_hpa, Path(params.folder)) if "+" in params.source else []
        return collect_competition(Path(params.folder), "kaggle", images, truth, more, params.on_fault)
    with tempfile.TemporaryDirectory() as folder:
        write_competition_folder(Path(folder), params.simulate, partial(pmap, what="simulated fields"))
        return collect_competition(Path(folder), "simulate", images, truth)


def collect_folder(folder: Path, own: OwnParams, images: Path, on_fault: OnFault = "stop") -> pd.DataFrame:
    """Write the folder ``images`` from files of one's own."""
    images.mkdir(parents=True)
    with house_folder(folder, own, images) as found:
        take: Take = "copy" if found == folder else "move"
        return ingest(folder_entries(found), "folder", images, take, on_fault)


def collect_competition(
    folder: Path,
    source: str,
    images: Path,
    truth: Path,
    more: Sequence[Entry] = (),
    on_fault: OnFault = "stop",
) -> pd.DataFrame:
    """Write the folders ``images`` and ``truth`` from a folder in the competition's shape, and ``more`` images."""
    competition = read_competition(folder)
    fail_together(competition.faults, folder, "mend them, then run again (hpa check lists them too)")
    entries = competition_entries(competition)
    twice = {e.field.image_id for e in entries} & {e.field.image_id for e in more}
    fail_together(
        [f"{i}: is an image of {source} and of the others" for i in sorted(twice)], folder, "rename"
    )
    table = ingest([*entries, *more], source, images, on_fault=on_fault)
    write_truth(only(competition, set(table["image_id"])), truth)
    return table
