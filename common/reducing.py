"""Reduces the images to the resolution of the field store, and writes it shard by shard."""

from functools import partial
from pathlib import Path

import pandas as pd

from common.fields import INDEX, FieldParams
from common.images import Field, read_image
from common.packed import append, reduce_channel, shard_name, write_index
from common.shards import Shard, fingerprint, finish_shards, one_by_one, run_shards, settle_faults
from common.views import to_depth


def write_fields(fields: list[Field], params: FieldParams, out: Path) -> None:
    """Reduce all images and write shards with their index.

    Args:
        out: a folder that is new, or holds the finished shards of a killed run, which are kept. It gets
            ``shard-00000.bin`` ..., ``params.json``, ``skipped.csv`` where images are left out, and ``index.parquet``
            with the shard, offset, size and shape of each field.

    Raises:
        DataError: images cannot be used, and ``params.on_fault`` is ``stop``. Lists them all.
    """
    size = params.shard_fields
    parts = [fields[start : start + size] for start in range(0, len(fields), size)]
    shards = [_shard(number, part, params) for number, part in enumerate(parts)]
    work = partial(one_by_one, work=partial(_reduce, params=params))
    index, faults = run_shards(work, shards, out, INDEX, "fields")
    settle_faults(faults, len(fields), params.on_fault, out)
    write_index(index, params, out)
    finish_shards(out)


def _shard(number: int, fields: list[Field], params: FieldParams) -> Shard[Field]:
    settings = f"{params.model_dump_json(exclude={'on_fault'})} {[field.image_id for field in fields]}"
    files = [path for field in fields for path in field.paths]
    return Shard(number, {field.image_id: field for field in fields}, fingerprint(settings, files))


def _reduce(field: Field, folder: Path, shard: int, params: FieldParams) -> pd.DataFrame:
    image = to_depth(read_image(field, partial(reduce_channel, params=params)), params.bit_depth)
    place = append(folder / shard_name(shard), image, params)
    return pd.DataFrame([(field.image_id, shard, *place)], columns=INDEX)
