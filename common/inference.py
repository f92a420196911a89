"""From a folder of images to cells, probabilities, pictures and a submission, with a trained recipe."""

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import pandas as pd

from common.blending.blend import Data, blend_new
from common.blending.members import members, name_of, weighed
from common.blending.params import BlendParams
from common.cells import cell_mask_path, read_cells, read_mask
from common.crops import CropParams
from common.cutting import write_store
from common.errors import MissingWeightsError, ParamsError
from common.explaining import explain
from common.fields import FieldParams
from common.files import atomic
from common.image_table import fields_of, read_images
from common.images import Field, read_image
from common.ingest import folder_entries, ingest
from common.overlay import write_overlay
from common.parallel import pmap
from common.params import load_section
from common.predictions import Predictions, check_image_predictions, check_predictions, write_predictions
from common.progress import track
from common.reducing import write_fields
from common.roster import recipes_on
from common.segmentation.segmenters import SegmentParams, segment_fields, write_blank_masks
from common.shards import finish_shards
from common.submission import validate_submission, write_submission

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"
DATA = ROOT / "data"
MODELS = DATA / "models"


@dataclass(frozen=True)
class System:
    """A trained recipe: its name, its approach's module ``predict`` and the folder of its models."""

    name: str
    module: ModuleType
    models: Path


def find_system(name: str, models: Path = MODELS) -> System:
    """Find the trained recipe ``approach/recipe``.

    Raises:
        ParamsError: there is no such approach or recipe; names those there are.
        MissingWeightsError: the recipe is not trained.
    """
    approach, _, recipe = name.partition("/")
    if name not in (on := recipes_on(ROOT / "approaches")):
        raise ParamsError(f"--recipe {name}: no such recipe is on; known: {', '.join(on)}")
    if not any((models / approach / recipe).glob("fold-*")):
        advice = f"train it: dvc repro approaches/{approach}/dvc.yaml"
        raise MissingWeightsError(f"{models / approach / recipe}: holds no trained fold of {name}; {advice}")
    return System(name, importlib.import_module(f"approaches.{approach}.predict"), models / approach / recipe)


def members_of_blend(params: Path) -> list[System]:
    """The recipes that published out-of-fold predictions and are blended.

    Raises:
        DataError: none did.
        MissingWeightsError: one is not trained.
    """
    published = members(DATA / "predictions", ROOT / "approaches")
    folders = weighed(published, load_section(BlendParams, params, "blend"), ROOT / "approaches")
    return [find_system(name_of(folder)) for folder in folders]


@dataclass(frozen=True)
class Predicted:
    """What was found: tables of images and predictions, and the ids of images without a cell."""

    images: pd.DataFrame
    predictions: pd.DataFrame
    empty: list[str]


@dataclass(frozen=True)
class Prepared:
    """A folder like data/ with images of a user, their cells, and the ids of images without a cell."""

    data: Path
    images: pd.DataFrame
    fields: list[Field]
    cells: pd.DataFrame
    empty: list[str]


