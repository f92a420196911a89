"""``hpa explain``: where in each cell a system sees what it says."""

from pathlib import Path
from typing import Annotated

import typer

from common.commands import Channels, Pattern


def main(
    folder: Annotated[
        Path, typer.Argument(help="Images named <ID>_{red,green,blue,yellow}.png, .jpg or .tif.")
    ],
    out: Annotated[Path, typer.Argument(help="Written: <ID>/<cell>_<class>.png and masks/.")],
    recipe: Annotated[str, typer.Option(help="A trained recipe: approach/recipe.")],
    top: Annotated[int, typer.Option(min=1, max=19, help="So many classes of each cell.")] = 1,
    params: Annotated[
        Path | None, typer.Option(help="A params.yaml with the sections `segment` and `crops`.")
    ] = None,
    pattern: Pattern = "",
    channels: Channels = "",
) -> None:
    """Draw the maps of a system's network, and Grad-CAM, over every cell of a folder of images."""
    from common.inference import PARAMS, explain_folder, find_system
    from common.own_images import declared, house_folder

    system = find_system(recipe)
    with house_folder(folder, declared(pattern, channels)) as images:
        count = explain_folder(images, out, system, top, params or PARAMS)
    print(f"{count} pictures written to {out}: <ID>/<cell>_<class>.png")
