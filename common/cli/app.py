"""``hpa``: the one command for people. Pipelines run the stages below it with ``dvc repro``."""

import typer

from common.cli import (
    check,
    evaluate,
    explain,
    label,
    predict,
    repro,
    search,
    seeds,
    segment,
    simulate,
    track,
)
from common.commands import run

app = typer.Typer(
    help="Weakly supervised single-cell protein localization. Errors exit with 2 (usage, parameters), 3 (data), "
    "4 (missing weights) or 5 (machine); --debug shows their traceback.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich help takes 0.2 s more to appear
    pretty_exceptions_enable=False,
)
for module in (repro, predict, explain, segment, label, check, evaluate, simulate, search, seeds):
    app.command(name=module.__name__.rsplit(".", 1)[1])(module.main)
app.add_typer(track.app, name="track")


def main() -> None:
    """The entry point of the ``hpa`` script."""
    run(app)


if __name__ == "__main__":
    main()
