"""The board's pictures, as SVG inside the page: no library, nothing loaded, kilobytes instead of megabytes."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from common.board.agreement import Agreement
from common.board.rows import Row

# Okabe and Ito's colours that stand out on white and on black, told apart without red and green.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
CONTROL = "currentColor"


@dataclass(frozen=True)
class Line:
    """A system in the pictures: its colour, and dashes for a control."""

    row: Row
    color: str

    @property
    def style(self) -> str:
        """Attributes of its curve."""
        return f'stroke="{self.color}"' + (' stroke-dasharray="2 3" opacity=".7"' if self.row.control else "")


def lines_of(rows: list[Row]) -> list[Line]:
    """The systems that are drawn: the first six, and the controls that have curves worth a look."""
    systems = [row for row in rows if not row.control and row.best_known.get("curves")]
    controls = [row for row in rows if row.control and row.name.endswith("image_labels")]
    drawn = [Line(row, color) for row, color in zip(systems, COLORS, strict=False)]
    return drawn + [Line(row, CONTROL) for row in controls if row.best_known.get("curves")]


def interval_bar(row: Row, most: float, marks: Sequence[float]) -> str:
    """mAP and its interval on a scale from 0 to ``most``, with upright ``marks`` for the controls."""
    if row.test.get("mAP") is None:
        return ""
    x = [f"{4 + 152 * min(value / most, 1):.1f}" for value in (*_ends(row), row.test["mAP"])]
    ticks = "".join(
        f'<path d="M{4 + 152 * mark / most:.1f} 1V17" stroke-dasharray="2 2" opacity=".55"/>'
        for mark in marks
    )
    return (
        f'<svg class="bar" viewBox="0 0 160 18" width="160" height="18" aria-hidden="true" fill="none" '
        f'stroke="currentColor"><path d="M4 17H156" opacity=".25"/>{ticks}'
        f'<path d="M{x[0]} 9H{x[1]}" stroke-width="2"/>'
        f'<circle cx="{x[2]}" cy="9" r="4" fill="currentColor"/></svg>'
    )


def _ends(row: Row) -> tuple[float, float]:
    low, high = row.test.get("interval") or (row.test["mAP"],) * 2
    return low, high


def precision_recall(title: str, class_id: int, lines: list[Line]) -> str:
    """The precision of each system (upright) against recall, for one class."""
    drawn = [(line, line.row.best_known["curves"][class_id]) for line in lines]
    curves = "".join(
        f'<polyline points="{_points(curve)}" {line.style} fill="none" stroke-width="1.5"/>'
        for line, curve in drawn
        if curve
    )
    values = "; ".join(
        f"{line.row.name} {line.row.per_class[class_id]:.2f}" for line, curve in drawn if curve
    )
    label = html.escape(
        f"Precision against recall of {title}. Average precision: {values or 'no cell has it'}"
    )
    return (
        f'<figure><svg viewBox="0 0 132 124" role="img" aria-label="{label}">{_axes("recall", "precision")}'
        f"{curves}</svg><figcaption>{html.escape(title)}</figcaption></figure>"
    )


def _points(curve: list[float]) -> str:
    start = [(0.0, curve[0])]
    steps = [((k + 1) / len(curve), value) for k, value in enumerate(curve)]
    return " ".join(f"{22 + 100 * x:.0f},{104 - 100 * y:.0f}" for x, y in start + steps)


def _axes(across: str, upright: str) -> str:
    return (
        '<path d="M22 4V104H122" fill="none" stroke="currentColor" opacity=".5"/>'
        '<path d="M22 54H122M72 4V104M22 4H122V104" fill="none" stroke="currentColor" opacity=".12"/>'
        f'<g fill="currentColor" font-size="9"><text x="72" y="118" text-anchor="middle">{across}</text>'
        f'<text transform="translate(12 54) rotate(-90)" text-anchor="middle">{upright}</text></g>'
    )


def scatter(found: Agreement, colors: dict[str, str]) -> str:
    """Test mAP (upright) against a proxy, each on its own range."""
    spots = []
    scale = [_scale([x for _, x, _ in found.points]), _scale([y for _, _, y in found.points])]
    for name, x, y in found.points:
        across, up = ((value - low) / width for value, (low, width) in zip((x, y), scale, strict=True))
        spots.append(
            f'<circle cx="{30 + 84 * across:.1f}" cy="{96 - 84 * up:.1f}" r="4.5" '
            f'fill="{colors.get(name, CONTROL)}"><title>{html.escape(name)}</title></circle>'
        )
    label = html.escape(f"mAP test against {found.proxy} of {len(found.points)} systems")
    return (
        f'<svg viewBox="0 0 132 124" role="img" aria-label="{label}">'
        f"{_axes(html.escape(found.proxy), 'mAP test')}{''.join(spots)}</svg>"
    )


def _scale(values: list[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return low, (high - low) or 1.0
