"""``hpa predict``: the locations of every cell in one's own images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.commands import Channels, Pattern

if TYPE_CHECKING:
    from common.inference import Predicted


def main(
    folder: Annotated[
        Path, typer.Argument(help="Images named <ID>_{red,green,blue,yellow}.png, .jpg or .tif.")
    ],
    out: Annotated[Path, typer.Argument(help="Written: cells.parquet, overlays/, masks/, submission.csv.")],
    recipe: Annotated[str, typer.Option(help="A trained recipe: approach/recipe.")] = "",
    blend: Annotated[bool, typer.Option("--blend", help="All trained recipes, blended.")] = False,
    params: Annotated[
        Path | None,
        typer.Option(help="Like params.yaml: segment, crops, fields, blend."),
    ] = None,
    pattern: Pattern = "",
    channels: Channels = "",
) -> None:
    """Predict 19 locations for every cell of a folder of images, with pictures and a submission."""
    from common.errors import DataError, ParamsError

    if blend == bool(recipe):
        raise ParamsError("give either --recipe approach/recipe or --blend")

    from common.inference import PARAMS, find_system, members_of_blend, predict_folder
    from common.own_images import declared, house_folder
    from common.segmentation.segmenters import empty_sentence

    settings = params or PARAMS
    systems = members_of_blend(settings) if blend else [find_system(recipe)]
    with house_folder(folder, declared(pattern, channels)) as images:
        found = predict_folder(images, out, systems, blend, settings)
    for line in summary(found):
        print(line)
    print(
        f"\nwritten to {out}: cells.parquet, overlays/<ID>.png, masks/, submission.csv (read again and valid)"
    )
    if found.empty:
        advice = "all others are written; look at the blue channel of these"
        raise DataError(f"{folder}: {empty_sentence(found.empty, len(found.images))}; {advice}")


def summary(found: "Predicted") -> list[str]:
    """One line an image: how many cells, and the classes that most of them show."""
    from common.classes import PROBABILITIES
    from common.overlay import short_name

    probabilities = found.predictions[list(PROBABILITIES)].to_numpy()
    top = found.predictions[["image_id"]].assign(top=probabilities.argmax(axis=1))
    width = max(len(image_id) for image_id in found.images["image_id"])
    lines = [f"{'image':<{width}}  cells  most probable class of how many cells"]
    for image_id in found.images["image_id"]:
        counts = top.loc[top["image_id"] == image_id, "top"].value_counts()
        shown = ", ".join(f"{short_name(class_id)} {count}" for class_id, count in counts.head(4).items())
        lines.append(f"{image_id:<{width}}  {counts.sum():>5}  {shown or 'no cell found'}")
    return lines
