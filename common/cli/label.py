"""``hpa label``: the page on which people score single cells, one key a cell."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from common.labelling.storage import EventStore
    from common.labelling.subjects import Subjects

DATA = Path("data")


class Order(StrEnum):
    """Which cells come first."""

    informed = "informed"
    random = "random"


def main(
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Name or number of a class to score; repeat it.")
    ] = None,
    data: Annotated[
        Path, typer.Option(help="The pipeline's folder: its training images are labelled.")
    ] = DATA,
    images: Annotated[
        Path | None, typer.Option(help="Your own folder of images instead, segmented into --masks.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="What hpa segment wrote for --images.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="File of all scores ever given; DATA/labelling/scores.sqlite.")
    ] = None,
    order: Annotated[
        Order, typer.Option(help="informed: what is worth most first | random.")
    ] = Order.informed,
    shared: Annotated[
        float, typer.Option(min=0, max=1, help="Share of cells that every rater is shown, for agreement.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Of the order.")] = 0,
    host: Annotated[
        str, typer.Option(help="Address to serve at; others than this machine need --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="HPA_LABEL_TOKEN", help="What raters must know; better in HPA_LABEL_TOKEN."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Written instead of serving: one score a cell, as labels read it.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Written instead of serving: every event, as CSV.")
    ] = None,
    import_file: Annotated[
        Path | None, typer.Option("--import", help="Read instead of serving: a file of scores by others.")
    ] = None,
    made_on: Annotated[
        Path | None, typer.Option(help="With --import: the masks on which its cell numbers were made.")
    ] = None,
    first: Annotated[
        int, typer.Option(min=0, max=1, help="With --made-on: the number of the first cell.")
    ] = 1,
    column: Annotated[str, typer.Option(help="With --made-on: the column of cell numbers.")] = "cell_id",
    agreement: Annotated[
        bool, typer.Option("--agreement", help="Print how far raters agree instead of serving.")
    ] = False,
) -> None:
    """Score cells in a browser: one key a cell, what is worth most first."""
    from common.errors import ParamsError
    from common.labelling.storage import EventStore

    if (images is None) != (masks is None):
        raise ParamsError("--images and --masks belong together: hpa segment IMAGES MASKS writes the masks")
    ids = tuple(dict.fromkeys(class_named(name) for name in classes or ()))
    store = EventStore(scores or (masks or data / "labelling") / "scores.sqlite")
    if export or audit or agreement:
        _report(store, export, audit, agreement)
    elif import_file:
        _import(
            store,
            _subjects(data, images, masks),
            import_file,
            ids,
            (made_on, first, column) if made_on else None,
        )
    else:
        _serve(store, _subjects(data, images, masks), ids, (order, shared, seed), (host, port, token))


def class_named(text: str) -> int:
    """The id of a class given by name or number.

    Raises:
        ParamsError: there is no such class; names the nearest.
    """
    from difflib import get_close_matches

    from common.classes import CLASSES
    from common.errors import ParamsError

    known = {name.lower(): number for number, name in enumerate(CLASSES)}
    known |= {str(number): number for number in range(len(CLASSES))}
    if text.lower() not in known:
        near = get_close_matches(text.lower(), known, 1)
        hint = f"did you mean {CLASSES[known[near[0]]]!r}?" if near else f"known: {', '.join(CLASSES)}"
        raise ParamsError(f"--class {text!r}: no such class; {hint}")
    return known[text.lower()]


def _subjects(data: Path, images: Path | None, masks: Path | None) -> "Subjects":
    from common.inference import ROOT
    from common.labelling.subjects import of_folder, of_pipeline

    return of_folder(images, masks) if images and masks else of_pipeline(data, ROOT / "approaches")


def _report(store: "EventStore", export: Path | None, audit: Path | None, agreement: bool) -> None:
    from common.classes import CLASSES
    from common.labelling.agreement import agreement as agree
    from common.labelling.exchange import write_audit, write_scores
    from common.labelling.storage import standing

    if export:
        print(f"{export}: {write_scores(store, export)} scores; a recipe's labels read them: kind scores")
    if audit:
        print(f"{audit}: {write_audit(store, audit)} events")
    if agreement:
        table = agree(standing(store.events()))
        table["class_id"] = [CLASSES[class_id] for class_id in table["class_id"]]
        print(table.round(3).to_string(index=False) if len(table) else "no two raters scored the same cell")


def _import(
    store: "EventStore",
    subjects: "Subjects",
    path: Path,
    classes: tuple[int, ...],
    made_on: tuple[Path, int, str] | None,
) -> None:
    from common.labelling.exchange import import_scores
    from common.labelling.subjects import image_sizes
    from common.labels.scores import MadeOn
    from common.params import build

    numbers = None
    if made_on:
        masks, first, column = made_on
        numbers = build(MadeOn, {"masks": str(masks), "first": first, "column": column}, "--made-on")
    new, lost = import_scores(store, path, classes[0] if classes else None, numbers, image_sizes(subjects))
    print(f"{path}: {new} new scores in {store.path}")
    if len(lost):
        print(lost.groupby("reason").size().rename("scores without a place").to_string())


def _serve(
    store: "EventStore",
    subjects: "Subjects",
    classes: tuple[int, ...],
    arranged: tuple[Order, float, int],
    address: tuple[str, int, str | None],
) -> None:
    from common.errors import ParamsError
    from common.files import exclusive

    try:
        from common.labelling.server import serve
    except ModuleNotFoundError as error:
        raise ParamsError(f"the page needs an extra ({error}): pip install 'hpa-arena[label]'") from None
    from common.labelling.order import OrderParams
    from common.labelling.session import Session

    if not classes:
        raise ParamsError("say which class is scored, like --class 'Mitotic spindle'; repeat it for several")
    order, shared, seed = arranged
    params = OrderParams() if order is Order.informed else OrderParams(control=1)
    with exclusive(store.path):
        serve(Session(subjects, store, classes, params, shared, seed), *address)
