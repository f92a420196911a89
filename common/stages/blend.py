"""Averages the predictions of all systems under data/predictions.

python -m common.stages.blend --predictions data/predictions --images data/images --cells data/cells.parquet
--out data/blend
"""

from pathlib import Path

from common.commands import run_stage


def main(predictions: Path, images: Path, cells: Path, out: Path) -> None:
    """Blend every member with equal weights: --out gets oof.parquet and test.parquet."""
    from common.blending import blend, members
    from common.cells import read_cells
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.predictions import write_predictions

    folders = members(predictions, Path("approaches"))
    table, known = read_images(images), read_cells(cells)
    with exclusive(out), atomic(out) as part:
        for split, file in (("train", "oof"), ("test", "test")):
            wanted = known[known["image_id"].isin(table.loc[table["split"] == split, "image_id"])]
            write_predictions(blend(folders, file, wanted), part / f"{file}.parquet", wanted)
    print(f"blend: the mean of {', '.join('/'.join(folder.parts[-2:]) for folder in folders)}")


if __name__ == "__main__":
    run_stage(main)
