"""Makes the labels that a recipe's cells learn from.

python -m common.stages.labels --recipe approaches/cell_crop/recipes/effb2_cell.yaml --images data/images
--cells data/cells.parquet --out data/labels/cell_crop/effb2_cell.parquet
"""

from pathlib import Path

from common.commands import run_stage


def main(
    recipe: Path,
    images: Path,
    cells: Path,
    out: Path,
    params: Path = Path("params.yaml"),
    masks: Path | None = None,
    predictions: Path | None = None,
    embeddings: Path | None = None,
    crops: Path | None = None,
) -> None:
    """Label the cells as the recipe's key `labels` says: --out gets one row a labelled cell that may be trained on.

    Scores that no cell got go to a .missed.csv beside --out. Labels from scores need --masks, those from published
    tables --predictions, from look-alikes --embeddings. With --crops, a .changed.png beside --out shows
    cells that later sources added to a class of the first one, or removed.
    """
    from common.cells import read_cells
    from common.crops import CropStore
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.labels.build import build_labels, missed_scores, read_sources
    from common.labels.gallery import write_changed_cells
    from common.labels.sources import Known
    from common.params import load_section, read_yaml
    from common.quality import QualityParams, training_cells

    sources = read_sources(read_yaml(recipe).get("labels"), str(recipe))
    folders = {"masks": masks, "predictions": predictions, "embeddings": embeddings}
    known = Known(read_images(images), read_cells(cells), folders)
    quality = load_section(QualityParams, params, "quality")
    labels = build_labels(sources, known.cells[training_cells(known.cells, known.images, quality)], known)
    table, missed = labels.to_table(), missed_scores(labels)
    with exclusive(out), atomic(out) as part:
        table.to_parquet(part, index=False)
        if labels.missed:
            with atomic(out.with_suffix(".missed.csv")) as lost:
                missed.to_csv(lost, index=False)
    if crops:
        write_changed_cells(out.with_suffix(".changed.png"), CropStore(crops), labels)
    print(f"labels: {len(table)} cells\n{labels.counts().to_string(index=False)}")
    if len(missed):
        print(missed.groupby(["source", "reason"]).size().rename("scores without a cell").to_string())


if __name__ == "__main__":
    run_stage(main)
