"""``hpa seeds``: how much of a score is luck."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    system: Annotated[str, typer.Argument(help="approach/recipe.")],
    count: Annotated[int, typer.Option(min=1, help="Other seeds.")] = 2,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
) -> None:
    """Train a recipe from other seeds, as DVC experiments, for the board's column `seed sd`."""
    from common.errors import ParamsError
    from common.seeding import Seeded, train_seeds, write_seeds

    approach, _, recipe = system.partition("/")
    seeded = Seeded(approach, recipe)
    if not seeded.file.is_file():
        raise ParamsError(f"{system}: there is no recipe {seeded.file}; expected approach/recipe")
    found = train_seeds(seeded, count, workers, Path(".search") / "seeds")
    path = write_seeds(seeded, found, Path("leaderboard/seeds"))
    print(f"{path}: written; the board takes it up by: dvc repro leaderboard")
