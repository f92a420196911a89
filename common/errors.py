"""What can go wrong that is not our bug. Each error knows the exit code that a script may act on."""


class UserError(Exception):
    """A problem its reader can solve. The message says where, what was found, what was expected, what to do."""

    exit_code = 3


class ParamsError(UserError, ValueError):
    """A wrong command line or parameter file."""

    exit_code = 2


class DataError(UserError, ValueError):
    """Images, masks or tables that cannot be used as they are."""

    exit_code = 3


class MissingWeightsError(UserError, FileNotFoundError):
    """Weights or a trained model that a command needs and cannot find."""

    exit_code = 4

    def __str__(self) -> str:  # FileNotFoundError would format its arguments as errno and strerror
        return str(self.args[0])


class MachineError(UserError, OSError):
    """The disk, the memory, a device or another process is in the way."""

    exit_code = 5

    def __str__(self) -> str:
        return str(self.args[0])


def fail_together(faults: list[str], where: object, advice: str) -> None:
    """Raise one ``DataError`` that lists every fault, so that a user mends a folder in one go.

    Raises:
        DataError: unless ``faults`` is empty. Lists the first 20 and counts the rest.
    """
    if not faults:
        return
    shown = [f"  {fault}" for fault in faults[:20]]
    if len(faults) > len(shown):
        shown.append(f"  ... and {len(faults) - len(shown)} more")
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    raise DataError("\n".join([f"{where}: {count}; {advice}", *shown]))
