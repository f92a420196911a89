"""Fetches images of the public Human Protein Atlas into a folder that outlives the pipeline's outputs."""

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from common.classes import COLORS
from common.download import Downloader, Interrupted, Unavailable
from common.errors import DataError
from common.files import atomic, exclusive
from common.images import Field, read_channel, write_png
from common.ingest import Entry
from common.progress import track
from common.public_table import PublicImage, PublicParams, choose_images, read_public_table

SOURCE = "public_hpa"
MOST_BYTES = 1 << 30
"""Of a decompressed channel: a small gzip file may unpack to fill any disk."""


def public_entries(params: PublicParams, folder: Path, downloader: Downloader | None = None) -> list[Entry]:
    """Choose images of the table in ``folder``, fetch what the cache lacks of them, and list them for the table.

    All are training images. Those of an antibody are one sample, so that no fold learns from a protein that another
    one is tested on. Prints what was left out and why.

    Raises:
        DataError: the table is at fault, or more images than ``max_missing_share`` cannot be had.
        MachineError: no server can be reached, or another process fetches into the same cache.
    """
    path = folder / params.table
    images, said = choose_images(read_public_table(path), params, path)
    for sentence in said:
        print(f"{params.table}: {sentence}")
    # DVC's temporary experiments run in a folder that is deleted with them; DVC_ROOT is the real one.
    cache = Path(os.environ.get("DVC_ROOT", ".")) / params.cache
    with exclusive(cache):
        cache.mkdir(parents=True, exist_ok=True)
        missing = fetch_images(
            images, cache, params.form, params.connections, downloader or Downloader(params)
        )
        _judge(missing, images, cache, params.max_missing_share)
    return [
        Entry(
            field_of(i, cache, params.form), "train", i.labels, f"antibody-{i.antibody}", i.cell_line, SOURCE
        )
        for i in images
        if i.image_id not in missing
    ]


def field_of(image: PublicImage, cache: Path, form: str) -> Field:
    """Where an image's channels lie in the cache once they are complete."""
    ending = "jpg" if form == "jpg" else "png"
    return Field(image.image_id, tuple(cache / f"{image.image_id}_{color}.{ending}" for color in COLORS))


def fetch_images(
    images: list[PublicImage], cache: Path, form: str, connections: int, downloader: Downloader
) -> dict[str, str]:
    """Bring all ``images`` into ``cache``; returns image id -> why, of those that cannot be had."""
    lacking = [i for i in images if not all(path.is_file() for path in field_of(i, cache, form).paths)]
    with _threads(connections, downloader) as pool:
        fetched = pool.map(partial(_fetch_one, cache=cache, form=form, downloader=downloader), lacking)
        reasons = list(track(fetched, len(lacking), "downloads"))
    return {image.image_id: why for image, why in zip(lacking, reasons, strict=True) if why}


@contextmanager
def _threads(count: int, downloader: Downloader) -> Iterator[ThreadPoolExecutor]:
    """Threads that an error or a signal stops at once: not after all that is queued."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        downloader.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _fetch_one(image: PublicImage, cache: Path, form: str, downloader: Downloader) -> str:
    """Fetch the channels that the cache lacks; returns why it failed, or nothing."""
    kinds: dict[str, str] = {}
    paths = field_of(image, cache, form).paths
    for color, path in zip(COLORS, paths, strict=True):
        try:
            if path.is_file():
                pixels = read_channel(path, color)
            else:
                part = cache / f".{image.image_id}_{color}.part.{'jpg' if form == 'jpg' else 'tif'}"
                take = partial(_take, path=path, color=color)
                pixels = downloader.fetch(f"{image.url}_{color}.{form}", part, take)
        except (Unavailable, DataError) as error:
            return f"{color}: {error}"
        except Interrupted:
            return "interrupted"
        kinds[color] = f"{pixels.shape[0]} x {pixels.shape[1]} {pixels.dtype}"
    if len(set(kinds.values())) == 1:
        return ""
    for path in paths:
        path.unlink()
    return "channels differ: " + ", ".join(f"{color} {kind}" for color, kind in kinds.items())


def _take(part: Path, path: Path, color: str) -> np.ndarray:
    """Check a complete download and give it its name in the cache; what came as tif.gz becomes PNG.

    Raises:
        DataError: it is no sound picture of this channel.
    """
    if part.suffix == ".jpg":
        pixels = read_channel(part, color)
        part.rename(path)
        return pixels
    part.write_bytes(_unpacked(part))
    pixels = read_channel(part, color)
    write_png(path, pixels)
    return pixels


def _unpacked(part: Path) -> bytes:
    try:
        with gzip.open(part) as file:
            content = file.read(MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        found = "a web page (HTML)" if part.read_bytes().lstrip()[:1] == b"<" else f"no whole gzip ({error})"
        raise DataError(f"{part}: holds {found}") from None
    if len(content) > MOST_BYTES:
        raise DataError(f"{part}: unpacks to more than {MOST_BYTES} bytes")
    return content


def _judge(missing: dict[str, str], images: list[PublicImage], cache: Path, tolerated: float) -> None:
    """Write ``missing.csv`` and say so, as an error where too many are missing."""
    with atomic(cache / "missing.csv") as part, part.open("w", newline="") as file:
        csv.writer(file).writerows([("ID", "why"), *sorted(missing.items())])
    if not missing:
        return
    first = next(iter(sorted(missing)))
    said = f"{len(missing)} of {len(images)} images cannot be had ({first}: {missing[first]}; all in missing.csv)"
    if len(missing) > tolerated * len(images):
        advice = "the others are kept; run again, or raise images.public_hpa.max_missing_share"
        raise DataError(f"{cache}: {said}; {advice}")
    print(f"{cache}: {said}; they are left out")
