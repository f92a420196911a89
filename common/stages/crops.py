"""Cuts every cell out once, into a few compressed shards that serve every recipe's view.

python -m common.stages.crops --images data/images --masks data/masks --cells data/cells.parquet --out data/crops
"""

from pathlib import Path

from common.commands import run_stage


def main(images: Path, masks: Path, cells: Path, out: Path, params: Path = Path("params.yaml")) -> None:
    """Cut out the cells: --out gets shard-*.bin, index.parquet and params.json."""
    from common.cells import read_cells
    from common.crops import CropParams
    from common.cutting import write_store
    from common.files import atomic, exclusive
    from common.image_table import fields_of, read_images
    from common.params import load_section

    fields = fields_of(read_images(images), images)
    with exclusive(out), atomic(out, resume=True) as part:
        write_store(fields, masks, read_cells(cells), load_section(CropParams, params, "crops"), part)


if __name__ == "__main__":
    run_stage(main)
