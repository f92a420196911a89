"""The 19 subcellular locations and the four channels: the words that every table and file uses."""

CLASSES = (
    "Nucleoplasm",
    "Nuclear membrane",
    "Nucleoli",
    "Nucleoli fibrillar center",
    "Nuclear speckles",
    "Nuclear bodies",
    "Endoplasmic reticulum",
    "Golgi apparatus",
    "Intermediate filaments",
    "Actin filaments",
    "Microtubules",
    "Mitotic spindle",
    "Centrosome",
    "Plasma membrane",
    "Mitochondria",
    "Aggresome",
    "Cytosol",
    "Vesicles and punctate cytosolic patterns",
    "Negative",
)
NEGATIVE = CLASSES.index("Negative")

CHANNELS = ("microtubules", "protein", "nucleus", "reticulum")
COLORS = ("red", "green", "blue", "yellow")
"""The colour of each channel in file names, in the order of ``CHANNELS``."""

PROBABILITIES = tuple(f"p_{class_id}" for class_id in range(len(CLASSES)))
"""The class columns of prediction, label and truth tables."""


def parse_labels(text: str) -> tuple[int, ...]:
    """Read ``"8|5|0"`` as sorted class ids, each once (146 rows of the competition repeat an id).

    Raises:
        ValueError: an id that is empty, no number or not one of the 19; the message names it.
    """
    ids = set()
    for part in text.split("|"):
        if not part.isascii() or not part.isdigit() or int(part) >= len(CLASSES):
            raise ValueError(f"{part!r} is not a class id (0 to {len(CLASSES) - 1})")
        ids.add(int(part))
    return tuple(sorted(ids))


def format_labels(ids: tuple[int, ...]) -> str:
    """Write class ids the way the competition does: ``(0, 5, 8)`` as ``"0|5|8"``."""
    return "|".join(str(class_id) for class_id in ids)
