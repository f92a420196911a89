"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the metric's cases and real data: beside the repository, or where HPA_SHARED says."""
    folder = Path(os.environ.get("HPA_SHARED", ROOT.parent / "shared"))
    if not (folder / "oracle").is_dir():
        pytest.skip(f"no real data and metric cases at {folder}; set HPA_SHARED to their folder")
    return folder
