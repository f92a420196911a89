"""``hpa repro``: the pipeline with several stages at a time."""

from pathlib import Path
from typing import Annotated

import typer

LOGS = Path(".repro")


def main(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A stage, as DVC names it, with all that it needs; without it, the whole pipeline."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Stages at a time; they share this machine's cores.")] = 2,
) -> None:
    """Bring the pipeline up to date as `dvc repro` does, several stages at a time, and show what runs.

    Small trainings gain little from a second core, so that two at a time on one core each are done earlier.
    """
    from common.files import exclusive
    from common.pipeline import Pipeline, changed_stages
    from common.pipeline_view import view

    LOGS.mkdir(exist_ok=True)
    with exclusive(LOGS / "pipeline"):
        if not (stages := changed_stages(target)):
            print("everything is up to date")
            return
        with view() as show:
            Pipeline(stages, LOGS, jobs).run(show)
