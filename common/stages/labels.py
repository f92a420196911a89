"""Makes the labels that a recipe's cells learn from.

python -m common.stages.labels --recipe approaches/cell_crop/recipes/effb2_cell.yaml --images data/images
--cells data/cells.parquet --out data/labels/cell_crop/effb2_cell.parquet
"""

from pathlib import Path

from common.commands import run_stage


def main(recipe: Path, images: Path, cells: Path, out: Path, params: Path = Path("params.yaml")) -> None:
    """Label the cells as the recipe's key `labels` says: --out gets one row a labelled cell that may be trained on."""
    from common.cells import read_cells
    from common.errors import ParamsError
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.labels.weak import copy_image_labels
    from common.params import load_section, read_yaml
    from common.quality import QualityParams, training_cells

    sources = {"image": copy_image_labels}
    name = read_yaml(recipe).get("labels")
    if not isinstance(name, str) or name not in sources:
        raise ParamsError(f"{recipe}: labels is {name!r}, expected one of {', '.join(sources)}")
    found, known = read_cells(cells), read_images(images)
    chosen = found[training_cells(found, known, load_section(QualityParams, params, "quality"))]
    table = sources[name](known, chosen)
    with exclusive(out), atomic(out) as part:
        table.to_parquet(part, index=False)
    print(f"labels: {len(table)} cells, from {name} labels")


if __name__ == "__main__":
    run_stage(main)
