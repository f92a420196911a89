"""What ``hpa explain`` shows of this approach."""

from pathlib import Path

from torch import Tensor

from approaches.cam_seg.asking import load_folds
from common.cells import read_cells
from common.classes import CLASSES
from common.explaining import Explainable, last_features
from common.field_data import Inputs
from common.field_pictures import whole_fields
from common.fields import FieldStore
from common.trained import trained_folds


def explainable(models: Path, data: Path) -> Explainable:
    """The classifier of the first fold, which is shown whole fields, and the maps of classifier and U-Net."""
    inputs = Inputs(FieldStore(data / "fields"), data / "masks", read_cells(data / "cells.parquet"))
    networks = load_folds(trained_folds(models)[:1])
    classifier, segmenter = networks.classifiers[0], networks.segmenters[0]

    def class_maps(pixels: Tensor) -> Tensor:
        return classifier.maps_of(classifier.features(pixels))[:, : len(CLASSES)]

    def planes(pixels: Tensor) -> Tensor:
        found: Tensor = segmenter(pixels)[:, : len(CLASSES)].sigmoid()
        return found

    pictures = whole_fields(inputs, networks.recipe.view, networks.device)
    return Explainable(
        classifier, last_features(classifier.backbone), pictures, {"CAM": class_maps, "U-Net": planes}
    )
