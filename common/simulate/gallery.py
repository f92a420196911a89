"""Pictures of what the simulator draws: patterns, cell lines, difficulties, dividing cells, debris, whole fields."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from common.classes import CHANNELS, CLASSES
from common.errors import DataError
from common.images import to_uint8, write_png
from common.simulate.cell_lines import CELL_LINES
from common.simulate.fields import Field, simulate_field
from common.simulate.labels import SPINDLE
from common.simulate.samples import Entry, SimulateParams

TILE_PX = 384
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """One picture of a page: what to simulate, and what of it to show."""

    caption: str
    entry: Entry
    params: SimulateParams
    view: Callable[[Field], Picture]
    tries: int = 1
    """Fields to choose from: the one that most cells show the classes in."""


def write_gallery(
    folder: Path,
    seed: int,
    run: Callable[[Callable[[Tile], Picture], Sequence[Tile]], Iterable[Picture]] = map,
    overwrite: bool = False,
) -> list[Path]:
    """Write one PNG a page into ``folder``.

    Args:
        run: maps a function over tiles, as ``map`` or a process pool's map does, in their order.
        overwrite: replace pages that are there.

    Raises:
        DataError: ``folder`` holds something, and nobody said to overwrite it.
    """
    if not overwrite and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is not an empty folder; choose another place, or add --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    book = _pages(SimulateParams(fields=1, test_fields=0, seed=seed, debris=0))
    tiles = [tile for page, _ in book.values() for tile in page]
    pictures = iter(run(draw_tile, tiles))
    paths = []
    for name, (page, columns) in book.items():
        paths.append(folder / f"{name}.png")
        write_png(paths[-1], _lay_out([next(pictures) for _ in page], columns))
    return paths


def draw_tile(tile: Tile) -> Picture:
    """(TILE_PX, TILE_PX, 3) BGR, with its caption."""
    entries = [replace(tile.entry, field=tile.entry.field + 1000 * number) for number in range(tile.tries)]
    fields = [simulate_field(entry, tile.params) for entry in entries]
    best = max(fields, key=lambda field: field.truth[:, list(tile.entry.classes)].sum())
    resized = cv2.resize(tile.view(best), (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    drawn = Image.fromarray(resized)
    font = ImageFont.load_default(16)
    ImageDraw.Draw(drawn).text(
        (9, 7), tile.caption, fill="white", font=font, stroke_width=2, stroke_fill="black"
    )
    return np.asarray(drawn)


def _pages(base: SimulateParams) -> dict[str, tuple[list[Tile], int]]:
    """The tiles of each page, and how many of them stand in a row."""
    close = base.model_copy(update={"zoom": 1.5})
    return {
        "patterns": ([_pattern(c, close) for c in range(len(CLASSES))], 5),
        "cell_lines": ([_line(k, name, base) for k, name in enumerate(CELL_LINES)], 5),
        "difficulties": (
            [_difficulty(d, view, base) for view in (composite, protein) for d in (0, 0.2, 0.4, 0.6, 0.8, 1)],
            6,
        ),
        "mitosis": ([_mitosis(k, base) for k in range(10)], 5),
        "debris": ([_debris(k, base) for k in range(5)], 5),
        "fields": ([_field(k, base) for k in range(8)], 4),
    }


def _entry(classes: tuple[int, ...], line: str, number: int) -> Entry:
    return Entry("gallery", "gallery", line, "train", classes, number, sample=0, look=number)


def _pattern(class_id: int, params: SimulateParams) -> Tile:
    line = "U-2 OS" if class_id % 2 else "U-251 MG"
    return Tile(
        f"{class_id} {CLASSES[class_id]}", _entry((class_id,), line, class_id), params, protein, tries=6
    )


def _line(number: int, line: str, params: SimulateParams) -> Tile:
    return Tile(line, _entry((6,), line, 100 + number), params, composite)


def _difficulty(difficulty: float, view: Callable[[Field], Picture], params: SimulateParams) -> Tile:
    harder = params.model_copy(update={"difficulty": difficulty})
    return Tile(f"difficulty {difficulty:g}", _entry((14, 2), "U-2 OS", 200), harder, view)


def _mitosis(number: int, params: SimulateParams) -> Tile:
    entry = _entry((SPINDLE,), "U-2 OS", 300 + number)
    return Tile("mitosis", entry, params.model_copy(update={"zoom": 1.5}), _around_mitosis)


def _debris(number: int, params: SimulateParams) -> Tile:
    dirty = params.model_copy(update={"debris": 6})
    return Tile("debris", _entry((16,), "HeLa", 400 + number), dirty, composite)


def _field(number: int, params: SimulateParams) -> Tile:
    classes = ((0, 16), (7,), (13,), (14,), (2,), (9, 13), (8,), (17,))[number]
    line = ("U-2 OS", "A-431", "SiHa", "U-251 MG", "HEK 293", "U-2 OS", "HeLa", "A549")[number]
    caption = f"{line}: {', '.join(CLASSES[c].split(' and ')[0] for c in classes)}"
    return Tile(caption, _entry(classes, line, 500 + number), params, composite, tries=4)


def composite(field: Field) -> Picture:
    """(H, W, 3) BGR: nuclei blue, protein green, microtubules red."""
    image = to_uint8(field.image)
    return np.stack([image[CHANNELS.index(c)] for c in ("nucleus", "protein", "microtubules")], axis=-1)


def protein(field: Field) -> Picture:
    """(H, W, 3) the protein in grey, stretched to full range."""
    grey = to_uint8(field.image)[CHANNELS.index("protein")]
    top = max(float(np.quantile(grey, 0.999)), 1)
    return np.repeat((grey * min(255 / top, 8)).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _around_mitosis(field: Field) -> Picture:
    """A third of the picture round its first dividing cell."""
    number = 1 + int(np.argmax(field.flags.mitotic))
    y, x = (int(along.mean()) for along in np.nonzero(field.cells == number))
    side = field.cells.shape[0] // 3
    top, left = (int(np.clip(at - side // 2, 0, field.cells.shape[0] - side)) for at in (y, x))
    return composite(field)[top : top + side, left : left + side]


def _lay_out(pictures: list[Picture], columns: int) -> Picture:
    blank = np.zeros_like(pictures[0])
    missing = -len(pictures) % columns
    cells = [*pictures, *[blank] * missing]
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return np.vstack(rows)
