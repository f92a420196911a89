"""Fixtures that every test may use."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from common.classes import COLORS
from common.images import Field

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A shell lets its background jobs ignore Ctrl-C, and so would processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the metric's cases and real data: beside the repository, or where HPA_SHARED says."""
    folder = Path(os.environ.get("HPA_SHARED", ROOT.parent / "shared"))
    if not (folder / "oracle").is_dir():
        pytest.skip(f"no real data and metric cases at {folder}; set HPA_SHARED to their folder")
    return folder


@pytest.fixture(scope="session")
def draw_image() -> Callable[..., np.ndarray]:
    """Draws (4, side, side) uint8: smooth noise, different for each seed."""

    def draw(seed: int, side_px: int = 32) -> np.ndarray:
        noise = np.random.default_rng(seed).random((4, side_px, side_px))
        smooth = np.stack([cv2.GaussianBlur(channel, (0, 0), side_px / 16) for channel in noise])
        low, high = smooth.min(axis=(1, 2), keepdims=True), smooth.max(axis=(1, 2), keepdims=True)
        pixels: np.ndarray = (255 * (smooth - low) / (high - low)).astype(np.uint8)
        return pixels

    return draw


@pytest.fixture(scope="session")
def write_image() -> Callable[[Path, str, np.ndarray], Field]:
    """Writes a (4, H, W) image as four PNG files ``<ID>_<color>.png`` of a folder."""

    def write(folder: Path, image_id: str, image: np.ndarray) -> Field:
        folder.mkdir(parents=True, exist_ok=True)
        paths = tuple(folder / f"{image_id}_{color}.png" for color in COLORS)
        for path, channel in zip(paths, image, strict=True):
            path.write_bytes(cv2.imencode(".png", channel)[1].tobytes())
        return Field(image_id, paths)

    return write


@pytest.fixture
def competition_folder(
    tmp_path: Path,
    draw_image: Callable[[int], np.ndarray],
    write_image: Callable[[Path, str, np.ndarray], Field],
) -> Path:
    """A competition folder: a1, a2 and b1 to train, c1 to test, 32 px; two true cells each in a1 and c1."""
    folder = tmp_path / "source"
    for seed, (image_id, split) in enumerate(
        {"a1": "train", "a2": "train", "b1": "train", "c1": "test"}.items()
    ):
        write_image(folder / split, image_id, draw_image(seed))
    (folder / "train.csv").write_text("ID,Label\na1,0|2\na2,0|2\nb1,16|5|16\n")
    (folder / "samples.csv").write_text("ID,sample_id,cell_line\na1,A,U-2 OS\na2,A,U-2 OS\nc1,C,HeLa\n")
    (folder / "truth.csv").write_text("ID,cell_id,Label\na1,1,0|2\na1,2,\nc1,1,13\nc1,3,4|9\n")
    (folder / "truth_masks").mkdir()
    for image_id, second in (("a1", 2), ("c1", 3)):
        mask = np.zeros((32, 32), np.uint16)
        mask[2:12, 3:15], mask[14:30, 6:20] = 1, second
        (folder / f"truth_masks/{image_id}_cell.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """An installed Chromium."""
    found = os.environ.get("HPA_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("no Chromium here; install one or set HPA_BROWSER to its path")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()
