"""How every command starts and ends: one line for a user's mistake, an exit code that a script may act on.

0 done, 2 usage or parameters, 3 data, 4 missing weights, 5 machine, 130 and 143 stopped by a signal.
"""

import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from common.errors import MachineError, UserError

NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
NO_PATH = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG)

Pattern = Annotated[
    str, typer.Option(help="How your files are named, like {id}_{channel}.tif, or {id}.tif for stacks.")
]
Channels = Annotated[
    str,
    typer.Option(
        help="With --pattern: each channel's word in file names (nucleus=DAPI,protein=GFP,microtubules=Tub,"
        "reticulum=absent), or the order in a stack (nucleus,protein,unused,microtubules,reticulum=absent)."
    ),
]


def run_stage(main: Callable[..., None]) -> None:
    """Run ``main`` as a DVC stage's command line: each parameter is an option, ``--out`` for ``out``."""
    kinds = {name: kind for name, kind in main.__annotations__.items() if name != "return"}
    main.__annotations__ = {name: Annotated[kind, typer.Option()] for name, kind in kinds.items()}
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    _die_with_dvc()
    run(app)


def run(app: typer.Typer) -> None:
    """Run a command line; ``--debug`` anywhere on it shows the traceback of an error."""
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except (UserError, OSError, MemoryError) as error:
        if debug or not (explained := _explain(error)):
            traceback.print_exc()
        else:
            print(f"error: {explained}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, UserError) else MachineError.exit_code)


def _explain(error: Exception) -> str:
    """One line for what a user can mend; nothing for what is our bug."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory; set HPA_WORKERS=1, or use smaller sizes"
    if isinstance(error, OSError) and error.errno in NO_PLACE:
        where = error.filename or "the disk"
        return f"{where}: {error.strerror}; free space or mend the rights, then run again"
    if isinstance(error, OSError) and error.errno in NO_PATH:
        return f"{error.filename}: {error.strerror}; give another path"
    return ""


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)  # as an exception, so that temporary files are removed


def _die_with_dvc() -> None:
    """End this stage when the DVC that started it is gone.

    A killed ``dvc repro`` leaves its stage running, and the next one would start a second writer beside it.
    """
    if "DVC_STAGE" not in os.environ:
        return
    import psutil

    ancestors = psutil.Process().parents()
    dvc = next((p for p in ancestors if any(Path(word).stem == "dvc" for word in p.cmdline()[:3])), None)
    if dvc:
        threading.Thread(target=_watch, args=(dvc.is_running,), daemon=True).start()


def _watch(is_running: Callable[[], bool]) -> None:
    while is_running():
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
