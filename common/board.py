"""The leaderboard: entries on disk, ranked, as Markdown and as one HTML file that needs no network."""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.classes import CLASSES
from common.errors import DataError
from common.roster import recipes_on, refuse_retired

UNKNOWN: list[float | None] = [None] * len(CLASSES)
NAME = " class=name"
NOT_APPROACHES = ("controls", "blend")
ENTRY_KEYS = {"approach", "recipe", "oof", "test"}
HEADER = (
    "#",
    "system",
    "mAP test",
    "ties",
    "mAP oof",
    "mAP test (mask_gt)",
    "cell AP",
    "image AP",
    "macro F1",
)
LEGEND = """**mAP** is the competition's: the mean over classes of average precision at mask IoU 0.6, with every class
counted in every image (`mask_all`), on cells whose truth is known. *ties* are its bounds over the order of equal
scores; `mask_gt` counts a class only in images that have it. **cell AP, image AP, F1** are proxies: out-of-fold
predictions against *image* labels, which need no cell truth and say little about single cells; never compare them
with mAP. A dash: not known for these data. Controls, in italics, learn nothing and take no rank."""


@dataclass(frozen=True)
class Row:
    """One system on the board; ``values`` are the texts of ``HEADER`` from the third on."""

    name: str
    control: bool
    key: tuple[float, ...]
    values: tuple[str, ...]
    per_class: list[float | None]


def read_entries(folder: Path, approaches: Path) -> list[dict[str, Any]]:
    """Read all entries.

    Raises:
        DataError: an entry is no JSON, lacks a key, or is of a recipe that is no longer on.
    """
    entries, on = [], recipes_on(approaches)
    for path in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: is no JSON ({error}); delete it and run: dvc repro") from None
        if not isinstance(entry, dict) or ENTRY_KEYS - entry.keys():
            raise DataError(f"{path}: lacks one of {sorted(ENTRY_KEYS)}; delete it and run: dvc repro")
        if entry["approach"] not in NOT_APPROACHES:
            refuse_retired(f"{entry['approach']}/{entry['recipe']}", path, on)
        entries.append(entry)
    return entries


def rank(entries: list[dict[str, Any]]) -> list[Row]:
    """Order entries by test mAP, then out-of-fold mAP, then cell AP: whichever the data allow."""
    return sorted(map(_row, entries), key=lambda row: (*(-value for value in row.key), row.name))


def _row(entry: dict[str, Any]) -> Row:
    test, oof = ((entry[part] or {}).get("competition") or {} for part in ("test", "oof"))
    weak = (entry["oof"] or {}).get("weak") or {}
    ties = test.get("mAP_ties") or {}
    spread = f"{_text(ties.get('worst'))} to {_text(ties.get('best'))}" if ties else "-"
    numbers = (test.get("mAP"), spread, oof.get("mAP"), test.get("mAP_mask_gt"))
    proxies = (weak.get("cell_ap"), weak.get("image_ap"), weak.get("macro_f1"))
    key = tuple(
        -1.0 if value is None else value for value in (test.get("mAP"), oof.get("mAP"), weak.get("cell_ap"))
    )
    return Row(
        name=f"{entry['approach']}/{entry['recipe']}",
        control=entry["approach"] == "controls",
        key=key,
        values=tuple(value if isinstance(value, str) else _text(value) for value in (*numbers, *proxies)),
        per_class=(test or oof).get("AP") or weak.get("cell_AP") or UNKNOWN,
    )


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _numbered(rows: list[Row]) -> list[tuple[str, Row]]:
    places = iter(range(1, len(rows) + 1))
    return [("" if row.control else str(next(places)), row) for row in rows]


def markdown(rows: list[Row]) -> str:
    """The board for people who read it in git."""
    lines = ["# Leaderboard", "", "Rendered by `common.stages.leaderboard` from `entries/`.", ""]
    lines += [_line(HEADER), _line(["---"] * len(HEADER))]
    lines += [
        _line((place, f"*{r.name}*" if r.control else r.name, *r.values)) for place, r in _numbered(rows)
    ]
    lines += ["", LEGEND, "", "## Average precision by class", ""]
    names = [f"*{r.name}*" if r.control else r.name for r in rows]
    lines += [_line(("class", *names)), _line(["---"] * (len(rows) + 1))]
    for class_id, name in enumerate(CLASSES):
        lines.append(_line((f"{class_id} {name}", *(_text(r.per_class[class_id]) for r in rows))))
    return "\n".join(lines) + "\n"


def terminal(rows: list[Row]) -> str:
    """The ranks and the three numbers that matter most, for a terminal."""
    width = max([len(row.name) for row in rows], default=0)
    lines = [f"{'':>3} {'system':<{width}}  mAP test  mAP oof  cell AP"]
    for place, row in _numbered(rows):
        test, _, oof, _, cell_ap, *_ = row.values
        lines.append(f"{place or '.':>3} {row.name:<{width}}  {test:>8}  {oof:>7}  {cell_ap:>7}")
    return "\n".join(lines)


def _line(cells: "tuple[str, ...] | list[str]") -> str:
    return f"| {' | '.join(cells)} |"


def page(rows: list[Row]) -> str:
    """The board as one HTML file: plain tables, no script, nothing loaded."""
    head = "".join(f"<th{NAME if title == 'system' else ''}>{html.escape(title)}</th>" for title in HEADER)
    body = "".join(_page_row(place, row) for place, row in _numbered(rows))
    class_head = "".join(f"<th>{html.escape(row.name)}</th>" for row in rows)
    classes = "".join(_class_row(class_id, rows) for class_id in range(len(CLASSES)))
    legend = html.escape(LEGEND).replace("**", "").replace("`", "").replace("*", "")
    return PAGE.format(
        head=head, body=body, legend=legend, class_head=f"<th{NAME}>class</th>{class_head}", classes=classes
    )


def _page_row(place: str, row: Row) -> str:
    cells = "".join(f"<td>{value}</td>" for value in row.values)
    return f"<tr{' class=control' if row.control else ''}><td>{place}</td><th>{html.escape(row.name)}</th>{cells}</tr>"


def _class_row(class_id: int, rows: list[Row]) -> str:
    cells = "".join(_shaded(row.per_class[class_id]) for row in rows)
    return f"<tr><th>{class_id} {html.escape(CLASSES[class_id])}</th>{cells}</tr>"


def _shaded(value: float | None) -> str:
    shade = 0 if value is None else round(value * 70)
    return f'<td style="background:color-mix(in srgb, var(--good) {shade}%, transparent)">{_text(value)}</td>'


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>HPA Arena: leaderboard</title>
<style>
:root {{ color-scheme: light dark; --good: #2f9e6e; --line: color-mix(in srgb, currentColor 18%, transparent) }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }}
tbody th, .name {{ text-align: left; font-weight: 600 }}
.control {{ font-style: italic; opacity: .75 }}
.control th {{ font-weight: 400 }}
p {{ max-width: 48rem }}
</style>
<h1>Leaderboard</h1>
<p>Weakly supervised single-cell protein localization: every system on the same images, masks, folds and metric.</p>
<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
<p>{legend}</p>
<h2>Average precision by class</h2>
<div class="wide"><table><thead><tr>{class_head}</tr></thead><tbody>{classes}</tbody></table></div>
</html>
"""
