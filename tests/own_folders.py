"""Reads folders of a user's own."""

from pathlib import Path

import numpy as np

from common.images import find_fields, read_image
from common.own_images import OwnParams, house_folder


def read_all(folder: Path, own: OwnParams) -> dict[str, np.ndarray]:
    with house_folder(folder, own) as house:
        fields, faults = find_fields(house)
        assert faults == []
        return {field.image_id: read_image(field) for field in fields}
