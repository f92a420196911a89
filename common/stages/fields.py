"""Reduces every image once to the size that networks see, into a few compressed shards.

python -m common.stages.fields --images data/images --out data/fields
"""

from pathlib import Path

from common.commands import run_stage


def main(images: Path, out: Path, params: Path = Path("params.yaml")) -> None:
    """Reduce the images: --out gets shard-*.bin, index.parquet and params.json."""
    from common.fields import FieldParams
    from common.files import atomic, exclusive
    from common.image_table import fields_of, read_images
    from common.params import load_section
    from common.reducing import write_fields

    found = fields_of(read_images(images), images)
    with exclusive(out), atomic(out, resume=True) as part:
        write_fields(found, load_section(FieldParams, params, "fields"), part)


if __name__ == "__main__":
    run_stage(main)
