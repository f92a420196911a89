"""``hpa segment``: masks of one's own images."""

from pathlib import Path
from typing import Annotated

import typer

from common.commands import Channels, Pattern


def main(
    folder: Annotated[
        Path, typer.Argument(help="Images named <ID>_{red,green,blue,yellow}.png, .jpg or .tif.")
    ],
    out: Annotated[Path, typer.Argument(help="Written: <ID>_cell.png, <ID>_nucleus.png, cells.parquet.")],
    segmenter: Annotated[
        str, typer.Option(help="classical, or precomputed (masks of another tool).")
    ] = "classical",
    masks: Annotated[Path | None, typer.Option(help="Where precomputed masks lie, if not in FOLDER.")] = None,
    params: Annotated[Path | None, typer.Option(help="A params.yaml with a section `segment`.")] = None,
    pattern: Pattern = "",
    channels: Channels = "",
) -> None:
    """Find the cells and nuclei of every image."""
    from common.errors import DataError, ParamsError, fail_together
    from common.images import find_fields
    from common.inference import PARAMS, segment_to
    from common.own_images import declared, house_folder
    from common.params import load_section
    from common.segmentation.segmenters import SEGMENTERS, SegmentParams, empty_sentence

    if segmenter not in SEGMENTERS:
        raise ParamsError(f"--segmenter {segmenter}: no such segmenter; known: {', '.join(SEGMENTERS)}")
    given = load_section(SegmentParams, params or PARAMS, "segment")
    chosen = given.model_copy(update={"segmenter": segmenter, "masks": str(masks or folder)})
    with house_folder(folder, declared(pattern, channels)) as images:
        fields, faults = find_fields(images)
        fail_together(faults, folder, "mend the files")
        cells, empty = segment_to(fields, out, chosen)
    print(f"{out}: {len(cells)} cells in {len(fields)} images")
    if empty:
        raise DataError(
            f"{folder}: {empty_sentence(empty, len(fields))}; all others are written; look at their blue"
        )
