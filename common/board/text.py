"""The board for people who read it in git or on a terminal."""

from common.board.agreement import agreements
from common.board.rows import COLUMNS, Row, numbered, text_of
from common.classes import CLASSES

LEGEND = """**mAP** is the competition's: the mean over classes of average precision at mask IoU 0.6, with every class
counted in every image (`mask_all`), on cells whose truth is known. *95 %*: bootstrap by image. *to the first*: the
same of the difference to the first system; ≈ cannot be told apart from it. *seed sd*: standard deviation over
training seeds (`hpa seeds`), luck that the intervals do not know. *ties* are the bounds of mAP over the order of
equal scores; `mask_gt` counts a class only in images that have it. **cell AP, image AP, F1** are proxies:
out-of-fold predictions against *image* labels, which need no cell truth and say little about single cells; never
compare them with mAP. A dash: not known for these data. Controls, in italics, learn nothing and take no rank:
*prior* is the floor, *image_labels* what perfect image labels are worth, *true_cells* what these masks allow."""
AGREEMENT = """Kendall's tau between a proxy and test mAP over the systems, controls left out: 1 the same order, 0 none,
-1 the reverse. The interval draws the test images anew."""


def markdown(rows: list[Row]) -> str:
    """The board as Markdown."""
    lines = ["# Leaderboard", "", "Rendered by `common.stages.leaderboard` from `entries/`.", ""]
    header = ["#", "system", *(column.title for column in COLUMNS)]
    lines += [_line(header), _line(["---"] * len(header))]
    lines += [_line([place, _name(r), *(c.text(r) for c in COLUMNS)]) for place, r in numbered(rows)]
    lines += ["", LEGEND, "", "## Average precision by class", ""]
    lines += [_line(["class", *map(_name, rows)]), _line(["---"] * (len(rows) + 1))]
    for class_id, name in enumerate(CLASSES):
        lines.append(_line([f"{class_id} {name}", *(text_of(r.per_class[class_id]) for r in rows)]))
    lines += ["", "## Do the proxies rank as the metric does?", "", AGREEMENT, ""]
    lines += [_line(["proxy", "systems", "tau", "95 %"]), _line(["---"] * 4)]
    for found in agreements(rows):
        low, high = found.interval or (None, None)
        span = f"{text_of(low, 2)} to {text_of(high, 2)}" if found.interval else "-"
        lines.append(_line([found.proxy, str(len(found.points)), text_of(found.tau, 2), span]))
    return "\n".join(lines) + "\n"


def _name(row: Row) -> str:
    return f"*{row.name}*" if row.control else row.name


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def terminal(rows: list[Row]) -> str:
    """The ranks and the numbers that matter most, for a terminal."""
    width = max([len(row.name) for row in rows], default=0)
    shown = [column for column in COLUMNS if column.title in ("mAP test", "95 %", "mAP oof", "cell AP")]
    widths = [14 if column.title == "95 %" else 8 for column in shown]
    titles = "  ".join(f"{column.title:>{w}}" for column, w in zip(shown, widths, strict=True))
    lines = [f"{'':>3} {'system':<{width}}  {titles}"]
    for place, row in numbered(rows):
        values = "  ".join(f"{column.text(row):>{w}}" for column, w in zip(shown, widths, strict=True))
        lines.append(f"{place or '.':>3} {row.name:<{width}}  {values}")
    return "\n".join(lines)