@contextmanager
def prepared(folder: Path, masks: Path, params: Path) -> Iterator[Prepared]:
    """Make of ``folder`` what trained systems read; ``masks`` is written, all else goes at the end.

    Raises:
        DataError: images that cannot be used; all of them are listed before anything is computed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        images = ingest(folder_entries(folder), "folder", data / "images", "link")
        fields = fields_of(images, data / "images")
        cells, empty = segment_to(fields, masks, load_section(SegmentParams, params, "segment"))
        write_blank_masks(images, masks)
        (data / "masks").symlink_to(masks.resolve(), target_is_directory=True)
        cells.to_parquet(data / "cells.parquet", index=False)
        write_store(fields, masks, cells, load_section(CropParams, params, "crops"), data / "crops")
        write_fields(fields, load_section(FieldParams, params, "fields"), data / "fields")
        yield Prepared(data, images, fields, cells, empty)


def explain_folder(folder: Path, out: Path, system: System, top: int, params: Path = PARAMS) -> int:
    """Draw where a system's first network sees the ``top`` classes of each cell: ``<ID>/<cell>_<class>.png``.

    Returns:
        How many pictures there are.

    Raises:
        DataError: as ``prepared``.
        ParamsError: the package grad-cam is not installed.
    """
    with prepared(folder, out / "masks", params) as ready:
        predictions = _predict(system, ready).cells
        module = importlib.import_module(f"{system.module.__package__}.explain")
        given = module.explainable(system.models, ready.data)
        paths = explain(given, predictions, top, out)
        return sum(1 for _ in track(paths, top * len(ready.cells), "pictures"))


def predict_folder(
    folder: Path, out: Path, systems: list[System], blend: bool, params: Path = PARAMS
) -> Predicted:
    """Predict all images of ``folder`` by one system, or by a blend as the section ``blend`` of ``params`` says.

    Writes into ``out``: ``masks/`` (and their ``cells.parquet``), ``cells.parquet`` (a prediction table),
    ``overlays/<ID>.png`` and ``submission.csv``.

    Raises:
        DataError: images that cannot be used; all of them are listed before anything is computed.
    """
    masks = out / "masks"
    with prepared(folder, masks, params) as ready:
        found = {system.name: _predict(system, ready) for system in systems}
        predictions = _blend(found, ready.cells, params) if blend else found[systems[0].name].cells
        write_predictions(predictions, out / "cells.parquet", ready.cells)
        _draw(ready.fields, masks, predictions, out / "overlays")
    with atomic(out / "submission.csv") as file:
        write_submission(
            file, ready.images, predictions, lambda image_id: read_mask(cell_mask_path(masks, image_id))
        )
        validate_submission(file, ready.images)
    return Predicted(ready.images, predictions, ready.empty)


def _predict(system: System, ready: Prepared) -> Predictions:
    found: Predictions = system.module.predict_new(system.models, ready.data)
    check_predictions(found.cells, str(system.models), ready.cells)
    if found.images is not None:
        check_image_predictions(found.images, str(system.models), sorted(ready.images["image_id"]))
    return found


def _blend(found: dict[str, Predictions], cells: pd.DataFrame, params: Path) -> pd.DataFrame:
    folders = [DATA / "predictions" / name for name in found]
    data = Data(read_images(DATA / "images"), read_cells(DATA / "cells.parquet"), pd.DataFrame())
    settings = load_section(BlendParams, params, "blend")
    return blend_new(folders, data, settings, found, cells)


def segment_to(fields: list[Field], out: Path, params: SegmentParams) -> tuple[pd.DataFrame, list[str]]:
    """Segment ``fields`` into the folder ``out``: masks and ``cells.parquet``; also returns the empty images.

    Raises:
        ParamsError: ``out`` holds masks of other images, which would look like results of this run.
    """
    known = {cell_mask_path(out, field.image_id) for field in fields}
    if others := sorted(set(out.glob("*_cell.png")) - known):
        raise ParamsError(f"{out}: holds masks of other images ({others[0].name}, ...); give an empty folder")
    cells, empty = segment_fields(fields, params, out)
    with atomic(out / "cells.parquet") as part:
        cells.to_parquet(part, index=False)
    finish_shards(out)
    return cells, empty


def _draw(fields: list[Field], masks: Path, predictions: pd.DataFrame, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = dict(list(predictions.groupby("image_id")))
    items = [(field, rows.get(field.image_id, predictions.head(0))) for field in fields]
    for _ in pmap(partial(_draw_one, masks=masks, out=out), items, "overlays"):
        pass


def _draw_one(item: tuple[Field, pd.DataFrame], masks: Path, out: Path) -> None:
    field, rows = item
    mask = read_mask(cell_mask_path(masks, field.image_id))
    with atomic(out / f"{field.image_id}.png") as part:
        write_overlay(part, read_image(field), mask, rows)
