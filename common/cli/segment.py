"""``hpa segment``: masks of one's own images."""

from pathlib import Path
from typing import Annotated

import typer

from common.commands import Channels, Pattern

PREVIEWS = 6


def main(
    folder: Annotated[
        Path, typer.Argument(help="Images named <ID>_{red,green,blue,yellow}.png, .jpg or .tif.")
    ],
    out: Annotated[
        Path, typer.Argument(help="Written: <ID>_cell.png, <ID>_nucleus.png, cells.parquet, quality.parquet.")
    ],
    segmenter: Annotated[
        str,
        typer.Option(help="classical, precomputed (masks of another tool), unet, hpacellseg or cellpose."),
    ] = "classical",
    masks: Annotated[Path | None, typer.Option(help="Where precomputed masks lie, if not in FOLDER.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Those of a network: a folder (unet, hpacellseg) or a file (cellpose)."),
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="A params.yaml with the sections `segment` and `quality`.")
    ] = None,
    preview: Annotated[
        bool,
        typer.Option("--preview", help=f"Write pictures: outlines of {PREVIEWS} images, the worst cells."),
    ] = False,
    pattern: Pattern = "",
    channels: Channels = "",
) -> None:
    """Find the cells and nuclei of every image."""
    from common.cells import KEYS
    from common.errors import DataError, ParamsError, fail_together
    from common.files import atomic
    from common.gallery import write_gallery, write_previews
    from common.images import find_fields
    from common.inference import PARAMS, segment_to
    from common.own_images import declared, house_folder
    from common.params import load_section
    from common.quality import QualityParams, judge_cells
    from common.segmentation.segmenters import SEGMENTERS, SegmentParams, empty_sentence

    if segmenter not in SEGMENTERS:
        raise ParamsError(f"--segmenter {segmenter}: no such segmenter; known: {', '.join(SEGMENTERS)}")
    given = load_section(SegmentParams, params or PARAMS, "segment")
    rules = load_section(QualityParams, params or PARAMS, "quality")
    files = {"masks": str(masks or folder), "weights": str(weights or given.weights)}
    if segmenter == "precomputed" and out.resolve() == Path(files["masks"]).resolve():
        raise ParamsError(f"{out}: holds the precomputed masks, which would be replaced; give another folder")
    chosen = given.model_copy(update={"segmenter": segmenter, **files})
    with house_folder(folder, declared(pattern, channels)) as images:
        fields, faults = find_fields(images)
        fail_together(faults, folder, "mend the files")
        cells, empty = segment_to(fields, out, chosen)
        judged = judge_cells(cells, rules)
        with atomic(out / "quality.parquet") as part:
            cells[KEYS].join(judged).to_parquet(part, index=False)
        print(f"{out}: {len(cells)} cells in {len(fields)} images")
        if preview and len(cells):
            write_previews(fields[:PREVIEWS], out, cells, judged, out / "preview")
            write_gallery(out / "preview" / "worst_cells.png", fields, out, cells, judged)
            print(f"{out}/preview: <ID>.jpg of {min(PREVIEWS, len(fields))} images, worst_cells.png")
    if empty:
        raise DataError(
            f"{folder}: {empty_sentence(empty, len(fields))}; all others are written; look at their blue"
        )
