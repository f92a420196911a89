"""The board as one HTML file: tables that read without a script and sort with it, and pictures of curves."""

import html
from collections.abc import Iterable

from common.board.agreement import agreements
from common.board.charts import Line, interval_bar, lines_of, precision_recall, scatter
from common.board.examples import Example, described
from common.board.look import SCRIPT, STYLE
from common.board.rows import COLUMNS, COSTS, Column, Row, numbered, text_of
from common.board.text import AGREEMENT, LEGEND
from common.classes import CLASSES

SHADE = 60  # per cent of colour at an average precision of 1: text stays readable on it


def page(rows: list[Row], examples: list[Example] | None = None) -> str:
    """The whole board.

    Args:
        examples: cells of the first system.
    """
    lines = lines_of(rows)
    return PAGE.format(
        style=STYLE,
        script=SCRIPT,
        board=_board(rows),
        legend=_prose(LEGEND),
        classes=_classes(rows),
        key=_key(lines),
        curves="".join(precision_recall(f"{k} {name}", k, lines) for k, name in enumerate(CLASSES) if lines),
        agreement=_prose(AGREEMENT),
        proxies=_proxies(rows, lines),
        examples=_examples(rows, examples or []),
    )


def _prose(text: str) -> str:
    return html.escape(text).replace("**", "").replace("`", "").replace("*", "")


def _name(row: Row) -> str:
    return html.escape(row.name).replace("/", "/<wbr>")


def _table(label: str, head: str, body: Iterable[str], kind: str = "") -> str:
    return (
        f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table{kind}>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _head(column: Column) -> str:
    return f'<th scope="col" data-sort="number" title="{html.escape(column.about)}">{html.escape(column.title)}</th>'


def _board(rows: list[Row]) -> str:
    columns = [*COLUMNS, *COSTS]
    ends = [
        value for row in rows for value in (row.test.get("mAP"), *(row.test.get("interval") or ())) if value
    ]
    most = max([0.1, *ends])
    marks = [row.test["mAP"] for row in rows if row.control and row.test.get("mAP") is not None]
    head = (
        '<th scope="col" data-sort="number">#</th><th scope="col" class="name" data-sort="text">system</th>'
        + _head(COLUMNS[0])
        + f'<th scope="col">0 to {most:.2f}</th>'
        + "".join(map(_head, columns[1:]))
    )
    body = [_board_row(place, row, columns, interval_bar(row, most, marks)) for place, row in numbered(rows)]
    return _table("Systems", head, body, ' class="sortable board"')


def _board_row(place: str, row: Row, columns: list[Column], bar: str) -> str:
    first, *others = (_cell(column, row) for column in columns)
    control = ' class="control"' if row.control else ""
    return (
        f'<tr{control}><td data-value="{place}">{place}</td><th scope="row">{_name(row)}</th>'
        f"{first}<td>{bar}</td>{''.join(others)}</tr>"
    )


def _cell(column: Column, row: Row) -> str:
    number = column.number(row)
    return f'<td data-value="{"" if number is None else number}">{html.escape(column.text(row))}</td>'


def _classes(rows: list[Row]) -> str:
    names = "".join(f'<th scope="col" data-sort="number">{_name(row)}</th>' for row in rows)
    body = [
        f'<tr><th scope="row" data-value="{k}">{k} {html.escape(name)}</th>'
        f"{''.join(_shaded(row.per_class[k]) for row in rows)}</tr>"
        for k, name in enumerate(CLASSES)
    ]
    head = f'<th scope="col" class="name" data-sort="number">class</th>{names}'
    return _table("Average precision by class", head, body, ' class="sortable heat"')


def _shaded(value: float | None) -> str:
    shade = 0 if value is None else round(value * SHADE)
    return (
        f'<td data-value="{"" if value is None else value}" '
        f'style="background:color-mix(in srgb, var(--good) {shade}%, transparent)">{text_of(value)}</td>'
    )


def _key(lines: list[Line]) -> str:
    drawn = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path d="M0 5H26" {line.style} stroke-width="3"/></svg>'
        f"{html.escape(line.row.name)}</li>"
        for line in lines
    )
    return f'<ul class="key">{drawn}</ul>' if drawn else "<p>Not known for these data.</p>"


def _examples(rows: list[Row], examples: list[Example]) -> str:
    if not examples:
        return ""
    first = next(row for row in rows if not row.control)
    figures = "".join(map(_example, examples))
    return (
        f"<h2>Where {_name(first)} is surest</h2><p>Of each class the test cell with the highest probability among "
        f'those that show it, and among those that do not.</p><div class="grid cells">{figures}</div>'
    )


def _example(one: Example) -> str:
    kind, sign = ("right", "✓") if one.right else ("wrong", "✗")
    return (
        f'<figure class="{kind}"><img src="{one.picture}" alt="{html.escape(described(one))}" '
        f'title="{html.escape(described(one))}"><figcaption>{sign} {html.escape(CLASSES[one.class_id])} '
        f"{one.probability:.2f}</figcaption></figure>"
    )


def _proxies(rows: list[Row], lines: list[Line]) -> str:
    colors = {line.row.name: line.color for line in lines}
    figures = []
    for found in agreements(rows):
        tau = "tau -" if found.tau is None else f"tau {found.tau:.2f}"
        if found.interval:
            tau += f" ({found.interval[0]:.2f} to {found.interval[1]:.2f})"
        figures.append(
            f"<figure>{scatter(found, colors)}<figcaption>{html.escape(found.proxy)}: {tau}, "
            f"{len(found.points)} systems</figcaption></figure>"
        )
    return "".join(figures)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>HPA Arena: leaderboard</title>
<style>{style}</style></head>
<body><main>
<h1>Leaderboard</h1>
<p>Weakly supervised single-cell protein localization: every system on the same images, masks, folds and metric.
The dot is mAP on the test part, its line the 95 % interval over images; dashed uprights are the controls.</p>
{board}
<p>{legend}</p>
<h2>Average precision by class</h2>
{classes}
<h2>Precision and recall by class</h2>
{key}
<div class="grid">{curves}</div>
<h2>Do the proxies rank as the metric does?</h2>
<p>{agreement}</p>
<div class="grid">{proxies}</div>
{examples}
</main><script>{script}</script></body></html>
"""
