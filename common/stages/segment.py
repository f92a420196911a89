"""Finds the cells of every image, with the segmenter that params.yaml names.

python -m common.stages.segment --images data/images --masks data/masks --cells data/cells.parquet
"""

from pathlib import Path

from common.commands import run_stage


def main(images: Path, masks: Path, cells: Path, params: Path = Path("params.yaml")) -> None:
    """Segment every image: --masks gets <ID>_cell.png and <ID>_nucleus.png, --cells one row a cell."""
    from common.files import atomic, exclusive
    from common.image_table import fields_of, read_images
    from common.params import load_section
    from common.segmentation.segmenters import (
        SegmentParams,
        refuse_many_empty,
        segment_fields,
        write_blank_masks,
    )
    from common.shards import finish_shards

    settings = load_section(SegmentParams, params, "segment")
    known = read_images(images)
    fields = fields_of(known, images)
    with exclusive(masks), atomic(masks, resume=True) as masks_part, atomic(cells) as cells_part:
        table, empty = segment_fields(fields, settings, masks_part)
        refuse_many_empty(empty, len(fields), settings.max_empty_share)
        write_blank_masks(known, masks_part)
        table.to_parquet(cells_part, index=False)
        finish_shards(masks_part)
    print(f"cells: {len(table)} in {len(fields)} images, by {settings.segmenter}")


if __name__ == "__main__":
    run_stage(main)
